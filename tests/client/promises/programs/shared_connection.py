"""Cancels calls, and closes the client, while calls wait for connections, at each turn of the loop.

The report counts the connections that stay open without the pool's knowledge, and names the errors
of the calls that were not cancelled. The argument is the name of the event loop.
"""

import asyncio
import contextlib
import gc
import json
import logging
import ssl
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import trustme
import uvloop
from cancellations import cancel
from http_server import Server
from my_service.http_client.clients import open_clients
from my_service.http_client.pipeline import ClientStack
from my_service.settings import Settings

CALLS = 4
LEAVING = ((0,), (1,), (CALLS - 1,), (0, 1), tuple(range(CALLS)))
"""Which calls are cancelled; the first one opens the connection."""
TURNS = 40


class Round:
    """Clients of an upstream."""

    def __init__(self, server: Server, settings: dict[str, Any]) -> None:
        self.server = server
        self.settings = settings

    @asynccontextmanager
    async def client(self, **settings: object) -> AsyncGenerator[ClientStack]:
        async with open_clients(Settings.model_validate(self.settings | settings)) as clients:
            yield clients.upstreams["up"]

    async def left_open(self, expected: int) -> bool:
        """Return whether the upstream keeps more connections than expected, and end those."""
        transports = self.server.transports
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(1):
                while len(transports) != expected:  # noqa: ASYNC110 - nothing signals it
                    await asyncio.sleep(0.001)
        found = len(transports) != expected
        for transport in list(transports) if found else ():
            transport.abort()
        return found


async def begin_calls(stack: ClientStack, turns: int) -> list[asyncio.Task[Any]]:
    calls = [asyncio.create_task(stack.client.get("/")) for _ in range(CALLS)]
    for _ in range(turns):
        await asyncio.sleep(0)
    return calls


async def calls_leave(the: Round) -> dict[str, Any]:
    forgotten, failures = 0, set()
    async with the.client() as stack:
        for turns in range(TURNS):
            for leaving in LEAVING:
                calls = await begin_calls(stack, turns)
                await asyncio.gather(*(cancel(calls[number], turns) for number in leaving))
                results = await asyncio.gather(*calls, return_exceptions=True)
                stayed = [each for n, each in enumerate(results) if n not in leaving]
                failures |= {repr(each) for each in stayed if isinstance(each, Exception)}
                forgotten += await the.left_open(int(stack.gauges()["open_connections"]))
    return {"forgotten": forgotten + await the.left_open(0), "failures": sorted(failures)}


async def client_closes(the: Round) -> dict[str, int]:
    """Close the client before its calls have ended, or while they are repeated."""
    forgotten = 0
    for turns in range(TURNS):
        async with the.client(shutdown_grace_s=1e-9) as stack:
            calls = await begin_calls(stack, turns)
        await asyncio.gather(*calls, return_exceptions=True)
        forgotten += await the.left_open(0)
    return {"forgotten": forgotten}


async def main() -> None:
    logging.getLogger().addHandler(logging.NullHandler())  # not stderr
    gc.disable()  # it would close what the pool forgets
    server, authority = Server(), trustme.CA()
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(tls)
    tls.set_alpn_protocols(["h2", "http/1.1"])
    with TemporaryDirectory() as directory:
        bundle = Path(directory, "ca.pem")
        authority.cert_pem.write_to_path(str(bundle))
        async with server.listen("127.0.0.1", tls=tls) as port:
            up = {"base_url": f"https://127.0.0.1:{port}", "ca_bundle": bundle}
            once = Round(server, {"upstreams": {"up": up | {"max_attempts": 1}}})
            repeated = Round(server, {"upstreams": {"up": up | {"backoff_base_s": 0.001}}})
            report = {
                "calls leave": await calls_leave(once),
                "client closes": await client_closes(repeated),
            }
    print(json.dumps(report))


if __name__ == "__main__":
    (uvloop.run if sys.argv[1] == "uvloop" else asyncio.run)(main())
