"""Plays every case with the managed clients of this project and reports the outcomes as JSON.

``python -m conformance.program [plain] [uvloop] [part of a case's name] …``, where ``plain`` plays
them with plain httpx and ``uvloop`` on that loop. Without a name, all cases are played.
"""

import asyncio
import contextlib
import functools
import gc
import json
import logging
import ssl
import sys
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import httpx
import trustme
from my_service.http_client import errors
from my_service.http_client.clients import open_clients
from my_service.settings import Settings

from . import CASES
from .case import NEW, NOTHING_SENT, OWN, PARTLY_SENT, UNREAD, Case, shorten
from .server import Server

BLANK_LINE = b"\r\n\r\n"
GROUP = 100
"""Cases that are played concurrently."""
GIVE_UP_AFTER_S = 10
TIMEOUT_S = 20
"""Longer than GIVE_UP_AFTER_S, so that a timeout ends a call only where a case asks for one."""
OpenClients = Callable[[list[Server], str], contextlib.AbstractAsyncContextManager[list[Any]]]


@asynccontextmanager
async def open_managed(servers: list[Server], ca: str) -> AsyncGenerator[list[Any]]:
    """Open this project's clients, one per server, which attempt each call once."""
    upstreams = {f"case{index}": {"base_url": each.url} for index, each in enumerate(servers)}
    http = {
        "max_attempts": 1,
        "breaker_failure_ratio": None,
        **dict.fromkeys(("connect_timeout_s", "read_timeout_s", "write_timeout_s"), TIMEOUT_S),
        "attempt_timeout_s": None,
        "max_response_bytes": None,
        "ca_bundle": ca,
    }
    settings = Settings.model_validate({"upstreams": upstreams, "http": http})
    async with open_clients(settings) as clients:
        yield [clients.upstreams[name].client for name in upstreams]


@asynccontextmanager
async def open_plain(servers: list[Server], ca: str) -> AsyncGenerator[list[Any]]:
    """Open plain clients, one per server."""
    trusted = _trusted(ca)
    async with AsyncExitStack() as stack:
        yield [
            await stack.enter_async_context(
                httpx.AsyncClient(
                    base_url=each.url, verify=trusted, trust_env=False, timeout=TIMEOUT_S
                )
            )
            for each in servers
        ]


@functools.cache
def _trusted(ca: str) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=ca)


def build_request(case: Case, server: Server, client: Any) -> httpx.Request:
    """Build the case's request, without default headers where the request is the subject."""
    timeout = httpx.Timeout(TIMEOUT_S, **dict(case.timeout))
    extensions: dict[str, Any] = {"timeout": timeout.as_dict()}
    if case.raw_target is not None:
        extensions["target"] = case.raw_target
    build = httpx.Request if case.shows == "request" else client.build_request
    content = case.content if isinstance(case.content, bytes) else stream_chunks(case, server)
    request: httpx.Request = build(
        case.method,
        server.url + case.target,
        headers=list(case.headers),
        content=content or None,
        extensions=extensions,
    )
    for name in case.without:
        del request.headers[name]
    return request


async def stream_chunks(case: Case, server: Server) -> AsyncIterator[bytes]:
    """Stream the body; wait for an early answer after the first chunk."""
    for index, chunk in enumerate(case.content):
        assert isinstance(chunk, bytes)
        if index == 1 and case.early:
            await server.answered.wait()
            await settle()
        yield chunk


async def settle() -> None:
    """Let the event loop handle everything that has arrived."""
    for _ in range(10):
        await asyncio.sleep(0)


async def call(client: Any, case: Case, server: Server, mode: str) -> list[str]:
    """Make the case's call; return its outcome, and the message of an exception."""
    try:
        async with asyncio.timeout(GIVE_UP_AFTER_S):
            request = build_request(case, server, client)
            response = await client.send(request, stream=mode != NEW)
            try:
                if mode == UNREAD:
                    return [str(response.status_code), ""]
                await response.aread()
            finally:
                await response.aclose()
    except TimeoutError:
        return ["hangs", ""]
    except Exception as failure:
        return [name_failure(failure), str(failure)]
    rest = show(case, response)
    return [f"{response.status_code} {rest}" if rest else str(response.status_code), ""]


def name_failure(failure: Exception) -> str:
    """Return the exception's name, with its module if callers of httpx do not expect it."""
    kind = type(failure)
    if isinstance(failure, httpx.HTTPError) or kind.__module__ == errors.__name__:
        return kind.__name__
    return f"{kind.__module__}.{kind.__name__}"


def show(case: Case, response: httpx.Response) -> str:
    """Return the part of the response that the case is about."""
    match case.shows:
        case "content" | "upload":
            return response.content.decode("latin-1")
        case "request":
            return ""
        case "extensions":
            found = (response.extensions[name] for name in ("http_version", "reason_phrase"))
            return b"|".join(found).decode("latin-1")
    wanted = case.shows.lower().encode()
    values = [name + b"=" + value for name, value in response.headers.raw if name.lower() == wanted]
    return b"|".join(values).decode("latin-1")


def complete(case: Case, server: Server, outcome: str) -> str:
    """Add what the server received; every connection is closed by now."""
    received = server.received.replace(server.host.encode(), b"up")
    if outcome == "LocalProtocolError":
        return PARTLY_SENT if received else NOTHING_SENT
    if outcome.startswith("200") and case.shows == "request":
        return "200 " + received.decode("latin-1")
    if outcome[0].isdigit() and case.shows == "upload":
        return f"{outcome}, {len(received.partition(BLANK_LINE)[2])} bytes received"
    return outcome


async def check_own_answer(client: Any, target: str) -> str:
    """Return why a call did not receive its own answer; nothing if it did."""
    try:
        async with asyncio.timeout(GIVE_UP_AFTER_S):
            text: str = (await client.get(target)).text
    except Exception as failure:
        return f"{name_failure(failure)}: {failure}"
    return "" if text == target else f"received {text!r}"


async def play(client: Any, case: Case, server: Server, mode: str) -> dict[str, Any]:
    """Make the case's call, and then two more on the same client."""
    own = f"{OWN.decode()}{server.host}"  # differs from every other case's
    if mode != NEW:
        await check_own_answer(client, f"{own}/before")
    outcome, message = await call(client, case, server, mode)
    server.call_ended.set()
    if server.requests:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(server.played.wait(), 2)
    if not case.hasty:
        await settle()
    used = server.connections[-1:]
    wrong = [await check_own_answer(client, f"{own}/{number}") for number in (1, 2)]
    return {
        "outcome": outcome,
        "message": message,
        "next": "; ".join(filter(None, wrong)),
        "requests": server.requests,
        "reused": used == server.connections[-2:][:1],
    }


async def play_group(
    group: list[tuple[str, str]], open_them: OpenClients, ca: trustme.CA
) -> dict[str, Any]:
    """Play some cases concurrently, each with its own server and client."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("127.0.0.1").configure_cert(context)
    cases = [CASES[name] for name, _ in group]
    servers = [Server(case, context if case.tls else None) for case in cases]
    with tempfile.NamedTemporaryFile(suffix=".pem") as bundle:
        ca.cert_pem.write_to_path(bundle.name)
        async with AsyncExitStack() as stack:
            for server in servers:
                await stack.enter_async_context(server.serve())
            async with open_them(servers, bundle.name) as clients:
                entries = await asyncio.gather(
                    *(
                        play(client, case, server, mode)
                        for client, case, server, (_, mode) in zip(
                            clients, cases, servers, group, strict=True
                        )
                    )
                )
    for entry, case, server in zip(entries, cases, servers, strict=True):
        entry["outcome"] = shorten(complete(case, server, entry["outcome"]))
    return {f"{name}: {mode}": each for (name, mode), each in zip(group, entries, strict=True)}


async def main(open_them: OpenClients, names: set[str]) -> dict[str, Any]:
    """Play the cases whose name contains one of these, in each of their modes."""
    unexpected: list[str] = []
    loop = asyncio.get_running_loop()
    loop.slow_callback_duration = 60  # or debug mode logs what a busy machine delays
    loop.set_exception_handler(lambda _, context: unexpected.append(repr(context)))
    ca = trustme.CA()
    played = [
        (name, mode)
        for name, case in CASES.items()
        if not names or any(part in name for part in names)
        for mode in case.modes
    ]
    report: dict[str, Any] = {}
    for start in range(0, len(played), GROUP):
        report |= await play_group(played[start : start + GROUP], open_them, ca)
    gc.collect()
    await settle()
    return {"cases": report, "unexpected": unexpected}


if __name__ == "__main__":
    logging.disable(logging.WARNING)
    arguments = set(sys.argv[1:])
    factory = None
    if "uvloop" in arguments:
        import uvloop

        factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        clients = open_plain if "plain" in arguments else open_managed
        report = runner.run(main(clients, arguments - {"plain", "uvloop"}))
    print(json.dumps(report))
