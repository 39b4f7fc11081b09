"""Upstreams that do not speak HTTP, in contrast to those of `tests.upstream`."""

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager


@contextmanager
def full_listener() -> Iterator[str]:
    """Yield the host and port of a listener whose queue is full: connecting to it hangs."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        queue = [socket.socket() for _ in range(4)]
        for connecting in queue:
            connecting.setblocking(False)
            connecting.connect_ex(listener.getsockname())
        yield f"127.0.0.1:{listener.getsockname()[1]}"
        for connecting in queue:
            connecting.close()


@asynccontextmanager
async def server(
    serve: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
) -> AsyncGenerator[str]:
    """Run a server that handles each connection by ``serve``; yield its host and port."""

    async def serve_and_close(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, EOFError):
            await serve(reader, writer)
        writer.close()

    async with await asyncio.start_server(serve_and_close, "127.0.0.1", 0) as listening:
        yield f"127.0.0.1:{listening.sockets[0].getsockname()[1]}"


class Deaf:
    """Never answers and never reads a body. A TLS handshake with it hangs as well."""

    def __init__(self) -> None:
        self.connections = 0
        self.requests = 0
        self.hang_up = asyncio.Event()
        """Set it to end the connections that have sent a request."""

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            await reader.readuntil(b"\r\n\r\n")
            self.requests += 1
            await self.hang_up.wait()
            writer.transport.abort()
        finally:
            self.connections -= 1


async def answer_in_plain_text(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer a TLS handshake as web servers do on their plain-text port."""
    await reader.read(1)
    writer.write(b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n")
    await writer.drain()


async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Close the connection before reading, which resets it."""
    end_with_reset(writer)


async def reset_early(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Reset the connection while the request's body arrives."""
    await reader.readuntil(b"\r\n\r\n")
    end_with_reset(writer)


def end_with_reset(writer: asyncio.StreamWriter) -> None:
    """Make closing the connection reset it."""
    linger = struct.pack("ii", 1, 0)
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
