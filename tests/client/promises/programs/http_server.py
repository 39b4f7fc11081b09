"""An upstream that speaks HTTP/1.1, or HTTP/2 if its caller offers that, on any address."""

import asyncio
import ssl
from contextlib import asynccontextmanager
from typing import Any

import h2.config
import h2.connection
import h2.events


class Server:
    """Answers every request with 200, ``/held`` when ``release`` is set."""

    def __init__(self) -> None:
        self.requests = 0
        self.connections = 0
        self.issuers: set[str] = set()
        self.last_at = 0.0
        self.release = asyncio.Event()
        self.held = asyncio.Event()

    @asynccontextmanager
    async def listen(self, host: str, port: int = 0, tls: ssl.SSLContext | None = None) -> Any:
        """Listen; yield the port."""
        loop = asyncio.get_running_loop()
        self.transports: set[Any] = set()
        listening = await loop.create_server(lambda: _Protocol(self), host, port, ssl=tls)
        try:
            yield listening.sockets[0].getsockname()[1]
        finally:
            listening.close()
            for transport in list(self.transports):
                transport.abort()

    async def note(self, path: bytes) -> None:
        self.requests += 1
        self.last_at = asyncio.get_running_loop().time()
        if path == b"/held":
            self.held.set()
            await self.release.wait()


class _Protocol(asyncio.Protocol):
    def __init__(self, server: Server) -> None:
        self.server = server
        self.received = b""
        self.h2: h2.connection.H2Connection | None = None
        self.answering: set[Any] = set()

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.server.transports.add(transport)
        self.server.connections += 1
        secured = transport.get_extra_info("ssl_object")
        if secured and secured.getpeercert():
            self.server.issuers.add(str(secured.getpeercert()["issuer"]))
        if secured and secured.selected_alpn_protocol() == "h2":
            self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
            self.h2.initiate_connection()
            transport.write(self.h2.data_to_send())

    def connection_lost(self, _: object) -> None:
        self.server.transports.discard(self.transport)

    def data_received(self, data: bytes) -> None:
        if self.h2 is not None:
            for event in self.h2.receive_data(data):
                if isinstance(event, h2.events.RequestReceived):
                    self.begin(dict(event.headers or [])[b":path"], event.stream_id)
            self.transport.write(self.h2.data_to_send())
            return
        self.received += data
        while b"\r\n\r\n" in self.received:
            head, _, self.received = self.received.partition(b"\r\n\r\n")
            self.begin(head.split(b" ")[1], None)

    def begin(self, path: bytes, stream_id: int | None) -> None:
        task = asyncio.get_running_loop().create_task(self.answer(path, stream_id))
        self.answering.add(task)
        task.add_done_callback(self.answering.discard)

    async def answer(self, path: bytes, stream_id: int | None) -> None:
        await self.server.note(path)
        if self.h2 is None or stream_id is None:
            self.transport.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
        else:
            self.h2.send_headers(stream_id, [(":status", "200")], end_stream=True)
            self.transport.write(self.h2.data_to_send())
