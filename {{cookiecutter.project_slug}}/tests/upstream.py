"""A real server on loopback; the path selects its misbehaviour.

It writes HTTP/1.1 by hand, because a correct server would refuse to do most of this.
"""

import asyncio
import contextlib
import gzip
import json
import socket
import ssl
import struct
from collections import Counter
from dataclasses import dataclass, field
from typing import Self
from urllib.parse import unquote

BROKEN = {
    "drop": b"",
    "garbage": b"\x00\x01 this is not HTTP\r\n\r\n",
    "headers": b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 50_000 + b"content-length: 0\r\n\r\n",
    "short": b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nthat is all",
}


@dataclass
class ReceivedRequest:
    """A request as it arrived."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Upstream:
    """Start it with ``async with``; it has a ``url``, and records every request in ``seen``."""

    tls: ssl.SSLContext | None = None
    url: str = ""
    seen: list[ReceivedRequest] = field(default_factory=list)
    connections: int = 0
    in_flight: int = 0
    most_in_flight: int = 0
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    """``/gate`` responds when this is set."""
    body: bytes = b""
    """The body of ``/body``, and of ``/pieces``, which sends it in pieces of this size."""
    piece: int = 1
    transport: None = None
    """None, because the connection pool calls it; a MockUpstream has one."""
    _arrival: asyncio.Event = field(default_factory=asyncio.Event)

    async def wait_for_calls(self, calls: int = 1) -> None:
        """Return when this many calls are in flight."""
        while self.in_flight < calls:
            self._arrival.clear()
            await self._arrival.wait()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self.tls)
        self._serving: set[asyncio.Task[None]] = set()
        self._calls = Counter[str]()
        port = self._server.sockets[0].getsockname()[1]
        self.url = f"{'https' if self.tls else 'http'}://localhost:{port}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._serving:
            task.cancel()
        await asyncio.gather(*self._serving)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.current_task()
        assert task is not None
        self._serving.add(task)
        # The client left, or the test is over.
        with contextlib.suppress(ConnectionError, EOFError, asyncio.CancelledError):
            while await self._exchange(reader, writer):
                pass
        self._serving.discard(task)
        writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Read one request and respond; return whether to keep the connection."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        request_line, *lines = head.strip().split("\r\n")
        method, target, _ = request_line.split(" ")
        fields = (line.split(": ", 1) for line in lines)
        headers = {name.lower(): value for name, value in fields}
        if target == "/deaf":  # never reads the body
            await asyncio.sleep(60)
        request = ReceivedRequest(method, target, headers, await _body(reader, headers))
        self.seen.append(request)
        self.in_flight += 1
        self._arrival.set()
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            return await self._answer(request, reader, writer)
        finally:
            self.in_flight -= 1

    async def _answer(
        self, request: ReceivedRequest, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        path, _, query = request.target.partition("?")
        if request.method == "HEAD":
            writer.write(f"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n{_field(query)}\r\n".encode())
            return True
        _, behaviour, *rest = [*path.split("/"), ""]
        argument = rest[0] if rest else ""
        self._calls[request.target] += 1
        match behaviour:
            case "status":
                _send(writer, int(argument), b"as you asked", query)
            case "flaky" | "flaky-drop":  # fails this many times, then recovers
                failing = self._calls[request.target] <= int(argument)
                if failing and behaviour == "flaky-drop":
                    return False
                _send(writer, 503 if failing else 200, b"done", query)
            case "echo":
                _send(writer, 200, json.dumps(request.headers).encode())
            case "gate":
                await self.gate.wait()
                _send(writer, 200, b"open")
            case "hang":
                await reader.read()  # returns when the caller leaves
                return False
            case "drop" | "garbage" | "headers" | "short":
                writer.write(BROKEN[behaviour])
                return False
            case "reset":
                opened = writer.get_extra_info("socket")
                opened.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                return False
            case "drip":
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 10000\r\n\r\n")
                while not writer.is_closing():
                    writer.write(b".")
                    await asyncio.sleep(0.02)
            case "body":
                _send(writer, 200, self.body, query)
            case "pieces":
                await _send_chunked(writer, self.body, self.piece, query)
            case "large":
                _send(writer, 200, b"x" * int(argument), query)
            case "chunked":
                await _send_chunked(writer, b"x" * 1024 * int(argument), 1024)
            case "slow-redirect":
                await asyncio.sleep(0.02)
                _send(writer, 302, b"", "location=/slow-redirect")
            case "gzip":
                coding = query if "encoding" in query else "content-encoding=gzip"
                _send(writer, 200, gzip.compress(b"x" * int(argument)), coding)
            case "undecodable":
                _send(writer, 200, b"this is not gzip", "content-encoding=gzip")
            case "endless":  # a body without a length, on a connection that stays open
                writer.write(b"HTTP/1.1 200 OK\r\n\r\nsome")
                await writer.drain()
                await reader.read()
                return False
            case "upgrade":  # switches to another protocol, which echoes what it receives
                writer.write(b"HTTP/1.1 101 Whatever\r\nupgrade: echo\r\n\r\nhello ")
                while data := await reader.read(100):
                    writer.write(data)
                return False
            case "surplus":  # sends bytes that no request asked for: with its response, or later
                _send(writer, 200, b"own")
                await asyncio.sleep(0.05 if argument == "later" else 0)
                _send(writer, 200, b"of nobody")
            case "keep-alive-cut":  # responds, and cuts the connection on its next use
                if self._calls[request.target] == 2:
                    return False
                _send(writer, 200, b"done")
            case _:
                _send(writer, 200, b'{"hello": "world"}', query or "content-type=application/json")
        await writer.drain()
        return True


@dataclass
class ConnectProxy:
    """A proxy that connects its caller to the host that a CONNECT names."""

    heads: list[str] = field(default_factory=list)

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port: int = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.heads.append((await reader.readuntil(b"\r\n\r\n")).decode())
        host, _, port = self.heads[-1].split(" ")[1].rpartition(":")
        beyond_reader, beyond_writer = await asyncio.open_connection(host, int(port))
        writer.write(b"HTTP/1.1 200 Connected\r\n\r\n")
        with contextlib.suppress(ConnectionError):
            await asyncio.gather(_pass_on(reader, beyond_writer), _pass_on(beyond_reader, writer))


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
    writer.close()


def _send(writer: asyncio.StreamWriter, status: int, body: bytes, header: str = "") -> None:
    """Send a whole response; ``header`` adds one more header, as name=value."""
    head = f"HTTP/1.1 {status} Whatever\r\ncontent-length: {len(body)}\r\n{_field(header)}\r\n"
    writer.write(head.encode() + (b"" if status in {204, 304} else body))


async def _send_chunked(
    writer: asyncio.StreamWriter, body: bytes, size: int, header: str = ""
) -> None:
    head = f"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n{_field(header)}\r\n"
    writer.write(head.encode())
    for start in range(0, len(body), size):
        piece = body[start : start + size]
        writer.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        await writer.drain()
    writer.write(b"0\r\n\r\n")


def _field(header: str) -> str:
    return unquote(header).replace("=", ": ", 1) + "\r\n" if header else ""


async def _body(reader: asyncio.StreamReader, headers: dict[str, str]) -> bytes:
    if headers.get("transfer-encoding") != "chunked":
        return await reader.readexactly(int(headers.get("content-length", 0)))
    body = b""
    while size := int(await reader.readuntil(b"\r\n"), 16):
        body += (await reader.readexactly(size + 2))[:-2]
    await reader.readline()
    return body
