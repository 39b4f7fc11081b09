"""Calls an upstream that requires client certificates, while the files are rotated under load."""

import asyncio
import contextlib
import json
import logging
import os
import socket
import ssl
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import trustme
import uvloop
from http_server import Server
from my_service.http_client.clients import open_clients
from my_service.settings import Settings

CALLS = 10_000
CALLERS = 16
ROTATIONS = 5


class Warnings(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())


class Files:
    """A directory with the client's certificate, replaced as Kubernetes does: through a symlink."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.cert, self.key = directory / "now/tls.crt", directory / "now/tls.key"
        self.versions = 0
        self.authority = trustme.CA()
        self.authority.cert_pem.write_to_path(str(directory / "ca.pem"))

    def issue(self) -> trustme.CA:
        """Issue a certificate of a new authority, and return the authority."""
        self.versions += 1
        authority = trustme.CA()
        issued = authority.issue_cert("client@example.com")
        version = self.directory / str(self.versions)
        version.mkdir()
        (version / "tls.crt").write_bytes(issued.cert_chain_pems[0].bytes())
        (version / "tls.key").write_bytes(issued.private_key_pem.bytes())
        return authority

    def link(self, version: int = 0) -> None:
        (self.directory / "next").symlink_to(str(version or self.versions))
        (self.directory / "next").replace(self.directory / "now")

    def server_tls(self, *issuers: trustme.CA) -> ssl.SSLContext:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.authority.issue_cert("localhost").configure_cert(tls)
        tls.set_alpn_protocols(["h2", "http/1.1"])
        tls.verify_mode = ssl.CERT_REQUIRED
        tls.maximum_version = ssl.TLSVersion.TLSv1_2  # whose handshake reports the rejection
        for issuer in issuers:
            issuer.configure_trust(tls)
        return tls


def settings_for(files: Files, port: int, **http: Any) -> Settings:
    settings = {"ca_bundle": files.directory / "ca.pem"} | http
    upstreams = {"up": {"base_url": f"https://localhost:{port}"}}
    return Settings.model_validate({"upstreams": upstreams, "http": settings})


async def rotates(files: Files) -> Any:
    """The upstream accepts new connections with the newest certificate only."""
    server, failures, left = Server(), list[str](), CALLS
    issuer = files.issue()
    files.link()
    current = files.server_tls(issuer)
    tls = files.server_tls(issuer)
    tls.sni_callback = lambda opened, *_: setattr(opened, "context", current)

    async def call(client: httpx.AsyncClient) -> None:
        nonlocal left
        while left:
            left -= 1
            try:
                (await client.get("/")).raise_for_status()
            except httpx.HTTPError as failure:
                failures.append(repr(failure))

    async with server.listen("127.0.0.1", 0, tls) as port:
        pair = {"client_cert": files.cert, "client_key": files.key}
        settings = settings_for(files, port, connection_max_age_s=0.1, **pair)
        async with open_clients(settings) as clients:
            client = clients.upstreams["up"].client
            callers = [asyncio.create_task(call(client)) for _ in range(CALLERS)]
            for rotation in range(1, ROTATIONS + 1):
                while left > CALLS - rotation * CALLS // (ROTATIONS + 1):  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
                old, issuer = issuer, files.issue()
                files.link()
                current = files.server_tls(old, issuer)
                await asyncio.sleep(0.2)  # for handshakes that began with the old one
                current = files.server_tls(issuer)
            await asyncio.gather(*callers)
    return {"failures": failures, "requests": server.requests, "issuers": len(server.issuers)}


async def is_half_rotated(files: Files) -> Any:
    """Files that do not match change nothing, until they do."""
    warnings = Warnings()
    logging.getLogger().addHandler(warnings)
    server, statuses = Server(), list[int]()
    issuers = [files.issue(), files.issue()]
    new = files.directory / str(files.versions)
    files.link(1)
    async with server.listen("127.0.0.1", 0, files.server_tls(*issuers)) as port:
        pair = {"client_cert": files.cert, "client_key": files.key}
        async with open_clients(
            settings_for(files, port, connection_max_age_s=0.01, **pair)
        ) as clients:

            async def call() -> int:
                await asyncio.sleep(0.02)
                statuses.append((await clients.upstreams["up"].client.get("/")).status_code)
                return len(server.issuers)

            seen = [await call()]
            files.cert.write_bytes((new / "tls.crt").read_bytes())
            seen += [await call(), await call()]
            files.key.unlink()
            seen.append(await call())
            files.key.write_bytes((new / "tls.key").read_bytes())
            seen.append(await call())
    logging.getLogger().removeHandler(warnings)
    return {"statuses": statuses, "warnings": warnings.messages, "issuers": seen}


async def is_shown(files: Files) -> Any:
    """Only upstreams that do not turn it off receive it, and no proxy, although all ask for one."""
    tls = files.server_tls(files.issue())
    files.link()
    tls.verify_mode = ssl.CERT_OPTIONAL
    servers = {name: Server() for name in ("own", "other", "proxied")}
    pair = {"client_cert": files.cert, "client_key": files.key}
    async with contextlib.AsyncExitStack() as stack:
        urls = {}
        for name, server in servers.items():
            port = await stack.enter_async_context(server.listen("127.0.0.1", 0, tls))
            urls[name] = f"https://localhost:{port}"
        os.environ["http_proxy"] = urls["proxied"]
        upstreams = {
            "own": {"base_url": urls["own"]},
            "other": {"base_url": urls["other"], "client_cert": None},
            "proxied": {"base_url": "http://up.example", "trust_env": True},
        }
        http = {"ca_bundle": files.directory / "ca.pem"} | pair
        settings = Settings.model_validate({"upstreams": upstreams, "http": http})
        clients = await stack.enter_async_context(open_clients(settings))
        for name in servers:
            (await clients.upstreams[name].client.get("/")).raise_for_status()
    return {name: len(server.issuers) for name, server in servers.items()}


async def is_missing(files: Files) -> Any:
    """Without a certificate the call fails, and the exception names the reason."""
    tls = files.server_tls(files.issue())
    tls.maximum_version = ssl.TLSVersion.TLSv1_3
    with socket.create_server(("127.0.0.1", 0)) as listener:
        serving = asyncio.create_task(asyncio.to_thread(reject, listener, tls))
        async with open_clients(settings_for(files, listener.getsockname()[1])) as clients:
            try:
                await clients.upstreams["up"].client.post("/")
            except httpx.HTTPError as failure:
                return [type(failure).__name__, str(failure)]
            finally:
                await serving


def reject(listener: socket.socket, tls: ssl.SSLContext) -> None:
    """Fail a handshake; read what follows, or the kernel sends a reset before the alert arrives."""
    accepted, _ = listener.accept()
    with tls.wrap_socket(accepted, server_side=True, do_handshake_on_connect=False) as opened:
        with contextlib.suppress(ssl.SSLError):
            opened.do_handshake()
        while socket.socket.recv(opened, 65536):
            pass


async def main() -> None:
    logging.getLogger().addHandler(logging.NullHandler())  # not stderr
    report = {}
    for scene in (rotates, is_half_rotated, is_shown, is_missing):
        with TemporaryDirectory() as directory:
            report[scene.__name__] = await scene(Files(Path(directory)))
    print(json.dumps(report))


if __name__ == "__main__":
    uvloop.run(main())
