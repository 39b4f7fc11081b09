"""Calls the bare transport through every fault, and reports the exception of each.

With POST, so that it matters whether the upstream has seen the request.
"""

import asyncio
import contextlib
import json
import os
import socket
import ssl
from pathlib import Path

import httpx
import trustme
from hostile import (
    Deaf,
    answer_in_plain_text,
    end_with_reset,
    full_listener,
    hang_up,
    reset_early,
    server,
)
from my_service.http_client.transport.pool import PoolTransport
from my_service.settings import HTTPSettings
from tests.upstream import ReceivedRequest, Upstream

TIMEOUT_S = 1
SMALL = b"order"
LARGE = b"x" * 30_000_000
HEAD = b"HTTP/1.1 200 OK\r\n"
# What the upstream has sent when it breaks off.
PARTS = {
    "/reset-in-body": HEAD + b"content-length: 100\r\n\r\nsome",
    "/hang-in-body": HEAD + b"content-length: 100\r\n\r\nsome",
    "/short-of-chunks": HEAD + b"transfer-encoding: chunked\r\n\r\n4\r\nsome\r\n",
    "/not-chunks": HEAD + b"transfer-encoding: chunked\r\n\r\nsome\r\n",
    "/garbage-in-body": HEAD + b"transfer-encoding: chunked\r\n\r\n4\r\nsome\r\n",
}


class BrokenBodies(Upstream):
    """Breaks off in the middle of a body, too."""

    async def _answer(
        self, request: ReceivedRequest, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        if request.target not in PARTS:
            return await super()._answer(request, reader, writer)
        writer.write(PARTS[request.target])
        await writer.drain()
        if request.target == "/hang-in-body":
            await reader.read()
        if request.target == "/garbage-in-body":
            await asyncio.sleep(0.2)  # so that the body has begun well
            writer.write(b"garbage\r\n")
            await reader.read()
        if request.target == "/reset-in-body":
            await asyncio.sleep(0.2)  # or the reset would overtake the head
            end_with_reset(writer)
        return False


def untrusted() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("localhost").configure_cert(context)
    return context


def probed(url: str) -> list[bool]:
    """Of each connection to the URL's port, whether the kernel probes an idle peer (Linux)."""
    port = int(url.rpartition(":")[2])
    found = []
    for descriptor in Path("/proc/self/fd").iterdir():
        with (
            contextlib.suppress(OSError),
            socket.socket(fileno=os.dup(int(descriptor.name))) as opened,
        ):
            if opened.getpeername()[1:2] == (port,):
                found.append(bool(opened.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)))
    return found


def unused_port() -> int:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port: int = unused.getsockname()[1]
        return port


async def outcome_of(client: httpx.AsyncClient, url: str, body: bytes = SMALL) -> list[str]:
    """The name and the message of the exception."""
    try:
        response = await client.post(url, content=body)
    except Exception as failure:
        return [type(failure).__name__, str(failure)]
    return ["no exception", str(response.status_code)]


async def main() -> None:
    broken = ("/drop", "/reset", "/garbage", "/headers", "/hang", "/short", *PARTS)
    deaf = Deaf()
    port = unused_port()
    transport = PoolTransport(HTTPSettings(write_timeout_s=TIMEOUT_S))
    with full_listener() as full:
        async with (
            BrokenBodies() as upstream,
            Upstream() as kept,
            Upstream(tls=untrusted()) as secure,
            server(deaf) as silent,
            server(answer_in_plain_text) as plain,
            server(reset_early) as rude,
            server(hang_up) as shut,
            httpx.AsyncClient(transport=transport, timeout=TIMEOUT_S) as client,
        ):
            await client.post(f"{kept.url}/keep-alive-cut")
            keep_alive = probed(kept.url)
            calls = {
                "refused": outcome_of(client, f"http://127.0.0.1:{port}"),
                "unknown host": outcome_of(client, "http://unknown.invalid"),
                "no room to connect": outcome_of(client, f"http://{full}"),
                "untrusted certificate": outcome_of(client, secure.url),
                "plain text for TLS": outcome_of(client, f"https://{plain}"),
                "TLS handshake hangs": outcome_of(client, f"https://{silent}"),
                **{path: outcome_of(client, upstream.url + path) for path in broken},
                "cut on reuse": outcome_of(client, f"{kept.url}/keep-alive-cut"),
                "reset while sending": outcome_of(client, f"http://{rude}", LARGE),
                "closed at once": outcome_of(client, f"http://{shut}/?token=secret"),
                "closed while sending": outcome_of(client, f"http://{shut}/?token=secret", LARGE),
            }
            answers = await asyncio.gather(*calls.values())
            report = dict(zip(calls, answers, strict=True))
            # By itself, since copying so much keeps the loop from others' timeouts.
            report["body not taken"] = await outcome_of(client, f"{upstream.url}/deaf", LARGE)
            seen = [seen.target for seen in upstream.seen + secure.seen]
            assert kept.connections == 1
    report["refused"][1] = report["refused"][1].replace(str(port), "PORT")
    print(
        json.dumps(
            {
                "outcomes": report,
                "seen": seen,
                "requests to the silent": deaf.requests,
                "keep-alive": keep_alive,
            }
        )
    )


if __name__ == "__main__":
    asyncio.run(main())
