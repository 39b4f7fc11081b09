"""HTTP/2 exchanges as frames, each with its one outcome."""

# One case per line, so that the table can be compared by eye.
# ruff: noqa: E501

from typing import Any

from .case import NEW, NOTHING_SENT, PARTLY_SENT, STREAMED, VARIES, Step
from .http2_case import (
    BEFORE,
    CANCEL,
    CONTINUATION,
    DATA,
    ENABLE_PUSH,
    END_HEADERS,
    END_STREAM,
    ENHANCE_YOUR_CALM,
    HEADERS,
    IDLE_STREAM,
    INITIAL_WINDOW_SIZE,
    INTERNAL_ERROR,
    MAX_CONCURRENT_STREAMS,
    MAX_FRAME_SIZE,
    NO_ERROR,
    PING,
    PUSH_PROMISE,
    REFUSED_STREAM,
    SETTINGS,
    Frame,
    HTTP2Case,
    answer,
    block,
    data,
    fields_only,
    frame,
    goaway,
    head,
    reset,
    settings,
    window,
)

FIN, RST, CUT, IDLE, TAKEN, BODY = Step.FIN, Step.RST, Step.CUT, Step.IDLE, Step.TAKEN, Step.BODY
BROKEN = "RemoteProtocolError"
RESET = "ReadError"
HELLO = "200 hello"

HTTP1 = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
CODES = {
    "NO_ERROR": NO_ERROR,
    "INTERNAL_ERROR": INTERNAL_ERROR,
    "REFUSED_STREAM": REFUSED_STREAM,
    "CANCEL": CANCEL,
}


def _case(name: str, *script: bytes | Step, **more: Any) -> HTTP2Case:
    """An exchange, by default a response of plain httpx's outcome."""
    return HTTP2Case(name, script, **{"target": "/case/1", "source": "plain httpx", **more})


def _length(*values: bytes) -> Frame:
    """The head of a response with these values of content-length."""
    return head(*((b"content-length", value) for value in values))


def _field(name: str, field: bytes, value: bytes, expected: str = HELLO, **more: Any) -> HTTP2Case:
    """A response with this header field."""
    return _case(f"field: {name}", head((field, value)), data(b"hello"), expected=expected, **more)


STATUS = [
    _case("whole", *answer(), expected=HELLO, source="RFC 9113, 8.1", reused=True),
    _case("status abc", head(status=b"abc"), data(b"hello"), expected=BROKEN, source="RFC 9113, 8.3.2", plain="builtins.ValueError"),
    _case("empty status", head(status=b""), data(b"hello"), expected=BROKEN, source="RFC 9113, 8.3.2", plain="builtins.ValueError"),
    _case("no status", fields_only((b"x-a", b"1")), data(b"hello"), expected=HELLO),
    _case("two statuses", head((b":status", b"201")), data(b"hello"), expected="201 hello"),
    _case("unknown pseudo-header field", head((b":x", b"1")), data(b"hello"), expected=HELLO),
    _case("status 99", head(status=b"99"), data(b"hello"), expected="99 hello"),
    _case("status 999", head(status=b"999"), data(b"hello"), expected="999 hello"),
    _case("status 101", head(status=b"101"), data(b"hello"), expected=BROKEN, source="RFC 9113, 8.6"),
    _case("103, then 200", head((b"link", b"</x>"), status=b"103"), *answer(), expected=HELLO, source="RFC 9113, 8.1"),
    _case("100 three times, then 200", *[head(status=b"100")] * 3, TAKEN, *answer(), expected=HELLO, source="RFC 9113, 8.1"),
    _case("100 that ends the stream", head(status=b"100", end=True), expected=BROKEN, source="RFC 9113, 8.1"),
    _case("100, then CANCEL", head(status=b"100"), reset(CANCEL), expected=BROKEN, source="RFC 9113, 8.1"),
]  # fmt: skip

BODIES = [
    _case("no body", head(end=True), expected="200", source="RFC 9113, 8.1"),
    _case("body in pieces", head(), data(b"he", end=False), TAKEN, data(b"llo", end=False), TAKEN, data(b""), expected=HELLO, source="RFC 9113, 8.1"),
    _case("padded body", head(), frame(DATA, b"\x03hello\0\0\0", stream=1, flags=END_STREAM | 8), expected=HELLO, source="RFC 9113, 6.1"),
    _case("padding longer than the frame", head(), frame(DATA, b"\xffhello", stream=1, flags=END_STREAM | 8), expected=BROKEN, source="RFC 9113, 6.1"),
    _case("content-length of the body", _length(b"5"), data(b"hello"), expected=HELLO, source="RFC 9113, 8.1.1", reused=True),
    _case("content-length longer than the body", _length(b"6"), data(b"hello"), expected=BROKEN, source="RFC 9113, 8.1.1"),
    _case("content-length shorter than the body", _length(b"4"), data(b"hello"), expected=BROKEN, source="RFC 9113, 8.1.1"),
    _case("content-length, no body", _length(b"5"), data(b""), expected=BROKEN, source="RFC 9113, 8.1.1"),
    _case("content-length abc", _length(b"abc"), data(b"hello"), expected=BROKEN, source="RFC 9113, 8.1.1"),
    _case("two equal content-lengths", _length(b"5", b"5"), data(b"hello"), expected=HELLO, source="RFC 9110, 8.6"),
    _case("two different content-lengths", _length(b"5", b"6"), data(b"hello"), expected=BROKEN, source="RFC 9110, 8.6"),
    _case("204", head(status=b"204", end=True), expected="204", source="RFC 9110, 15.3.5"),
    _case("204 with a body", head(status=b"204"), data(b"hello"), expected="204 hello"),
    _case("304 with content-length", head((b"content-length", b"5"), status=b"304", end=True), expected="304", source="RFC 9110, 15.4.5"),
    _case("304 with a body", head(status=b"304"), data(b"hello"), expected="304 hello"),
    _case("HEAD", head((b"content-length", b"5"), end=True), method="HEAD", expected="200", source="RFC 9110, 9.3.2"),
    _case("HEAD with a body", head(), data(b"hello"), method="HEAD", expected=BROKEN, source="RFC 9110, 9.3.2"),
    _case("trailers", head(), data(b"hello", end=False), fields_only((b"x-a", b"1"), end=True), expected=HELLO, source="RFC 9113, 8.1"),
    _case("trailers that do not end the stream", head(), data(b"hello", end=False), fields_only((b"x-a", b"1")), data(b""), expected=BROKEN, source="RFC 9113, 8.1"),
    _case("HEADERS twice", head(), head(), data(b"hello"), expected=BROKEN, source="RFC 9113, 8.1"),
    _case("status among the trailers", head(), data(b"hello", end=False), head(status=b"500", end=True), expected=HELLO),
    _case("DATA before HEADERS", data(b"hello", end=False), *answer(), expected=BROKEN, source="RFC 9113, 8.1"),
    _case("DATA after the end, same packet", *answer(), data(b"forged"), expected=HELLO, source="RFC 9113, 5.1"),
    _case("DATA after the end, while idle", *answer(), IDLE, data(b"forged"), expected=HELLO, source="RFC 9113, 5.1"),
    _case("HEADERS after the end, same packet", *answer(), *answer(b"forged"), expected=HELLO, source="the response was whole", plain=BROKEN),
    _case("HEADERS after the end, while idle", *answer(), IDLE, *answer(b"forged"), expected=HELLO, source="RFC 9113, 5.1"),
    _case("DATA on an idle stream", *answer(), data(b"forged", stream=IDLE_STREAM), expected=HELLO, source="the response was whole", plain=BROKEN),
    _case("HEADERS on an idle stream", *answer(stream=IDLE_STREAM), *answer(), expected=BROKEN, source="RFC 9113, 5.1"),
]  # fmt: skip

FIELDS = [
    _field("uppercase name", b"X-A", b"1", shows="x-a", expected="200 X-A=1"),
    _field("connection", b"connection", b"close"),
    _field("transfer-encoding", b"transfer-encoding", b"chunked"),
    _field("upgrade", b"upgrade", b"h2c"),
    _field("LF in a value", b"x-a", b"a\nb", shows="x-a", expected="200 x-a=a\nb"),
    _field("NUL in a value", b"x-a", b"a\0b", shows="x-a", expected="200 x-a=a\0b"),
    _field("CRLF in a name", b"x-a\r\nb", b"1"),
    _field("empty name", b"", b"1"),
    _field("blanks around a value", b"x-a", b" a ", shows="x-a", expected="200 x-a= a "),
    _field("bytes beyond ASCII", b"x-a", b"\xff\xe4", shows="x-a", expected="200 x-a=\xff\xe4"),
    _case("field: twice", head((b"x-a", b"1"), (b"x-a", b"2")), data(b"hello"), shows="x-a", expected="200 x-a=1|x-a=2", source="RFC 9110, 5.2"),
    _field("12 KiB", b"x-a", b"a" * 12288, source="RFC 9113, 6.5.2"),
    _case("field: 100 KiB, CONTINUATION", *(frame(HEADERS if not start else CONTINUATION, block((b":status", b"200"), (b"x-a", b"a" * 100_000))[start : start + 16384], stream=1, flags=END_HEADERS if start + 16384 > 100_000 else 0) for start in range(0, 100_032, 16384)), data(b"hello"), expected=BROKEN, source="RFC 9113, 6.5.2"),
    _case("CONTINUATION", frame(HEADERS, block((b":status", b"200"))[:4], stream=1), frame(CONTINUATION, block((b":status", b"200"))[4:], stream=1, flags=END_HEADERS), data(b"hello"), expected=HELLO, source="RFC 9113, 6.10"),
    _case("CONTINUATION in its own packet", frame(HEADERS, block((b":status", b"200")), stream=1), TAKEN, frame(CONTINUATION, b"", stream=1, flags=END_HEADERS), data(b"hello"), expected=HELLO, source="RFC 9113, 6.10"),
    _case("PING within a header block", frame(HEADERS, block((b":status", b"200")), stream=1), frame(PING, bytes(8)), *answer(), expected=BROKEN, source="RFC 9113, 6.10"),
    _case("CONTINUATION without HEADERS", frame(CONTINUATION, b"", stream=1, flags=END_HEADERS), *answer(), expected=BROKEN, source="RFC 9113, 6.10"),
    _case("header block that is garbage", frame(HEADERS, b"\xff" * 20, stream=1, flags=END_HEADERS), *answer(), expected=BROKEN, source="RFC 9113, 4.3"),
    _case("header block cut off", frame(HEADERS, block((b":status", b"200"))[:-2], stream=1, flags=END_HEADERS), *answer(), expected=BROKEN, source="RFC 9113, 4.3"),
]  # fmt: skip

REFUSED = "RFC 9113, 8.7: not processed"
GOING = [
    _case("GOAWAY below the call, new connection", goaway(0), FIN, expected="ConnectError", source=REFUSED, plain=BROKEN, modes=(NEW,)),
    _case("GOAWAY below the call, kept connection", goaway(BEFORE), FIN, expected="200 /case/1", source=REFUSED, modes=(STREAMED,), requests=2),
    _case("GOAWAY below the call, connection left open", goaway(BEFORE), IDLE, expected="200 /case/1", source=REFUSED, modes=(STREAMED,), requests=2),
    _case("GOAWAY below a POST", goaway(BEFORE), FIN, method="POST", content=b"hello", expected="200 /case/1", source=REFUSED, modes=(STREAMED,), requests=2),
    _case("GOAWAY below a streamed POST", goaway(BEFORE), FIN, method="POST", content=(b"he", b"llo"), headers=((b"content-length", b"5"),), expected="ConnectError", source=REFUSED, plain=VARIES, modes=(STREAMED,)),
    _case("GOAWAY above the call, then its answer", goaway(1), *answer(), expected=HELLO, source="RFC 9113, 6.8", plain=BROKEN, reused=False),
    _case("GOAWAY above the call, its answer later", goaway(1), TAKEN, *answer(), expected=HELLO, source="RFC 9113, 6.8", plain=VARIES, reused=False),
    _case("GOAWAY of the highest number, then the answer", goaway(2**31 - 1), *answer(), FIN, expected=HELLO, source="RFC 9113, 6.8", plain=BROKEN, reused=False),
    _case("GOAWAY above the call, then FIN", goaway(1), FIN, expected=BROKEN, source="RFC 9113, 6.8"),
    _case("GOAWAY with an error above the call, then FIN", goaway(1, INTERNAL_ERROR), FIN, expected=BROKEN, source="RFC 9113, 6.8"),
    _case("GOAWAY after the headers, then the body", head(), goaway(1), data(b"hello"), expected=HELLO, source="RFC 9113, 6.8", plain=BROKEN, reused=False),
    _case("GOAWAY after the headers, below the call", head(), TAKEN, goaway(0), FIN, expected=BROKEN, source="the call had begun", plain=VARIES),
    _case("GOAWAY after the headers, below the call, same packet", head(), goaway(0), FIN, expected=BROKEN, source="the call had begun", plain=VARIES),
    _case("GOAWAY after the headers, kept connection, below the call", head(), TAKEN, goaway(BEFORE), FIN, expected=BROKEN, source="the call had begun", plain=VARIES, modes=(STREAMED,)),
    _case("GOAWAY in the body, then FIN", head(), data(b"he", end=False), TAKEN, goaway(1), FIN, expected=BROKEN, source="RFC 9113, 6.8"),
    _case("GOAWAY in the body, below the call", head(), data(b"he", end=False), goaway(0), FIN, expected=BROKEN, source="the call had begun"),
    _case("GOAWAY in the body, with an error", head(), data(b"he", end=False), TAKEN, goaway(1, ENHANCE_YOUR_CALM), FIN, expected=BROKEN, source="RFC 9113, 6.8"),
    _case("GOAWAY in the body, then its rest", head(), data(b"he", end=False), TAKEN, goaway(1), TAKEN, data(b"llo"), expected=HELLO, source="RFC 9113, 6.8", plain=VARIES, reused=False),
    _case("GOAWAY after the response, same packet", *answer(), goaway(1), FIN, expected=HELLO, source="RFC 9113, 6.8", plain=VARIES, reused=False),
    _case("GOAWAY while idle", *answer(), IDLE, goaway(1), FIN, expected=HELLO, source="RFC 9113, 6.8", reused=False),
    _case("GOAWAY twice, the second below the call", goaway(2**31 - 1), goaway(0), FIN, expected="ConnectError", source=REFUSED, plain=BROKEN),
    _case("GOAWAY between two calls", goaway(1), *answer(), calls=2, awaits=2, expected="200 hello; 200 /case/2", source=REFUSED, plain=VARIES, modes=(STREAMED,)),
]  # fmt: skip

RESETS = [
    *(_case(f"{name} before the response", reset(code), expected=BROKEN, source="RFC 9113, 5.4.2") for name, code in CODES.items()),
    *(_case(f"{name} after the headers", head(), reset(code), expected=BROKEN, source="RFC 9113, 5.4.2") for name, code in CODES.items()),
    *(_case(f"{name} in the body", head(), data(b"he", end=False), TAKEN, reset(code), expected=BROKEN, source="RFC 9113, 5.4.2") for name, code in CODES.items()),
    _case("NO_ERROR after the response", *answer(), reset(NO_ERROR), expected=HELLO, source="RFC 9113, 8.1"),
    _case("CANCEL after the response, while idle", *answer(), IDLE, reset(CANCEL), expected=HELLO, source="RFC 9113, 5.1"),
    _case("an unknown code before the response", reset(0xABCD), expected=BROKEN, source="RFC 9113, 7"),
    _case("RST_STREAM of an idle stream", reset(CANCEL, stream=IDLE_STREAM), *answer(), expected=HELLO),
]  # fmt: skip

UPLOAD: dict[str, Any] = {"method": "POST", "content": (b"a" * 10, b"b" * 10), "headers": ((b"content-length", b"20"),), "early": True}  # fmt: skip
EARLY = [
    _case("early 413, then NO_ERROR", head(status=b"413"), data(b"hello"), reset(NO_ERROR), **UPLOAD | {"source": "RFC 9113, 8.1"}, expected="413 hello"),
    _case("early 200, all the same sent", *answer(), **UPLOAD, expected=HELLO),
    _case("early 500, then the rest is read", head(status=b"500"), BODY, data(b"hello"), **UPLOAD, expected="500 hello"),
    _case("early REFUSED_STREAM", reset(REFUSED_STREAM), **UPLOAD, expected=BROKEN),
    _case("early FIN", FIN, **UPLOAD, expected=BROKEN, plain=VARIES),
    _case("early GOAWAY", goaway(1), BODY, *answer(), **UPLOAD, expected=HELLO, plain=VARIES),
]  # fmt: skip

CONNECTION = [
    _case("SETTINGS at any time", settings((INITIAL_WINDOW_SIZE, 100_000)), TAKEN, *answer(), expected=HELLO, source="RFC 9113, 6.5"),
    _case("unknown setting", settings((0xFACE, 1), (0x10, 2)), *answer(), expected=HELLO, source="RFC 9113, 6.5.2"),
    _case("SETTINGS of an invalid size", frame(SETTINGS, b"\0" * 5), *answer(), expected=BROKEN, source="RFC 9113, 6.5"),
    _case("SETTINGS with push", settings((ENABLE_PUSH, 1)), *answer(), expected=BROKEN, source="RFC 9113, 6.5.2"),
    _case("SETTINGS with a frame size of 1", settings((MAX_FRAME_SIZE, 1)), *answer(), expected=BROKEN, source="RFC 9113, 6.5.2"),
    _case("SETTINGS with a window of 2^31", settings((INITIAL_WINDOW_SIZE, 2**31)), *answer(), expected=BROKEN, source="RFC 9113, 6.5.2"),
    _case("acknowledgement that was not asked for", frame(SETTINGS, flags=1), *answer(), expected=HELLO),
    _case("no streams allowed", *answer(), settings=((MAX_CONCURRENT_STREAMS, 0),), expected=HELLO, source="RFC 9113, 5.1.2", modes=(NEW,)),
    _case("no streams allowed any more", settings((MAX_CONCURRENT_STREAMS, 0)), *answer(), expected=HELLO, source="RFC 9113, 5.1.2"),
    _case("no streams allowed, later some", settings((MAX_CONCURRENT_STREAMS, 0)), *answer(), IDLE, settings((MAX_CONCURRENT_STREAMS, 10)), expected=HELLO, source="RFC 9113, 5.1.2"),
    _case("no streams allowed, two calls", settings((MAX_CONCURRENT_STREAMS, 0)), *answer(), TAKEN, *answer(stream=2), calls=2, expected="200 hello; 200 hello", source="RFC 9113, 5.1.2", modes=(STREAMED,)),
    _case("one stream allowed, three calls", TAKEN, *answer(), settings=((MAX_CONCURRENT_STREAMS, 1),), calls=3, awaits=1, expected="200 hello; 200 /case/2; 200 /case/3", source="RFC 9113, 5.1.2"),
    _case("fewer streams allowed than there are", settings((MAX_CONCURRENT_STREAMS, 1)), TAKEN, *answer(), *answer(stream=2), *answer(stream=3), calls=3, expected="200 hello; 200 hello; 200 hello", source="RFC 9113, 5.1.2", plain=VARIES),
    _case("window of 0, opened bit by bit", window(2), TAKEN, window(3), BODY, *answer(), settings=((INITIAL_WINDOW_SIZE, 0),), method="POST", content=b"hello", early=True, expected=HELLO, source="RFC 9113, 6.9", modes=(STREAMED,)),
    _case("window of 0, opened by SETTINGS", settings((INITIAL_WINDOW_SIZE, 5)), BODY, *answer(), settings=((INITIAL_WINDOW_SIZE, 0),), method="POST", content=b"hello", early=True, expected=HELLO, source="RFC 9113, 6.9.2", modes=(STREAMED,)),
    _case("window of 0, never opened", IDLE, settings=((INITIAL_WINDOW_SIZE, 0),), method="POST", content=b"hello", early=True, timeout=(("read", 0.3), ("write", 0.3)), expected="ReadTimeout", modes=(STREAMED,)),
    _case("window of 0, answered all the same", head(status=b"413"), data(b"hello"), settings=((INITIAL_WINDOW_SIZE, 0),), method="POST", content=b"hello", early=True, expected="413 hello", source="RFC 9113, 8.1", plain="hangs", modes=(STREAMED,)),
    _case("window of 0, reset", reset(CANCEL), settings=((INITIAL_WINDOW_SIZE, 0),), method="POST", content=b"hello", early=True, expected=BROKEN, source="RFC 9113, 5.4.2", plain=VARIES, modes=(STREAMED,)),
    _case("window of 0, FIN", FIN, settings=((INITIAL_WINDOW_SIZE, 0),), method="POST", content=b"hello", early=True, expected=BROKEN, source="RFC 9113, 5.4.2", plain=VARIES, modes=(STREAMED,)),
    _case("WINDOW_UPDATE by 0", window(0), *answer(), expected=BROKEN, source="RFC 9113, 6.9"),
    _case("WINDOW_UPDATE past 2^31", window(2**31 - 1, stream=0), *answer(), expected=BROKEN, source="RFC 9113, 6.9.1"),
    _case("PING", frame(PING, b"12345678"), *answer(), expected=HELLO, source="RFC 9113, 6.7"),
    _case("PING of an invalid size", frame(PING, b"1234"), *answer(), expected=BROKEN, source="RFC 9113, 6.7"),
    _case("unknown frame", frame(0xFA, b"hello"), *answer(), expected=HELLO, source="RFC 9113, 5.5"),
    _case("PRIORITY", frame(2, bytes(5), stream=1), *answer(), expected=HELLO, source="RFC 9113, 6.3"),
    _case("PUSH_PROMISE", frame(PUSH_PROMISE, (2).to_bytes(4, "big") + block((b":method", b"GET"), (b":scheme", b"https"), (b":authority", b"x"), (b":path", b"/")), stream=1, flags=END_HEADERS), *answer(), expected=BROKEN, source="RFC 9113, 8.4"),
    _case("frame larger than allowed", head(), data(b"h" * 16385), expected=BROKEN, source="RFC 9113, 4.2", plain="h2.exceptions.FrameTooLargeError"),
    _case("DATA on stream 0", head(), frame(DATA, b"hello"), expected=BROKEN, source="RFC 9113, 6.1"),
    _case("garbage instead of a response", b"garbage, and more of it\r\n" * 3, FIN, expected=BROKEN, source="RFC 9113, 4.1"),
    _case("garbage after the headers", head(), b"\xff" * 64, FIN, expected=BROKEN, source="RFC 9113, 4.1"),
    _case("garbage after the response, same packet", *answer(), b"\xff" * 64, expected=HELLO, source="the response was whole", plain=VARIES),
    _case("garbage while idle", *answer(), IDLE, b"\xff" * 64, expected=HELLO, source="RFC 9113, 4.1"),
    _case("HTTP/1.1 at the start", HTTP1, awaits=0, expected=BROKEN, source="RFC 9113, 3.4", plain="hangs", requests=None, modes=(NEW,)),
    _case("HTTP/1.1 at the start, then FIN", HTTP1, FIN, awaits=0, expected=BROKEN, source="RFC 9113, 3.4", plain=VARIES, requests=None, modes=(NEW,)),
    _case("HTTP/1.1 instead of a response", HTTP1, FIN, expected=BROKEN, source="RFC 9113, 4.1"),
    _case("no SETTINGS at the start", settings(), awaits=0, expected="200 /case/1", source="RFC 9113, 3.4", modes=(NEW,)),
    _case("GOAWAY at the start", settings(), goaway(0), FIN, awaits=0, expected="ConnectError", source=REFUSED, plain=VARIES, modes=(NEW,), requests=None),
    _case("FIN at the start", FIN, awaits=0, expected=BROKEN, source="the call had begun", plain=VARIES, modes=(NEW,), requests=None),
    _case("RST at the start", RST, awaits=0, expected=RESET, source="the call had begun", plain=VARIES, modes=(NEW,), requests=None),
]  # fmt: skip

STAGES: dict[str, tuple[bytes | Step, ...]] = {
    "after the headers": (head(), TAKEN),
    "in the body": (head(), data(b"he", end=False), TAKEN),
    "before the end of the stream": (_length(b"5"), data(b"hello", end=False), TAKEN),
    "in a frame": (head(), data(b"hello")[:11], TAKEN),
}
POST: dict[str, Any] = {"method": "POST", "content": b"hello", "modes": (STREAMED,), "source": "DECISIONS.md, The wire"}  # fmt: skip
CUTS = [
    *(_case(f"{step.name} {when}", *script, step, expected=RESET if step is RST else BROKEN, source="RFC 9113, 9.1", plain=VARIES) for when, script in STAGES.items() for step in (FIN, CUT, RST)),
    *(_case(f"{step.name} after the request, new connection", step, expected=RESET if step is RST else BROKEN, source="the call had begun", plain=VARIES, modes=(NEW,)) for step in (FIN, CUT, RST)),
    *(_case(f"{step.name} after the request, kept connection", step, expected="200 /case/1", source="DECISIONS.md, The wire", plain=VARIES, modes=(STREAMED,), requests=2) for step in (FIN, CUT, RST)),
    *(_case(f"{step.name} after a POST, kept connection", step, expected=RESET if step is RST else BROKEN, plain=VARIES, **POST) for step in (FIN, CUT, RST)),
    *(_case(f"{step.name} after the response", *answer(), step, expected=HELLO, source="the response was whole", reused=False) for step in (FIN, CUT, RST)),
    *(_case(f"{step.name} while idle", *answer(), IDLE, step, expected=HELLO, source="the response was whole", reused=False) for step in (FIN, CUT, RST)),
]  # fmt: skip

OLD: dict[str, Any] = {"protocol": "http/1.1", "source": "RFC 9110, 7.6: surplus is no answer"}
HTTP1_BY_ALPN = [
    _case("http/1.1 by ALPN", HTTP1, **OLD, expected=HELLO, reused=True),
    _case("http/1.1 by ALPN, surplus response in the same packet", HTTP1 + HTTP1.replace(b"hello", b"wrong"), **OLD, expected=HELLO, reused=False),
    _case("http/1.1 by ALPN, surplus response while idle", HTTP1, IDLE, HTTP1.replace(b"hello", b"wrong"), **OLD, expected=HELLO, reused=False),
    _case("http/1.1 by ALPN, a frame", settings(), FIN, **OLD, expected=BROKEN),
]  # fmt: skip

BESIDE = answer(stream=2) + answer(stream=3)
UNHARMED = "; 200 hello; 200 hello"
THREE: dict[str, Any] = {"calls": 3, "source": "RFC 9113, 5.4.2", "plain": VARIES}
CONCURRENT = [
    _case("beside: INTERNAL_ERROR", reset(INTERNAL_ERROR), TAKEN, *BESIDE, **THREE, expected=BROKEN + UNHARMED),
    _case("beside: CANCEL in a body", head(), data(b"he", end=False), TAKEN, reset(CANCEL), *BESIDE, **THREE, expected=BROKEN + UNHARMED),
    _case("beside: status abc", head(status=b"abc"), data(b"hello"), TAKEN, *BESIDE, **THREE, expected=BROKEN + UNHARMED),
    _case("beside: answers in reverse order", *answer(stream=3), TAKEN, *answer(stream=2), TAKEN, *answer(), **THREE, expected=HELLO + UNHARMED),
    _case("beside: answers interleaved", head(stream=3), head(), head(stream=2), data(b"he", end=False), data(b"hello", stream=3), TAKEN, data(b"llo"), data(b"hello", stream=2), **THREE, expected=HELLO + UNHARMED),
    _case("beside: content-length longer than the body", _length(b"6"), data(b"hello"), TAKEN, *BESIDE, calls=3, source="h2 ends the connection", expected="; ".join([BROKEN] * 3), plain=VARIES),
    _case("beside: GOAWAY below one of them", goaway(2), *answer(stream=2), *answer(), calls=3, awaits=3, source=REFUSED, expected="200 hello; 200 hello; 200 /case/3", plain=VARIES, modes=(STREAMED,)),
    _case("beside: FIN", *answer(stream=2), FIN, **THREE, expected=f"{BROKEN}; 200 hello; {BROKEN}"),
    _case("beside: RST", *answer(stream=2), RST, **THREE, expected=f"{RESET}; 200 hello; {RESET}"),
]  # fmt: skip


def _sent(name: str, rest: str, **given: Any) -> HTTP2Case:
    """A request that arrives with ``rest`` after its pseudo-header fields."""
    start = ":method={}|:authority=up|:scheme=https|:path=/case/1".format(
        given.get("method", "GET")
    )
    return _case(
        f"request: {name}",
        *answer(b""),
        **{"shows": "request", "expected": f"200 {start}{rest}", **given},
    )


def _rejected(name: str, **given: Any) -> HTTP2Case:
    """A request that is rejected before any of it is sent, while others are in flight."""
    more = {
        "calls": 3,
        "awaits": 2,
        "requests": 0,
        "reused": True,
        "modes": (STREAMED,),
        "source": "RFC 9113, 8.2.1",
        **given,
    }
    return _case(
        f"request: {name}", IDLE, *BESIDE, expected=NOTHING_SENT + UNHARMED, plain=VARIES, **more
    )


def _cut(name: str, **given: Any) -> HTTP2Case:
    """A request whose body is not of its announced length, while others are in flight."""
    more = {
        "calls": 3,
        "awaits": 2,
        "early": True,
        "requests": 1,
        "modes": (STREAMED,),
        "source": "RFC 9113, 8.1.1",
        **given,
    }
    return _case(
        f"request: {name}",
        IDLE,
        *BESIDE,
        method="POST",
        expected=PARTLY_SENT + UNHARMED,
        plain=VARIES,
        **more,
    )


LENGTH = b"content-length"
REQUESTS = [
    _sent("GET", "||"),
    _sent("POST", "|content-length=5||hello", method="POST", content=b"hello"),
    _sent("streamed POST", "||hello", method="POST", content=(b"he", b"llo")),
    _sent("uppercase name", "|x-a=1||", headers=((b"X-A", b"1"),)),
    _sent("equal fields", "|x-a=1|x-a=2||", headers=((b"X-A", b"1"), (b"x-a", b"2"))),
    _sent("cookies", "|cookie=a=1; b=2||", headers=((b"Cookie", b"a=1; b=2"),)),
    _sent("TE: trailers", "|te=trailers||", headers=((b"TE", b"trailers"),)),
    *(_sent(f"{name}: {value}", "||", headers=((name.encode(), value.encode()),)) for name, value in (("Connection", "close"), ("Connection", "keep-alive"), ("Upgrade", "h2c"), ("Keep-Alive", "timeout=5"), ("Proxy-Connection", "close"))),
    _sent("bytes beyond ASCII", "|x-a=\xff\xe4||", headers=((b"X-A", b"\xff\xe4"),)),
    _sent("another Host", "", expected="200 :method=GET|:authority=other|:scheme=https|:path=/case/1||", headers=((b"Host", b"other"),)),
    _sent("target extension", "", expected="200 :method=GET|:authority=up|:scheme=https|:path=/case/1||", target="/other", raw_target=b"/case/1", plain=VARIES),
    _sent("expect: 100-continue", "|expect=100-continue|content-length=5||hello", headers=((b"Expect", b"100-continue"),), method="POST", content=b"hello"),
    *(_rejected(f"{name} in a value", headers=((b"X-A", b"a" + sign + b"b"),)) for name, sign in {"CRLF": b"\r\n", "LF": b"\n", "CR": b"\r", "NUL": b"\0"}.items()),
    _rejected("CRLF in a name", headers=((b"X-A\r\nB", b"1"),)),
    _rejected("empty name", headers=((b"", b"1"),)),
    _rejected("pseudo-header field", headers=((b":path", b"/"),)),
    _rejected("TE: gzip", headers=((b"TE", b"gzip"),), source="RFC 9113, 8.2.2"),
    _rejected("target extension, CRLF", raw_target=b"/a\r\nb"),
    _rejected("target extension, empty", raw_target=b""),
    *(_rejected(f"content-length {length.decode()} for 5 bytes", method="POST", content=b"hello", headers=((LENGTH, length),), source="RFC 9113, 8.1.1") for length in (b"4", b"6", b"abc", b"-5")),
    _rejected("content-length without a body", headers=((LENGTH, b"5"),), source="RFC 9113, 8.1.1"),
    _rejected("two different content-lengths", method="POST", content=b"hello", headers=((LENGTH, b"5"), (LENGTH, b"6")), source="RFC 9110, 8.6"),
    _cut("streamed body longer than announced", headers=((LENGTH, b"3"),), content=(b"he", b"llo")),
    _cut("streamed body shorter than announced", headers=((LENGTH, b"9"),), content=(b"he", b"llo")),
]  # fmt: skip

ALL = STATUS + BODIES + FIELDS + GOING + RESETS + EARLY + CONNECTION + CUTS + HTTP1_BY_ALPN + CONCURRENT + REQUESTS  # fmt: skip
HTTP2_CASES: dict[str, HTTP2Case] = {case.name: case for case in ALL}
assert len(HTTP2_CASES) == len(ALL)
