"""A server that plays one case's script, byte for byte, on sockets of its own.

It uses sockets instead of asyncio's streams, to control each packet and TLS record, and to keep
its own errors out of the event loop's.
"""

import asyncio
import contextlib
import fcntl
import re
import socket
import ssl
import struct
import sys
import termios
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager
from pathlib import Path

from .case import OWN, Case, Step

_LENGTH = re.compile(rb"(?im)^content-length: *(\d+)")
_CHUNKED = re.compile(rb"(?im)^transfer-encoding: *chunked")


class DisconnectedError(Exception):
    """One end has closed the connection."""


class Connection:
    """One accepted connection, with or without TLS."""

    def __init__(self, accepted: socket.socket, tls: ssl.SSLContext | None) -> None:
        self.buffer = b""
        self._socket = accepted
        self._loop = asyncio.get_running_loop()
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = tls.wrap_bio(self._in, self._out, server_side=True) if tls else None

    async def handshake(self) -> None:
        """Finish the TLS handshake, if there is one."""
        done = self._tls is None
        while self._tls and not done:
            try:
                self._tls.do_handshake()
                done = True
            except ssl.SSLWantReadError:
                await self._flush()
                self._in.write(await self._receive())
        await self._flush()

    async def read_more(self) -> None:
        """Add received bytes to ``buffer``; raises DisconnectedError at their end."""
        if self._tls is None:
            self.buffer += await self._receive()
            return
        while True:
            try:  # first what came with the end of the handshake
                data = self._tls.read(262144)
            except ssl.SSLWantReadError:
                self._in.write(await self._receive())
                continue
            if not data:
                raise DisconnectedError
            self.buffer += data
            return

    async def send(self, *pieces: bytes) -> None:
        """Send one packet, over TLS of one record per piece."""
        if self._tls:
            for piece in pieces:
                self._tls.write(piece)
            await self._flush()
        else:
            await self._loop.sock_sendall(self._socket, b"".join(pieces))

    async def wait_until_taken(self) -> None:
        """Wait until the client's process has read everything sent, or has closed its end.

        Gives up after a second: a client may have no reason to read.
        """
        address = self._socket.getpeername()
        client = _find_descriptor(address)
        for _ in range(1000):
            if not _count_queued(self._socket, termios.TIOCOUTQ) and not _count_unread(
                client, address
            ):
                return
            await asyncio.sleep(0.001)

    def half_close(self) -> None:
        """Send FIN, and keep reading."""
        self._socket.shutdown(socket.SHUT_WR)

    async def notify(self) -> None:
        """Announce the end of a TLS connection."""
        if self._tls:
            with contextlib.suppress(ssl.SSLError):  # which waits for the client's
                self._tls.unwrap()
            await self._flush()

    def reset(self) -> None:
        """Close with RST."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._socket.close()

    def close(self) -> None:
        """Close; does nothing after a reset."""
        self._socket.close()

    async def _receive(self) -> bytes:
        data = await self._loop.sock_recv(self._socket, 262144)
        if not data:
            raise DisconnectedError
        return data

    async def _flush(self) -> None:
        await self._loop.sock_sendall(self._socket, self._out.read())


@contextlib.contextmanager
def _borrow(descriptor: int) -> Generator[socket.socket]:
    """Use the socket of a descriptor without closing it; raises OSError if it is a file."""
    opened = socket.socket(fileno=descriptor)
    try:
        yield opened
    finally:
        opened.detach()


def _find_descriptor(address: tuple[str, int]) -> int | None:
    """Find this process's socket with this address."""
    for entry in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError), _borrow(int(entry.name)) as opened:
            if opened.getsockname() == address:
                return int(entry.name)
    return None


def _count_unread(descriptor: int | None, address: tuple[str, int]) -> int:
    """Count the bytes that arrived and were not read; 0 if the socket was closed."""
    if descriptor is not None:
        with contextlib.suppress(OSError), _borrow(descriptor) as opened:
            if opened.getsockname() == address:
                return _count_queued(opened, termios.FIONREAD)
    return 0


def _count_queued(opened: socket.socket, queue: int) -> int:
    return int.from_bytes(fcntl.ioctl(opened, queue, bytes(4)), sys.byteorder)


class Server:
    """One case's server: plays the script, answers targets under OWN, and keeps records."""

    def __init__(self, case: Case, tls: ssl.SSLContext | None = None) -> None:
        self.requests = 0
        """How often the case's request arrived."""
        self.received = b""
        """Every byte that arrived for the case, without chunk framing."""
        self.connections: list[int] = []
        """The connection of each request, in order."""
        self.answered = asyncio.Event()
        self.call_ended = asyncio.Event()
        self.played = asyncio.Event()
        self._case = case
        self._tls = tls
        self._tasks: set[asyncio.Task[None]] = set()
        self._listener = socket.socket()
        self._listener.setblocking(False)
        self._listener.bind(("127.0.0.1", 0))
        self._full = Step.FULL in case.script
        self._listener.listen(0 if self._full else 8)
        self.host = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self.url = f"http{'s' if tls else ''}://{self.host}"

    @asynccontextmanager
    async def serve(self) -> AsyncGenerator[None]:
        """Accept connections; at the end, wait until each has read what the client sent."""
        with self._listener, contextlib.ExitStack() as queue:
            if self._full:
                for _ in range(4):
                    waiting = queue.enter_context(socket.socket())
                    waiting.setblocking(False)
                    waiting.connect_ex(self._listener.getsockname())
            accepting = asyncio.create_task(self._accept())
            yield
            accepting.cancel()
            await asyncio.wait([accepting])
            queue.close()
            if self._tasks:
                _, stuck = await asyncio.wait(self._tasks, timeout=2)
                for task in stuck:
                    task.cancel()

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        if self._full:
            await self.call_ended.wait()
        index = 0
        while True:
            accepted, _ = await loop.sock_accept(self._listener)
            accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            task = asyncio.create_task(self._serve(Connection(accepted, self._tls), index))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            index += 1

    async def _serve(self, connection: Connection, index: int) -> None:
        with contextlib.suppress(DisconnectedError, OSError, ssl.SSLError):
            try:
                await connection.handshake()
                while True:
                    await self._answer(connection, index)
            finally:
                self.received += connection.buffer
                connection.close()

    async def _answer(self, connection: Connection, index: int) -> None:
        """Read one request and answer it."""
        while b"\r\n\r\n" not in connection.buffer:
            await connection.read_more()
        head, _, connection.buffer = connection.buffer.partition(b"\r\n\r\n")
        target = head.partition(b" ")[2].partition(b" ")[0]
        self.connections.append(index)
        if target.startswith(OWN):
            await connection.send(
                b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(target), target)
            )
            return
        self.requests += 1
        self.received += head + b"\r\n\r\n"
        script = list(self._case.script)
        if not self._case.early:
            script.insert(0, Step.BODY)
        try:
            while script:
                await self._play(connection, script, head)
        finally:
            self.played.set()

    async def _play(self, connection: Connection, script: list[bytes | Step], head: bytes) -> None:
        """Play the next step, or all bytes up to it."""
        pieces: list[bytes] = []
        while script and isinstance(script[0], bytes):
            pieces.append(script.pop(0))  # type: ignore[arg-type]  # as isinstance has said
        if pieces:
            await connection.send(*pieces)
        self.answered.set()
        if pieces:
            return
        match script.pop(0):
            case Step.BODY:
                await self._read_body(connection, head)
            case Step.TAKEN:
                await connection.wait_until_taken()
            case Step.IDLE:
                await self.call_ended.wait()
            case Step.HALF:
                connection.half_close()
            case Step.FIN:
                await connection.notify()
                raise DisconnectedError
            case Step.CUT:
                raise DisconnectedError  # and so close the connection
            case Step.RST:
                await connection.wait_until_taken()
                connection.reset()
                raise DisconnectedError
            case Step.NEVER:
                await self.call_ended.wait()
                while True:
                    await connection.read_more()

    async def _read_body(self, connection: Connection, head: bytes) -> None:
        if _CHUNKED.search(head):
            size = -1
            while size:
                size = int(await self._read_until(connection, b"\r\n"), 16)
                self.received += await self._read(connection, size)
                if await self._read(connection, 2) != b"\r\n":
                    raise DisconnectedError
        elif length := _LENGTH.search(head):
            self.received += await self._read(connection, int(length[1]))

    async def _read(self, connection: Connection, size: int) -> bytes:
        while len(connection.buffer) < size:
            await connection.read_more()
        data, connection.buffer = connection.buffer[:size], connection.buffer[size:]
        return data

    async def _read_until(self, connection: Connection, end: bytes) -> bytes:
        while end not in connection.buffer:
            await connection.read_more()
        data, _, connection.buffer = connection.buffer.partition(end)
        return data
