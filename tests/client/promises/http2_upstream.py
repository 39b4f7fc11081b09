"""An upstream that speaks HTTP/2 over TLS: hypercorn, and an application that records calls."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

import h2.events
import hypercorn.protocol
import trustme
from hypercorn.asyncio import serve
from hypercorn.config import Config
from hypercorn.protocol.h2 import H2Protocol

from support.loopback import free_port


class _Resetting(H2Protocol):
    """Resets the stream of a request for `/reset`, which hypercorn offers no way to do."""

    async def _create_stream(self, request: h2.events.RequestReceived) -> None:
        await super()._create_stream(request)
        if (b":path", b"/reset") in (request.headers or ()):
            self.connection.reset_stream(request.stream_id)


@dataclass
class HTTP2Upstream:
    """The ASGI application; a request's path selects its behaviour."""

    url: str
    gate: threading.Event = field(default_factory=threading.Event)
    paths: list[str] = field(default_factory=list)
    versions: set[str] = field(default_factory=set)
    connections: set[tuple[str, int]] = field(default_factory=set)
    pieces_sent: int = 0
    in_flight: int = 0
    most_in_flight: int = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        self.paths.append(scope["path"])
        self.versions.add(scope["http_version"])
        self.connections.add(scope["client"])
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            await self._answer(scope["path"], send)
            while scope["path"] == "/unended":
                if (await receive())["type"] == "http.disconnect":
                    return
            await send({"type": "http.response.body", "body": b""})
        finally:
            self.in_flight -= 1

    async def _answer(self, path: str, send: Any) -> None:
        pieces, pause_s = 1, 0.0
        body = b"done"
        if path == "/gate":
            while not self.gate.is_set():  # noqa: ASYNC110 - set by another thread
                await asyncio.sleep(0.01)
        elif path == "/hang":
            await asyncio.sleep(60)
        elif path == "/drip":
            pieces, pause_s = 1000, 0.02
        elif path in {"/large", "/endless"}:
            pieces, body = (200 if path == "/large" else 10_000), b"x" * 100_000
        elif path == "/unended":
            body = b"x" * 500_000
        elif path == "/stall":
            pieces, pause_s = 2, 60
        headers = [(b"content-length", b"10")] if path == "/short" else []
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        for _ in range(pieces):
            await send({"type": "http.response.body", "body": body, "more_body": True})
            self.pieces_sent += 1
            await asyncio.sleep(pause_s)


@contextmanager
def http2_upstream(directory: Path) -> Iterator[HTTP2Upstream]:
    """Run the upstream; its certificate authority is the file `ca.pem` in the directory.

    It has a thread and a loop of its own, because hypercorn raises into its loop when a client
    disconnects.
    """
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(directory / "ca.pem"))
    certificate = authority.issue_cert("localhost")
    certificate.private_key_and_cert_chain_pem.write_to_path(str(directory / "server.pem"))
    port = free_port()
    config = Config()
    config.bind = [f"127.0.0.1:{port}"]
    config.certfile = config.keyfile = str(directory / "server.pem")
    config.errorlog = None
    config.graceful_timeout = 0.1
    upstream = HTTP2Upstream(f"https://localhost:{port}")
    stop = threading.Event()

    async def stopped() -> None:
        await asyncio.to_thread(stop.wait)

    thread = threading.Thread(
        target=lambda: asyncio.run(serve(upstream, config, shutdown_trigger=stopped))
    )
    with patch.object(hypercorn.protocol, "H2Protocol", _Resetting):
        thread.start()
        yield upstream
        upstream.gate.set()
        stop.set()
        thread.join()
