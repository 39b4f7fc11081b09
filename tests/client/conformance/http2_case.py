"""The shape of an HTTP/2 case, and the frames that its script is made of."""

from dataclasses import dataclass

from .case import Case

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS = 0x0, 0x1, 0x2, 0x3, 0x4
PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = 0x5, 0x6, 0x7, 0x8, 0x9
END_STREAM = ACK = 0x1
END_HEADERS = 0x4
PADDED = 0x8

NO_ERROR, PROTOCOL_ERROR, INTERNAL_ERROR = 0x0, 0x1, 0x2
REFUSED_STREAM, CANCEL, ENHANCE_YOUR_CALM = 0x7, 0x8, 0xB

ENABLE_PUSH, MAX_CONCURRENT_STREAMS, INITIAL_WINDOW_SIZE = 0x2, 0x3, 0x4
MAX_FRAME_SIZE = 0x5

CALLS = 16
"""Stream numbers below this are numbers of calls; the server replaces them with the stream's."""
BEFORE = 15
"""The call that was made first on a kept connection."""
IDLE_STREAM = 99
"""The number of a stream that no call has opened."""


class Frame(bytes):
    """A frame whose stream number is a call's: 1 for the case's own, then those beside it.

    The number in GOAWAY counts calls too. Plain bytes in a script are sent unchanged.
    """


@dataclass(frozen=True)
class HTTP2Case(Case):
    """A case whose script consists of frames.

    With several calls, ``expected`` has one outcome each. A request is answered with its own
    target where no script is left for it, so ``200 /case/1`` is a call that was repeated.
    """

    calls: int = 1
    """Calls in flight: the case's, and simple GETs beside it."""
    awaits: int | None = None
    """Requests that arrive before the script starts; all by default, 0 to speak first."""
    settings: tuple[tuple[int, int], ...] = ((MAX_CONCURRENT_STREAMS, 100),)
    """What the server's connections start with."""
    protocol: str = "h2"
    """What the server selects by ALPN."""
    requests: int | None = 1
    """How often the case's own request arrives; None if that depends on timing."""


def frame(kind: int, payload: bytes = b"", *, stream: int = 0, flags: int = 0) -> Frame:
    """A frame (RFC 9113, 4.1)."""
    size = len(payload).to_bytes(3, "big")
    return Frame(size + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload)


def block(*fields: tuple[bytes, bytes]) -> bytes:
    """A header block of literal fields, which leaves no state behind (RFC 7541, 6.2.2)."""
    return b"".join(b"\x00" + _string(name) + _string(value) for name, value in fields)


def _string(text: bytes) -> bytes:
    size = len(text)
    if size < 127:
        return bytes([size]) + text
    prefix, size = b"\x7f", size - 127
    while size > 127:
        prefix, size = prefix + bytes([size % 128 + 128]), size >> 7
    return prefix + bytes([size]) + text


def head(
    *fields: tuple[bytes, bytes], status: bytes = b"200", end: bool = False, stream: int = 1
) -> Frame:
    """HEADERS with a status and these fields; ``end`` ends the stream."""
    return fields_only((b":status", status), *fields, end=end, stream=stream)


def fields_only(*fields: tuple[bytes, bytes], end: bool = False, stream: int = 1) -> Frame:
    """HEADERS with these fields alone, which are trailers after a body."""
    flags = END_HEADERS | (END_STREAM if end else 0)
    return frame(HEADERS, block(*fields), stream=stream, flags=flags)


def data(body: bytes, *, end: bool = True, stream: int = 1) -> Frame:
    """DATA, which ends the stream by default."""
    return frame(DATA, body, stream=stream, flags=END_STREAM if end else 0)


def answer(body: bytes = b"hello", *, stream: int = 1) -> tuple[Frame, Frame]:
    """A whole response."""
    return head(stream=stream), data(body, stream=stream)


def reset(code: int, *, stream: int = 1) -> Frame:
    """RST_STREAM with an error code."""
    return frame(RST_STREAM, code.to_bytes(4, "big"), stream=stream)


def goaway(last: int, code: int = NO_ERROR) -> Frame:
    """GOAWAY, where ``last`` is the last call that the server will answer."""
    return frame(GOAWAY, last.to_bytes(4, "big") + code.to_bytes(4, "big"))


def settings(*pairs: tuple[int, int]) -> Frame:
    """SETTINGS with these values."""
    payload = (code.to_bytes(2, "big") + value.to_bytes(4, "big") for code, value in pairs)
    return frame(SETTINGS, b"".join(payload))


def window(size: int, *, stream: int = 1) -> Frame:
    """WINDOW_UPDATE for one stream; 0 is the connection's."""
    return frame(WINDOW_UPDATE, size.to_bytes(4, "big"), stream=stream)
