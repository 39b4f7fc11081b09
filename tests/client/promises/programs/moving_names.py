"""Calls an upstream whose name moves to another address, and reports where the calls went."""

import asyncio
import contextlib
import json
import logging
import secrets
import socket
import ssl
import time
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import trustme
import uvloop
from http_server import Server
from my_service.http_client.clients import open_clients
from my_service.settings import HTTPSettings, Settings

NAME = "moving.test"
OLD, NEW = "127.0.0.1", "127.0.0.2"
AUTHORITY = trustme.CA()
RETRIES: dict[str, Any] = {"max_attempts": 1} if "max_attempts" in HTTPSettings.model_fields else {}


class DNS:
    """What ``socket.getaddrinfo`` answers for the name."""

    def __init__(self) -> None:
        self.look_ups = 0
        self.addresses = [OLD]
        self.down = False
        self.delay_s = 0.0
        self.alternates = False
        self._look_up = socket.getaddrinfo
        socket.getaddrinfo = self.look_up

    def look_up(self, host: Any, *args: Any, **options: Any) -> Any:
        if host not in (NAME, NAME.encode()):
            return self._look_up(host, *args, **options)
        self.look_ups += 1
        time.sleep(self.delay_s)
        if self.down:
            raise socket.gaierror(socket.EAI_AGAIN, "DNS is down")
        addresses = self.addresses
        if self.alternates:
            addresses = [addresses[self.look_ups % 2]]
        return [each for host in addresses for each in self._look_up(host, *args, **options)]


class Scene:
    """An upstream at its old and its new address, and a client of it."""

    def __init__(self, client: httpx.AsyncClient, old: Server, new: Server, dns: DNS) -> None:
        self.client = client
        self.old = old
        self.new = new
        self.dns = dns
        self.failures: list[str] = []

    async def call(self, path: str = "/") -> None:
        try:
            (await self.client.get(path)).raise_for_status()
        except httpx.HTTPError as failure:
            self.failures.append(repr(failure))

    async def call_until(self, done: asyncio.Event) -> None:
        while not done.is_set():
            await self.call()

    def report(self) -> dict[str, Any]:
        return {
            "failures": self.failures,
            "old": self.old.requests,
            "new": self.new.requests,
            "connections": self.old.connections + self.new.connections,
        }


def free_port() -> int:
    """Return a port that is free at both addresses, below those that the system hands out."""
    while True:
        port = 10_000 + secrets.randbelow(20_000)
        with contextlib.suppress(OSError), socket.socket() as old, socket.socket() as new:
            old.bind((OLD, port))
            new.bind((NEW, port))
            return port


@asynccontextmanager
async def scene(directory: Path, *, old_listens: bool = True, **http: Any) -> AsyncGenerator[Scene]:
    dns, old, new = DNS(), Server(), Server()
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    AUTHORITY.issue_cert(NAME).configure_cert(tls)
    tls.set_alpn_protocols(["h2", "http/1.1"])
    try:
        async with AsyncExitStack() as stack:
            port = await stack.enter_async_context(new.listen(NEW, free_port(), tls))
            if old_listens:
                await stack.enter_async_context(old.listen(OLD, port, tls))
            settings = {
                "upstreams": {"up": {"base_url": f"https://{NAME}:{port}"}},
                "shutdown_grace_s": 0.01,
                "http": {"ca_bundle": directory / "ca.pem"} | RETRIES | http,
            }
            clients = await stack.enter_async_context(
                open_clients(Settings.model_validate(settings))
            )
            yield Scene(clients.upstreams["up"].client, old, new, dns)
    finally:
        socket.getaddrinfo = dns._look_up


async def moves_while_busy(directory: Path) -> Any:
    """The old address still answers, and its connections are never idle for long."""
    async with scene(directory, dns_ttl_s=1) as the:
        done = asyncio.Event()
        callers = [asyncio.create_task(the.call_until(done)) for _ in range(8)]
        await asyncio.sleep(0.5)
        the.dns.addresses = [NEW]
        moved = asyncio.get_running_loop().time()
        await asyncio.sleep(2.5)
        done.set()
        await asyncio.gather(*callers)
        report = the.report()
        return report | {"after_s": the.old.last_at - moved, "look_ups": the.dns.look_ups}


async def moves_while_idle(directory: Path) -> Any:
    """A call that is in flight at the old address finishes there; the next one goes to the new."""
    async with scene(directory, dns_ttl_s=0.5) as the:
        await the.call()
        held = asyncio.create_task(the.call("/held"))
        await the.old.held.wait()
        the.dns.addresses = [NEW]
        await asyncio.sleep(0.6)
        before = the.old.requests
        await asyncio.gather(*(the.call() for _ in range(20)))
        the.old.release.set()
        await held
        await the.call()
        return the.report() | {"stale": the.old.requests - before}


async def moves_and_refuses(directory: Path) -> Any:
    async with scene(directory, dns_ttl_s=60, old_listens=False) as the:
        await the.call()
        the.dns.addresses = [NEW]
        await the.call()
        return the.report()


async def alternates(directory: Path) -> Any:
    async with scene(directory, dns_ttl_s=3) as the:
        the.dns.addresses, the.dns.alternates = [OLD, NEW], True
        for _ in range(1000):
            await the.call()
            await asyncio.sleep(0.004)
        return the.report() | {"look_ups": the.dns.look_ups}


async def dns_is_down(directory: Path) -> Any:
    """Kept connections stay in use, and new ones are opened to the known address."""
    async with scene(directory, dns_ttl_s=0.1, keepalive_expiry_s=2, connect_timeout_s=2.5) as the:
        await the.call()
        the.dns.down = True
        for _ in range(50):
            await the.call()
            await asyncio.sleep(0.01)
        kept = the.report()["connections"]
        await asyncio.sleep(2.5)
        the.dns.delay_s = 4  # longer than the connect timeout
        await asyncio.gather(*(the.call() for _ in range(10)))
        return the.report() | {"kept": kept}


async def connections_share_a_look_up(directory: Path) -> Any:
    async with scene(directory, connection_max_age_s=0.2) as the:
        the.dns.delay_s = 0.2
        calls = [asyncio.create_task(the.call()) for _ in range(100)]
        await asyncio.sleep(0.1)
        calls[0].cancel()
        await asyncio.gather(*calls, return_exceptions=True)
        return the.report() | {"look_ups": the.dns.look_ups}


async def closes_during_a_look_up(directory: Path) -> Any:
    async with scene(directory) as the:
        the.dns.delay_s = 0.5
        call = asyncio.create_task(the.call())
        await asyncio.sleep(0.05)
    await asyncio.sleep(0.05)
    return {"tasks": len(asyncio.all_tasks()) - 1, "done": call.done()}


SCENES = (
    *(moves_while_busy, moves_while_idle, moves_and_refuses, alternates, dns_is_down),
    *(connections_share_a_look_up, closes_during_a_look_up),
)


async def main() -> None:
    logging.getLogger().addHandler(logging.NullHandler())  # not stderr
    with TemporaryDirectory() as directory:
        AUTHORITY.cert_pem.write_to_path(f"{directory}/ca.pem")
        print(json.dumps({each.__name__: await each(Path(directory)) for each in SCENES}))


if __name__ == "__main__":
    uvloop.run(main())
