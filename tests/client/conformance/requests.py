"""Requests as given to httpx, and the bytes that arrive or the rejection."""

# One case per line, so that the tables can be compared by eye.
# ruff: noqa: E501

from typing import Any

from .case import NEW, NOTHING_SENT, PARTLY_SENT, WHOLE, Case, Step

HOST = (b"Host", b"up")
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
MIB = 1024 * 1024
# Plain httpx sends the head, and then raises an exception of its parser.
UNMAPPED = "h11._util.LocalProtocolError"


def _accept(name: str, expected: str, source: str = "plain httpx", **given: Any) -> Case:
    """Expect these bytes to arrive; a bar stands for each line break."""
    wire = "200 " + expected.replace("|", "\r\n")
    return Case(name, (OK,), wire, source, **{"shows": "request", **given})


def _reject(name: str, source: str, **given: Any) -> Case:
    """Expect a rejection before any byte is sent."""
    return Case(name, (OK,), NOTHING_SENT, source, **{"shows": "request", **given})


TARGETS = [
    _accept("path", "GET /a/b HTTP/1.1|Host: up||", target="/a/b"),
    _accept("root", "GET / HTTP/1.1|Host: up||", target="/"),
    _accept("no path", "GET / HTTP/1.1|Host: up||", target=""),
    _accept("query", "GET /x?a=1&b=2 HTTP/1.1|Host: up||", target="/x?a=1&b=2"),
    _accept("empty query", "GET /x? HTTP/1.1|Host: up||", target="/x?"),
    _accept("empty query of the root", "GET /? HTTP/1.1|Host: up||", target="/?"),
    _accept("two question marks", "GET /x?? HTTP/1.1|Host: up||", target="/x??"),
    _accept("fragment", "GET /x HTTP/1.1|Host: up||", target="/x#part"),
    _accept("escaped characters", "GET /a%2Fb%20c%7e HTTP/1.1|Host: up||", target="/a%2Fb%20c%7e"),
    _accept("space", "GET /a%20b?c%20d HTTP/1.1|Host: up||", target="/a b?c d"),
    _accept("non-ASCII", "GET /%C3%A4?%C3%BC HTTP/1.1|Host: up||", target="/ä?ü"),
    _accept("plus and semicolon", "GET /a+b;c?d+e HTTP/1.1|Host: up||", target="/a+b;c?d+e"),
    _accept("brackets and a caret in the query", "GET /x?q=[a]^b HTTP/1.1|Host: up||", target="/x?q=[a]^b"),
    _accept("two slashes", "GET //a//b HTTP/1.1|Host: up||", target="//a//b"),
    _accept("dots", "GET /b HTTP/1.1|Host: up||", target="/a/../b"),
    _accept("colon and at sign", "GET /a:b@c HTTP/1.1|Host: up||", target="/a:b@c"),
    _accept("quotes and percent", "GET /%22'%zz HTTP/1.1|Host: up||", target="/\"'%zz"),
    _accept("8 KiB of query", f"GET /x?{'q' * 8192} HTTP/1.1|Host: up||", target="/x?" + "q" * 8192),
    _accept("target extension: asterisk", "OPTIONS * HTTP/1.1|Host: up||", method="OPTIONS", raw_target=b"*"),
    _accept("target extension: unescaped", "GET /x?q=[a\\b]^`{}\" HTTP/1.1|Host: up||", raw_target=b'/x?q=[a\\b]^`{}"'),
    _accept("target extension: escaped", "GET /%2e%2E/x HTTP/1.1|Host: up||", raw_target=b"/%2e%2E/x"),
    _accept("target extension: dots", "GET /../x HTTP/1.1|Host: up||", raw_target=b"/../x"),
    _accept("target extension: URL", "GET http://other/x HTTP/1.1|Host: up||", raw_target=b"http://other/x"),
    _accept("target extension: fragment", "GET /x#y HTTP/1.1|Host: up||", raw_target=b"/x#y"),
    _reject("target extension: empty", "RFC 9112, 3", raw_target=b""),
    _reject("target extension: space", "RFC 9112, 3.2", raw_target=b"/a b"),
    _reject("target extension: a second request", "RFC 9112, 3.2", raw_target=b"/ HTTP/1.1\r\nHost: x\r\n\r\nGET /"),
    _reject("target extension: LF", "RFC 9112, 3.2", raw_target=b"/a\nb"),
    _reject("target extension: NUL", "RFC 9112, 3.2", raw_target=b"/a\0b"),
    _reject("target extension: non-ASCII", "RFC 9112, 3.2", raw_target="/ä".encode()),
]  # fmt: skip

METHODS = [
    *(
        _accept(method, f"{method} /case HTTP/1.1|Host: up||", method=method)
        for method in ("GET", "HEAD", "OPTIONS", "DELETE", "TRACE", "PROPFIND", "M-SEARCH", "!#$%&'*+-.^_`~")
    ),
    *(
        _accept(f"{method} without content", f"{method} /case HTTP/1.1|Host: up|Content-Length: 0||", method=method, source="RFC 9110, 8.6")
        for method in ("POST", "PUT", "PATCH")
    ),
    *(
        _accept(f"{method} with content", f"{method} /case HTTP/1.1|Host: up|Content-Length: 5||hello", method=method, content=b"hello")
        for method in ("GET", "POST", "PUT", "PATCH", "DELETE", "QUERY", "OPTIONS")
    ),
    *(
        _reject(f"method {name}", "RFC 9112, 3.1", method=method)
        for name, method in {
            "of two words": "GET /x HTTP/1.1\r\nX: GET",
            "with a space": "BAD METHOD",
            "with a line break": "GET\r\n",
            "with NUL": "GE\0T",
            "with a colon": "GET:",
            "with a slash": "GET/",
            "with a parenthesis": "GET(",
            "with a tab": "GE\tT",
        }.items()
    ),
    _reject("empty method", "RFC 9112, 3.1", method=""),
]  # fmt: skip

HEADERS = [
    _accept("names in their own case", "GET /case HTTP/1.1|Host: up|x-MiXeD: 1||", "RFC 9110, 5.1", headers=(HOST, (b"x-MiXeD", b"1"))),
    _accept("order", "GET /case HTTP/1.1|Host: up|B: 1|A: 2|C: 3|A: 4||", "RFC 9110, 5.3", headers=(HOST, (b"B", b"1"), (b"A", b"2"), (b"C", b"3"), (b"A", b"4"))),
    _accept("equal names that differ in case", "GET /case HTTP/1.1|Host: up|X-A: 1|x-a: 2|X-a: 3||", "RFC 9110, 5.3", headers=(HOST, (b"X-A", b"1"), (b"x-a", b"2"), (b"X-a", b"3"))),
    _accept("Host in lower case", "GET /case HTTP/1.1|host: up||", headers=((b"host", b"up"),)),
    _accept("Host of another name", "GET /case HTTP/1.1|Host: other.example||", headers=((b"Host", b"other.example"),)),
    _accept("Host given last", "GET /case HTTP/1.1|Host: up|A: 1||", "RFC 9110, 7.2", headers=((b"A", b"1"), HOST)),
    _accept("Latin-1 bytes", "GET /case HTTP/1.1|Host: up|X-A: M\xfcller||", "RFC 9110, 5.5", headers=(HOST, (b"X-A", b"M\xfcller"))),
    _accept("UTF-8 bytes", "GET /case HTTP/1.1|Host: up|X-A: MÃ¼ller||", "RFC 9110, 5.5", headers=(HOST, (b"X-A", "Müller".encode()))),
    _accept("Latin-1 and UTF-8 bytes", "GET /case HTTP/1.1|Host: up|A: \xe9|B: Ã©||", "RFC 9110, 5.5", headers=(HOST, (b"A", b"\xe9"), (b"B", "é".encode()))),
    _accept("empty value", "GET /case HTTP/1.1|Host: up|X-A: ||", "RFC 9110, 5.5", headers=(HOST, (b"X-A", b""))),
    _accept("tab in a value", "GET /case HTTP/1.1|Host: up|X-A: a\tb  c||", "RFC 9110, 5.5", headers=(HOST, (b"X-A", b"a\tb  c"))),
    _accept("every token character", "GET /case HTTP/1.1|Host: up|!#$%&'*+-.^_`~09az: 1||", "RFC 9110, 5.6.2", headers=(HOST, (b"!#$%&'*+-.^_`~09az", b"1"))),
    _accept("value of 32 KiB", f"GET /case HTTP/1.1|Host: up|X-A: {'v' * 32768}||", headers=(HOST, (b"X-A", b"v" * 32768))),
    _accept("200 fields", "GET /case HTTP/1.1|Host: up|" + "".join(f"X-{n}: 1|" for n in range(200)) + "|", headers=(HOST, *((b"X-%d" % n, b"1") for n in range(200)))),
    _accept("User-Agent as given", "GET /case HTTP/1.1|Host: up|User-Agent: x||", headers=(HOST, (b"User-Agent", b"x"))),
    _accept("Accept as given", "GET /case HTTP/1.1|Host: up|accept: a/b|Accept-Encoding: x||", headers=(HOST, (b"accept", b"a/b"), (b"Accept-Encoding", b"x"))),
    _accept("Cookie as given", "GET /case HTTP/1.1|Host: up|Cookie: a=1; b=\"2\"|Cookie: c||", headers=(HOST, (b"Cookie", b'a=1; b="2"'), (b"Cookie", b"c"))),
    _accept("Authorization as given", "GET /case HTTP/1.1|Host: up|Authorization: Basic YTpi||", headers=(HOST, (b"Authorization", b"Basic YTpi"))),
    _accept("TE as given", "GET /case HTTP/1.1|Host: up|TE: trailers||", headers=(HOST, (b"TE", b"trailers"))),
    _accept("Connection: close", "GET /case HTTP/1.1|Host: up|Connection: close||", "RFC 9112, 9.3", headers=(HOST, (b"Connection", b"close")), reused=False),
    _accept("Connection: keep-alive", "GET /case HTTP/1.1|Host: up|Connection: keep-alive||", "RFC 9112, 9.3", headers=(HOST, (b"Connection", b"keep-alive")), reused=True),
    _accept("Connection: x-a, Close", "GET /case HTTP/1.1|Host: up|Connection: x-a, Close||", "RFC 9112, 9.3", headers=(HOST, (b"Connection", b"x-a, Close")), reused=False),
    _accept("Content-Type as given", "POST /case HTTP/1.1|Host: up|content-type: a/b|Content-Length: 2||{}", method="POST", headers=(HOST, (b"content-type", b"a/b"), (b"Content-Length", b"2")), content=b"{}"),
    _accept("no Content-Type", "POST /case HTTP/1.1|Host: up|Content-Length: 2||{}", method="POST", headers=(HOST, (b"Content-Length", b"2")), content=b"{}"),
    _reject("two Hosts", "RFC 9112, 3.2", headers=(HOST, (b"Host", b"other"))),
    _reject("two equal Hosts", "RFC 9112, 3.2", headers=(HOST, (b"host", b"up"))),
    _reject("no Host", "RFC 9112, 3.2", without=("Host",)),
    *(
        _reject(f"name {name}", "RFC 9110, 5.1", headers=(HOST, (given, b"1")))
        for name, given in {
            "with a space": b"X A", "with a colon": b"X:A", "with a line break": b"X\r\nA", "with LF": b"X\nA", "with NUL": b"X\0A",
            "with a tab": b"X\tA", "in Latin-1": b"X-\xe4", "in UTF-8": "X-ä".encode(), "in quotes": b'"X"', "that ends with a space": b"X-A ",
            "that begins with a space": b" X-A", "with a parenthesis": b"X(A)",
        }.items()
    ),
    _reject("empty name", "RFC 9110, 5.1", headers=(HOST, (b"", b"1"))),
    *(
        _reject(f"value {name}", "RFC 9110, 5.5", headers=(HOST, (b"X-A", given)))
        for name, given in {
            "with a second field": b"1\r\nX-B: 2", "with LF": b"1\n2", "with CR": b"1\r2", "with NUL": b"1\x002",
            "that ends with CRLF": b"1\r\n", "that ends with LF": b"1\n", "folded": b"1\r\n 2",
            "that begins with a space": b" 1", "that ends with a space": b"1 ", "that begins with a tab": b"\t1", "that ends with a tab": b"1\t", "of one space": b" ",
        }.items()
    ),
    _reject("Host with a line break", "RFC 9110, 5.5", headers=((b"Host", b"up\r\nX: 1"),)),
]  # fmt: skip

CHUNKED = (b"Transfer-Encoding", b"chunked")
FRAMING = [
    _accept("Content-Length as given", "POST /case HTTP/1.1|Host: up|content-length: 5||hello", "RFC 9112, 6.2", method="POST", headers=(HOST, (b"content-length", b"5")), content=b"hello"),
    _accept("Content-Length: 0 with GET", "GET /case HTTP/1.1|Host: up|Content-Length: 0||", "RFC 9112, 6.2", headers=(HOST, (b"Content-Length", b"0"))),
    _accept("stream with Content-Length", "POST /case HTTP/1.1|Host: up|Content-Length: 5||hello", "RFC 9112, 6.2", method="POST", headers=(HOST, (b"Content-Length", b"5")), content=(b"he", b"llo"), reused=True),
    _accept("stream with Content-Length and an empty chunk", "POST /case HTTP/1.1|Host: up|Content-Length: 5||hello", "RFC 9112, 6.2", method="POST", headers=(HOST, (b"Content-Length", b"5")), content=(b"he", b"", b"llo")),
    _accept("empty stream with Content-Length: 0", "POST /case HTTP/1.1|Host: up|Content-Length: 0||", "RFC 9112, 6.2", method="POST", headers=(HOST, (b"Content-Length", b"0")), content=(b"",)),
    _accept("stream", "POST /case HTTP/1.1|Host: up|Transfer-Encoding: chunked||hello", "RFC 9112, 7.1", method="POST", content=(b"he", b"llo"), reused=True),
    _accept("stream with an empty chunk", "POST /case HTTP/1.1|Host: up|Transfer-Encoding: chunked||hello", "RFC 9112, 7.1", method="POST", content=(b"he", b"", b"llo"), reused=True),
    _accept("empty stream", "POST /case HTTP/1.1|Host: up|Transfer-Encoding: chunked||", "RFC 9112, 7.1", method="POST", content=(b"",), reused=True),
    _accept("stream with GET", "GET /case HTTP/1.1|Host: up|Transfer-Encoding: chunked||hello", "RFC 9112, 7.1", content=(b"hello",)),
    _accept("chunked without content", "POST /case HTTP/1.1|Host: up|Transfer-Encoding: chunked||", "RFC 9112, 7.1", method="POST", headers=(HOST, CHUNKED), reused=True),
    _accept("large chunk", "POST /case HTTP/1.1|Host: up|Transfer-Encoding: chunked||" + "z" * MIB, "RFC 9112, 7.1", method="POST", content=(b"z" * MIB,)),
    _accept("1000 chunks", "POST /case HTTP/1.1|Host: up|Transfer-Encoding: chunked||" + "z" * 1000, "RFC 9112, 7.1", method="POST", content=(b"z",) * 1000),
    _accept("large content", f"PUT /case HTTP/1.1|Host: up|Content-Length: {4 * MIB}||" + "z" * 4 * MIB, "RFC 9112, 6.2", method="PUT", content=b"z" * 4 * MIB, reused=True),
    _accept("content that looks like a request", "POST /case HTTP/1.1|Host: up|Content-Length: 28||GET /own/x HTTP/1.1|Host: x", "RFC 9112, 6.2", method="POST", content=b"GET /own/x HTTP/1.1\r\nHost: x"),
    _accept("Expect is sent and not waited for", "POST /case HTTP/1.1|Host: up|Expect: 100-continue|Content-Length: 5||hello", "plain httpx", method="POST", headers=(HOST, (b"Expect", b"100-continue"), (b"Content-Length", b"5")), content=b"hello", reused=True),
    _accept("Expect with a stream", "POST /case HTTP/1.1|Host: up|Expect: 100-continue|Transfer-Encoding: chunked||hello", "plain httpx", method="POST", headers=(HOST, (b"Expect", b"100-continue"), CHUNKED), content=(b"he", b"llo")),
    _accept("Expect of another value", "GET /case HTTP/1.1|Host: up|Expect: x||", "plain httpx", headers=(HOST, (b"Expect", b"x"))),
    *(
        _reject(name, "RFC 9112, 6.3", plain=plain.replace("|", "\r\n"), method=method, content=content, headers=(HOST, *headers))
        for name, method, content, headers, plain in (
            ("GET with Content-Length: 5 and no content", "GET", b"", [(b"Content-Length", b"5")], UNMAPPED),
            ("POST with Content-Length: 5 and no content", "POST", b"", [(b"Content-Length", b"5")], UNMAPPED),
            ("Content-Length below the content", "POST", b"hello", [(b"Content-Length", b"4")], UNMAPPED),
            ("Content-Length: 0 with content", "POST", b"hello", [(b"Content-Length", b"0")], UNMAPPED),
            ("Content-Length above the content", "POST", b"hello", [(b"Content-Length", b"6")], UNMAPPED),
            ("two equal Content-Lengths", "POST", b"hello", [(b"Content-Length", b"5")] * 2, "200 POST /case HTTP/1.1|Host: up|Content-Length: 5||hello"),
            ("two Content-Lengths in two cases", "POST", b"hello", [(b"Content-Length", b"5"), (b"content-length", b"5")], "200 POST /case HTTP/1.1|Host: up|Content-Length: 5||hello"),
            ("two different Content-Lengths", "POST", b"hello", [(b"Content-Length", b"5"), (b"Content-Length", b"6")], ""),
            ("equal Content-Lengths in a list", "POST", b"hello", [(b"Content-Length", b"5, 5")], "200 POST /case HTTP/1.1|Host: up|Content-Length: 5||hello"),
            ("different Content-Lengths in a list", "POST", b"hello", [(b"Content-Length", b"5, 6")], ""),
            ("Content-Length with a plus sign", "POST", b"hello", [(b"Content-Length", b"+5")], ""),
            ("Content-Length with a minus sign", "POST", b"hello", [(b"Content-Length", b"-5")], ""),
            ("Content-Length in letters", "POST", b"hello", [(b"Content-Length", b"five")], ""),
            ("empty Content-Length", "POST", b"hello", [(b"Content-Length", b"")], ""),
            ("Content-Length in Latin-1 digits", "POST", b"hello", [(b"Content-Length", b"\xb5")], ""),
            ("Content-Length and chunked", "POST", b"hello", [(b"Content-Length", b"5"), CHUNKED], "200 POST /case HTTP/1.1|Host: up|Content-Length: 5|Transfer-Encoding: chunked||hello"),
            ("chunked and Content-Length, stream", "POST", (b"hello",), [CHUNKED, (b"Content-Length", b"5")], "200 POST /case HTTP/1.1|Host: up|Transfer-Encoding: chunked|Content-Length: 5||hello"),
            ("Content-Length: 0 and chunked, no content", "POST", b"", [(b"Content-Length", b"0"), CHUNKED], "200 POST /case HTTP/1.1|Host: up|Content-Length: 0|Transfer-Encoding: chunked||"),
            ("chunked twice", "POST", (b"hello",), [CHUNKED, CHUNKED], ""),
            ("chunked twice in a list", "POST", (b"hello",), [(b"Transfer-Encoding", b"chunked, chunked")], ""),
            ("gzip, chunked", "POST", (b"hello",), [(b"Transfer-Encoding", b"gzip, chunked")], ""),
            ("Transfer-Encoding: gzip", "POST", (b"hello",), [(b"Transfer-Encoding", b"gzip")], ""),
            ("Transfer-Encoding: identity", "POST", (b"hello",), [(b"Transfer-Encoding", b"identity")], ""),
            ("Transfer-Encoding: xchunked", "POST", (b"hello",), [(b"Transfer-Encoding", b"xchunked")], ""),
            ("empty Transfer-Encoding", "POST", (b"hello",), [(b"Transfer-Encoding", b"")], ""),
            ("Transfer-Encoding: gzip without content", "GET", b"", [(b"Transfer-Encoding", b"gzip")], ""),
        )
    ),
    _reject("content without framing", "RFC 9112, 6.3", method="POST", content=b"hello", without=("Content-Length",), plain=UNMAPPED),
    _reject("stream without framing", "RFC 9112, 6.3", method="POST", content=(b"hello",), without=("Transfer-Encoding",), plain=UNMAPPED),
    *(
        Case(name, (OK,), PARTLY_SENT, "RFC 9112, 6.3", plain=UNMAPPED, shows="request", method="POST", content=content, headers=(HOST, (b"Content-Length", b"5")))
        for name, content in {
            "stream below its Content-Length": (b"he", b"l"),
            "stream above its Content-Length": (b"he", b"llo!"),
            "stream with a chunk after its Content-Length": (b"hello", b"!"),
            "empty stream with Content-Length: 5": (b"",),
        }.items()
    ),
]  # fmt: skip

# The response comes while the body is still being sent.
_CREATED = b"HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\nok"
_TOO_LARGE = b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno"
_STREAM = (b"z" * 65536,) * 16
_LENGTH = (HOST, (b"Content-Length", b"%d" % MIB))
EARLY = [
    Case(
        f"{name} before {kind}",
        script,
        f"{expected}, {8 * MIB if isinstance(content, bytes) else MIB} bytes received",
        "RFC 9112, 9.5",
        shows="upload",
        early=True,
        method="POST",
        headers=headers,
        content=content,
    )
    for kind, content, headers in (
        ("8 MiB of bytes", b"z" * 8 * MIB, ()),
        ("a stream with Content-Length", _STREAM, _LENGTH),
        ("a chunked stream", _STREAM, ()),
    )
    for name, script, expected in (
        ("201", (_CREATED, Step.BODY), "201 ok"),
        ("201 and the end of the answers", (_CREATED, Step.HALF, Step.BODY), "201 ok"),
        ("413", (_TOO_LARGE, Step.BODY), "413 no"),
        ("413 and the end of the answers", (_TOO_LARGE, Step.HALF, Step.BODY), "413 no"),
        ("100 and 201", (b"HTTP/1.1 100 Continue\r\n\r\n" + _CREATED, Step.BODY), "201 ok"),
    )
] + [
    Case(f"{name}, {kind}", script, expected, "RFC 9112, 9.5", plain=plain, early=True, method="POST", headers=headers, content=content)
    for kind, content, headers in (
        ("8 MiB of bytes", b"z" * 8 * MIB, ()),
        ("a stream with Content-Length", _STREAM * 8, (HOST, (b"Content-Length", b"%d" % (8 * MIB)))),
        ("a chunked stream", _STREAM * 8, ()),
    )
    for name, script, expected, plain in (
        ("201, then a reset", (_CREATED, Step.TAKEN, Step.RST), "ReadError", ""),
        ("204, then a reset", (b"HTTP/1.1 204 No Content\r\n\r\n", Step.TAKEN, Step.RST), "ReadError", ""),
        ("413, then a reset", (_TOO_LARGE, Step.TAKEN, Step.RST), "413 no", "ReadError"),
        ("413, then the end", (_TOO_LARGE, Step.TAKEN, Step.FIN), "413 no", "ReadError"),
        ("a reset instead of a response", (Step.RST,), "ReadError", ""),
    )
]  # fmt: skip

TIMEOUTS = [
    Case("timeout of 0", (WHOLE,), "ConnectTimeout", "plain httpx", modes=(NEW,), timeout=tuple((phase, 0) for phase in ("connect", "read", "write", "pool"))),
    Case("connect timeout of 0", (WHOLE,), "ConnectTimeout", "plain httpx", modes=(NEW,), timeout=(("connect", 0),)),
    Case("connect timeout of 0.5 ms", (Step.FULL, WHOLE), "ConnectTimeout", "plain httpx", modes=(NEW,), timeout=(("connect", 0.0005),)),
    Case("connect timeout of 0.1 s", (Step.FULL, WHOLE), "ConnectTimeout", "plain httpx", modes=(NEW,), timeout=(("connect", 0.1),)),
    Case("read timeout of 0", (Step.NEVER,), "ReadTimeout", "plain httpx", timeout=(("read", 0),)),
    Case("read timeout of 0.5 ms", (Step.NEVER,), "ReadTimeout", "plain httpx", timeout=(("read", 0.0005),)),
    Case("read timeout of 0.1 s in the head", (b"HTTP/1.1 200 OK\r\nX-", Step.NEVER), "ReadTimeout", "plain httpx", timeout=(("read", 0.1),)),
    Case("read timeout of 0.5 ms in the body", (WHOLE[:-1], Step.NEVER), "ReadTimeout", "plain httpx", timeout=(("read", 0.0005),)),
    Case("read timeout of 0.1 s in the body", (WHOLE[:-1], Step.NEVER), "ReadTimeout", "plain httpx", timeout=(("read", 0.1),)),
    Case("read timeout of 0.1 s after an interim response", (b"HTTP/1.1 100 Continue\r\n\r\n", Step.NEVER), "ReadTimeout", "plain httpx", timeout=(("read", 0.1),)),
    Case("write timeout of 0", (Step.NEVER,), "WriteTimeout", "plain httpx", early=True, method="POST", content=b"z" * 30 * MIB, timeout=(("write", 0),)),
    Case("write timeout of 0.5 ms", (Step.NEVER,), "WriteTimeout", "plain httpx", early=True, method="POST", content=b"z" * 30 * MIB, timeout=(("write", 0.0005),)),
    Case("write timeout of 0.1 s", (Step.NEVER,), "WriteTimeout", "plain httpx", early=True, method="POST", content=b"z" * 30 * MIB, timeout=(("write", 0.1),)),
    Case("write timeout of 0.1 s of a stream", (Step.NEVER,), "WriteTimeout", "plain httpx", early=True, method="POST", content=(b"z" * MIB,) * 30, timeout=(("write", 0.1),)),
]  # fmt: skip

REQUESTS = [*TARGETS, *METHODS, *HEADERS, *FRAMING, *EARLY, *TIMEOUTS]
