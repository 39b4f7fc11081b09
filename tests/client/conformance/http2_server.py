"""A server that plays one case's frames over TLS, and answers all other requests properly."""

import asyncio
import contextlib
import ssl
from collections.abc import Iterator

import hpack

from .case import OWN, Step
from .http2_case import (
    ACK,
    BEFORE,
    CALLS,
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    GOAWAY,
    HEADERS,
    MAX_CONCURRENT_STREAMS,
    PADDED,
    PING,
    REFUSED_STREAM,
    RST_STREAM,
    SETTINGS,
    Frame,
    HTTP2Case,
    answer,
    frame,
    reset,
    settings,
    window,
)
from .server import Connection, DisconnectedError, Server

_ENDED = (DisconnectedError, OSError, ssl.SSLError)
_PREFACE = len(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")


class _ResetError(DisconnectedError):
    """The script resets the connection, which must have no reader by then."""


class HTTP2Server(Server):
    """One case's server: plays the script once, answers the rest, and keeps records."""

    def __init__(self, case: HTTP2Case, contexts: dict[str, ssl.SSLContext]) -> None:
        super().__init__(case, contexts[case.protocol])
        self.case = case
        self.begun = False
        self.whole = asyncio.Event()
        """Set when the body of the case's own request has arrived."""

    @property
    def awaits(self) -> int:
        """How many requests arrive before the script starts."""
        case = self.case
        return case.calls if case.awaits is None else case.awaits

    async def _serve(self, connection: Connection, index: int) -> None:
        if self.case.protocol != "h2":
            await super()._serve(connection, index)
            return
        with contextlib.suppress(*_ENDED, hpack.HPACKError, asyncio.CancelledError):
            try:
                await connection.handshake()
                await _Peer(self, connection, index).run()
            except _ResetError:
                connection.reset()
            except ssl.SSLError:  # nothing can be decrypted after close_notify
                while True:
                    await connection._receive()
            finally:
                connection.close()

    def begins(self, arrived: int) -> bool:
        """Whether the script starts now; it is played once."""
        if self.begun or arrived < self.awaits:
            return False
        self.begun = True
        return True

    async def play(self, connection: Connection, streams: dict[int, int]) -> None:
        """Play the script, where ``streams`` has the stream of each call."""
        script = list(_placed(self.case.script, streams))
        try:
            while script:
                await self._play(connection, script, b"")
        finally:
            self.played.set()

    async def _play(self, connection: Connection, script: list[bytes | Step], head: bytes) -> None:
        """Play the next step; after the end, read on, or the kernel would send a reset."""
        if self.case.protocol == "h2" and script[0] in {Step.FIN, Step.CUT}:
            if script.pop(0) is Step.FIN:
                await connection.notify()
            connection.half_close()
            self.answered.set()
        elif self.case.protocol == "h2" and script[0] is Step.RST:
            await super()._play(connection, [Step.TAKEN], head)
            raise _ResetError
        else:
            await super()._play(connection, script, head)

    async def _read_body(self, connection: Connection, head: bytes) -> None:
        if self.case.protocol == "h2":
            await self.whole.wait()
        else:
            await super()._read_body(connection, head)


def _placed(script: tuple[bytes | Step, ...], streams: dict[int, int]) -> Iterator[bytes | Step]:
    """The script with the numbers of streams for those of calls, a packet in one piece."""
    packet = b""
    for step in script:
        if isinstance(step, Step):
            if packet:
                yield packet
            packet = b""
            yield step
        else:
            packet += _numbered(step, streams) if isinstance(step, Frame) else step
    if packet:
        yield packet


def _numbered(sent: Frame, streams: dict[int, int]) -> bytes:
    start = 9 if sent[3] == GOAWAY else 5
    number = int.from_bytes(sent[start : start + 4], "big")
    if number < CALLS:
        number = streams.get(number, 0)
    return sent[:start] + number.to_bytes(4, "big") + sent[start + 4 :]


class _Peer:
    """The server's side of one connection."""

    def __init__(self, server: HTTP2Server, connection: Connection, index: int) -> None:
        self._server = server
        self._case = server.case
        self._connection = connection
        self._index = index
        self._decoder = hpack.Decoder()
        self._streams: dict[int, int] = {}  # by call
        self._targets: dict[int, bytes] = {}  # by stream, until it is answered
        self._before = 0
        self._acknowledged = False
        self._script: asyncio.Task[None] | None = None
        self._end: Exception | None = None

    async def run(self) -> None:
        """Read frames until one side closes the connection."""
        if self._server.awaits == 0 and self._server.begins(0):
            await self._server.play(self._connection, {})
        else:
            await self._connection.send(settings(*self._case.settings))
        reading = asyncio.current_task()
        assert reading is not None
        self._reading = reading
        try:
            await self._read(_PREFACE)
            while True:
                await self._read_frame()
        except asyncio.CancelledError:
            if self._end:
                raise self._end from None
            raise
        finally:
            if self._script and not self._script.done():
                self._script.cancel()

    async def _read(self, size: int) -> bytes:
        while len(self._connection.buffer) < size:
            await self._connection.read_more()
        buffer = self._connection.buffer
        self._connection.buffer = buffer[size:]
        return buffer[:size]

    async def _read_frame(self) -> None:
        kind, flags, stream, payload = await self._read_any()
        match kind:
            case _ if kind == HEADERS:
                while not flags & END_HEADERS:
                    _, more, _, rest = await self._read_any(CONTINUATION)
                    flags |= more & END_HEADERS
                    payload += rest
                await self._take_headers(stream, payload, ended=bool(flags & END_STREAM))
            case _ if kind == DATA:
                await self._take_data(stream, payload, ended=bool(flags & END_STREAM))
            case _ if kind == SETTINGS and not flags & ACK:
                await self._connection.send(frame(SETTINGS, flags=ACK))
            case _ if kind == SETTINGS:
                self._acknowledged = True
            case _ if kind == PING and not flags & ACK:
                await self._connection.send(frame(PING, payload, flags=ACK))
            case _ if kind == RST_STREAM:
                self._targets.pop(stream, None)

    async def _read_any(self, kind: int | None = None) -> tuple[int, int, int, bytes]:
        start = await self._read(9)
        payload = await self._read(int.from_bytes(start[:3], "big"))
        assert kind in {None, start[3]}
        assert not start[4] & PADDED
        return start[3], start[4], int.from_bytes(start[5:], "big"), payload

    async def _take_headers(self, stream: int, payload: bytes, *, ended: bool) -> None:
        fields = [
            (bytes(each[0]), bytes(each[1])) for each in self._decoder.decode(payload, raw=True)
        ]
        target = dict(fields)[b":path"]
        limit = dict(self._case.settings).get(MAX_CONCURRENT_STREAMS)
        if self._acknowledged and limit is not None and len(self._targets) >= limit:
            await self._connection.send(_to(stream, reset(REFUSED_STREAM)))
            return
        self._targets[stream] = target
        self._server.connections.append(self._index)
        number = target.rpartition(b"/")[2]
        if target.startswith(OWN):
            self._before = stream
        elif number.isdigit():
            self._streams[int(number)] = stream
        if stream == self._streams.get(1):
            self._server.requests += 1
            self._server.received += b"|".join(b"%b=%b" % field for field in fields) + b"||"
        if ended or (self._case.early and not target.startswith(OWN)):
            await self._respond(stream)
        if ended and stream == self._streams.get(1):
            self._server.whole.set()

    async def _take_data(self, stream: int, payload: bytes, *, ended: bool) -> None:
        if payload:
            await self._connection.send(window(len(payload), stream=0))
            if not ended:
                await self._connection.send(_to(stream, window(len(payload))))
        if self._streams.get(1) == stream:
            self._server.received += payload
            if ended:
                self._server.whole.set()
        if ended and not self._case.early:
            await self._respond(stream)

    async def _respond(self, stream: int) -> None:
        """Start the script when all its requests are here; answer others with their target."""
        elsewhere = self._server.begun and self._script is None
        over = self._script is not None and self._script.done()
        if self._targets[stream].startswith(OWN) or elsewhere or over:
            await self._answer_own(stream)
        elif self._server.begins(len(self._streams)):
            self._script = asyncio.create_task(self._play())

    async def _answer_own(self, stream: int) -> None:
        if stream in self._targets:
            target = self._targets.pop(stream)
            await self._connection.send(b"".join(_to(stream, each) for each in answer(target)))

    async def _play(self) -> None:
        """Play the script, then answer the requests that have come meanwhile."""
        seen = set(self._streams.values())
        try:
            await self._server.play(self._connection, self._streams | {BEFORE: self._before})
        except _ENDED as end:
            self._end = end
            self._reading.cancel()
            return
        for stream in seen:
            self._targets.pop(stream, None)
        for stream in list(self._targets):
            await self._answer_own(stream)


def _to(stream: int, sent: Frame) -> bytes:
    return sent[:5] + stream.to_bytes(4, "big") + sent[9:]
