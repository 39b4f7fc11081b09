"""Plays every HTTP/2 case with the managed clients of this project, as `program.py` does.

``python -m conformance.http2_program [plain]``; with ``plain``, the clients are plain httpx.
"""

import asyncio
import contextlib
import gc
import json
import logging
import ssl
import sys
import tempfile
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import trustme

from .case import NEW, OWN, shorten
from .http2_cases import HTTP2_CASES
from .http2_server import HTTP2Server
from .program import OpenClients, call, check_own_answer, complete, open_managed, settle
from .server import Server

CONCURRENT = 20
"""Cases that are played concurrently."""
PROTOCOLS = ("h2", "http/1.1")


@asynccontextmanager
async def open_plain(servers: list[Server], ca: str) -> AsyncGenerator[list[Any]]:
    """Plain clients that speak HTTP/2, one per server."""
    trusted = ssl.create_default_context(cafile=ca)
    async with AsyncExitStack() as stack:
        yield [
            await stack.enter_async_context(
                httpx.AsyncClient(base_url=each.url, verify=trusted, trust_env=False, http2=True)
            )
            for each in servers
        ]


async def play(client: Any, server: HTTP2Server, mode: str) -> dict[str, Any]:
    """Make the case's calls, and then two more on the same client."""
    case = server.case
    own = f"{OWN.decode()}{server.host}"  # differs from every other case's
    if mode != NEW:
        await check_own_answer(client, f"{own}/before")
    beside = replace(case, method="GET", headers=(), without=(), content=b"", raw_target=None)
    others = [
        asyncio.create_task(call(client, replace(beside, target=f"/case/{number}"), server, mode))
        for number in range(2, case.calls + 1)
    ]
    outcome, message = await call(client, case, server, mode)
    server.call_ended.set()
    outcomes = [outcome, *(each for each, _ in await asyncio.gather(*others))]
    if server.requests:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(server.played.wait(), 1)
    await settle()
    wrong = [await check_own_answer(client, f"{own}/{number}") for number in (1, 2)]
    return {
        "outcome": shorten("; ".join([complete(case, server, outcome), *outcomes[1:]])),
        "message": message,
        "next": "; ".join(filter(None, wrong)),
        "requests": server.requests,
        "reused": len(set(server.connections)) == 1,
    }


async def play_all(plays: list[tuple[str, str]], open_them: OpenClients) -> dict[str, Any]:
    """Play cases, each with its own server and client, some of them concurrently."""
    ca = trustme.CA()
    certificate = ca.issue_cert("127.0.0.1")
    contexts = {protocol: ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER) for protocol in PROTOCOLS}
    for protocol, context in contexts.items():
        context.set_alpn_protocols([protocol])
        certificate.configure_cert(context)
    servers = [HTTP2Server(HTTP2_CASES[name], contexts) for name, _ in plays]
    slots = asyncio.Semaphore(CONCURRENT)

    async def play_one(client: Any, server: HTTP2Server, mode: str) -> dict[str, Any]:
        async with slots:
            return await play(client, server, mode)

    async with AsyncExitStack() as stack:
        bundle = Path(stack.enter_context(tempfile.TemporaryDirectory()), "ca.pem")
        ca.cert_pem.write_to_path(str(bundle))
        for server in servers:
            await stack.enter_async_context(server.serve())
        clients = await stack.enter_async_context(open_them(list(servers), str(bundle)))
        entries = await asyncio.gather(
            *(
                play_one(client, server, mode)
                for client, server, (_, mode) in zip(clients, servers, plays, strict=True)
            )
        )
    return {f"{name}: {mode}": each for (name, mode), each in zip(plays, entries, strict=True)}


async def main(open_them: OpenClients) -> dict[str, Any]:
    """Play all cases in each mode."""
    unexpected: list[str] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: unexpected.append(repr(context)))
    plays = [(name, mode) for name, case in HTTP2_CASES.items() for mode in case.modes]
    report = await play_all(plays, open_them)
    gc.collect()
    await settle()
    return {"cases": report, "unexpected": unexpected}


if __name__ == "__main__":
    logging.disable(logging.WARNING)
    print(json.dumps(asyncio.run(main(open_plain if "plain" in sys.argv else open_managed))))
