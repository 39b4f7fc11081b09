"""Responses as bytes, each with its one outcome."""

# One case per line, so that the tables can be compared by eye.
# ruff: noqa: E501

from dataclasses import replace
from typing import Any

from .case import NEW, STREAMED, UNREAD, VARIES, WHOLE, Case, Script, Step

FIN, RST, CUT, IDLE, TAKEN = Step.FIN, Step.RST, Step.CUT, Step.IDLE, Step.TAKEN
BROKEN = "RemoteProtocolError"
RESET = "ReadError"

OK = b"HTTP/1.1 200 OK\r\n"
LENGTH = OK + b"Content-Length: 5\r\n\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
CHUNKS = CHUNKED + b"5\r\nhello\r\n0\r\n\r\n"
CLOSING = OK + b"Connection: close\r\n\r\n"
NO_CONTENT = b"HTTP/1.1 204 No Content\r\n\r\n"
SECOND = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged"
NOT_ASKED = b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


def _vary_status_line(name: str, line: bytes, expected: str, **more: Any) -> Case:
    """Put this status line before a whole response."""
    sent = line + b"\r\nContent-Length: 5\r\n\r\nhello"
    return Case(name, (sent, FIN), expected, **{"source": "RFC 9112, 4", **more})


def _vary_field(name: str, line: bytes, expected: str, **more: Any) -> Case:
    """Put this line among the header fields of a whole response."""
    sent = OK + line + b"\r\nContent-Length: 5\r\n\r\nhello"
    return Case(name, (sent,), expected, **{"source": "RFC 9112, 5.1", **more})


def _vary_framing(name: str, lines: bytes, expected: str, source: str, **more: Any) -> Case:
    """Put these header fields before five bytes, after which the connection ends."""
    return Case(name, (OK + lines + b"\r\n\r\nhello", FIN), expected, source, **more)


def _vary_chunks(name: str, body: bytes, expected: str, **more: Any) -> Case:
    """Put this body after the head of a chunked response; then the connection ends."""
    return Case(name, (CHUNKED + body, FIN), expected, **{"source": "RFC 9112, 7.1", **more})


WHOLE_RESPONSES = [
    Case("Content-Length", (WHOLE,), "200 hello", "RFC 9112, 6.3", reused=True),
    Case("Content-Length: 0", (OK + b"Content-Length: 0\r\n\r\n",), "200", "RFC 9112, 6.3", reused=True),
    Case("chunked", (CHUNKS,), "200 hello", "RFC 9112, 7.1", reused=True),
    Case("chunked without content", (CHUNKED + b"0\r\n\r\n",), "200", "RFC 9112, 7.1", reused=True),
    Case("204", (NO_CONTENT,), "204", "RFC 9110, 15.3.5", reused=True),
    Case("204 with Content-Length", (b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n",), "204", "RFC 9112, 6.3", reused=True),
    Case("304", (b"HTTP/1.1 304 Not Modified\r\nETag: x\r\n\r\n",), "304", "RFC 9110, 15.4.5", reused=True),
    Case("304 with Content-Length", (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n",), "304", "RFC 9112, 6.3", reused=True),
    Case("304 with Transfer-Encoding", (b"HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n",), "304", "RFC 9112, 6.3", reused=True),
    Case("HEAD with Content-Length", (LENGTH,), "200", "RFC 9110, 9.3.2", method="HEAD", reused=True),
    Case("HEAD with Transfer-Encoding", (CHUNKED,), "200", "RFC 9110, 9.3.2", method="HEAD", reused=True),
    Case("HEAD without framing", (OK + b"X-A: 1\r\n\r\n",), "200", "RFC 9110, 9.3.2", method="HEAD"),
    Case("HEAD, 404", (b"HTTP/1.1 404 Not Found\r\nContent-Length: 9\r\n\r\n",), "404", "RFC 9110, 9.3.2", method="HEAD", reused=True),
    Case("205", (b"HTTP/1.1 205 Reset Content\r\nContent-Length: 0\r\n\r\n",), "205", "RFC 9110, 15.3.6", reused=True),
    Case("205 with content", (b"HTTP/1.1 205 Reset Content\r\nContent-Length: 5\r\n\r\nhello",), "205 hello", "plain httpx"),
    Case("301 without Location", (b"HTTP/1.1 301 Moved\r\nContent-Length: 5\r\n\r\nhello",), "301 hello", "RFC 9110, 15.4"),
    Case("407", (b"HTTP/1.1 407 Who\r\nContent-Length: 5\r\n\r\nhello",), "407 hello", "RFC 9110, 15.5.8"),
    Case("426", (b"HTTP/1.1 426 Upgrade Required\r\nUpgrade: h2c\r\nConnection: upgrade\r\nContent-Length: 5\r\n\r\nhello",), "426 hello", "RFC 9110, 15.5.22"),
    Case("500", (b"HTTP/1.1 500 No\r\nContent-Length: 5\r\n\r\nhello",), "500 hello", "RFC 9110, 15.6"),
    Case("OPTIONS", (WHOLE,), "200 hello", "RFC 9112, 6.3", method="OPTIONS", reused=True),
    Case("body that ends with the connection", (CLOSING + b"hello", FIN), "200 hello", "RFC 9112, 6.3", reused=False),
    Case("no Connection field, body that ends with the connection", (OK + b"X-A: 1\r\n\r\nhello", FIN), "200 hello", "RFC 9112, 6.3", reused=False),
    Case("no header field at all", (OK + b"\r\nhello", FIN), "200 hello", "RFC 9112, 6.3", reused=False),
    Case("empty body that ends with the connection", (CLOSING, FIN), "200", "RFC 9112, 6.3", reused=False),
    Case("body in packets that ends with the connection", (CLOSING, TAKEN, b"he", TAKEN, b"llo", TAKEN, FIN), "200 hello", "RFC 9112, 6.3", reused=False),
    Case("1 MiB, Content-Length", (OK + b"Content-Length: 1048576\r\n\r\n" + b"z" * 1048576,), "200 " + "z" * 1048576, "RFC 9112, 6.3", reused=True),
    Case("1 MiB, one chunk", (CHUNKED + b"100000\r\n" + b"z" * 1048576 + b"\r\n0\r\n\r\n",), "200 " + "z" * 1048576, "RFC 9112, 7.1", reused=True),
    Case("1 MiB that ends with the connection", (CLOSING + b"z" * 1048576, FIN), "200 " + "z" * 1048576, "RFC 9112, 6.3", reused=False),
    Case("5000 chunks", (CHUNKED + b"1\r\nz\r\n" * 5000 + b"0\r\n\r\n",), "200 " + "z" * 5000, "RFC 9112, 7.1", reused=True),
    Case("every byte value", (OK + b"Content-Length: 256\r\n\r\n" + bytes(range(256)),), "200 " + bytes(range(256)).decode("latin-1"), "RFC 9110, 6.4"),
    Case("body that looks like a response", (OK + b"Content-Length: 44\r\n\r\n" + SECOND,), "200 " + SECOND.decode(), "RFC 9112, 6.3", reused=True),
]  # fmt: skip

INTERIM = [
    Case("100 first", (b"HTTP/1.1 100 Continue\r\n\r\n" + WHOLE,), "200 hello", "RFC 9110, 15.2", reused=True),
    Case("102 first", (b"HTTP/1.1 102 Processing\r\n\r\n" + WHOLE,), "200 hello", "RFC 9110, 15.2", reused=True),
    Case("103 first, with fields", (b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + WHOLE,), "200 hello", "RFC 8297, 2", reused=True),
    Case("199 first", (b"HTTP/1.1 199 What\r\n\r\n" + WHOLE,), "200 hello", "RFC 9110, 15.2", reused=True),
    Case("several first", (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\n" * 3 + WHOLE,), "200 hello", "RFC 9110, 15.2", reused=True),
    Case("100 in its own packet", (b"HTTP/1.1 100 Continue\r\n\r\n", TAKEN, WHOLE), "200 hello", "RFC 9110, 15.2", reused=True),
    Case("103 in its own packet, then chunks", (b"HTTP/1.1 103 Early Hints\r\n\r\n", TAKEN, CHUNKS), "200 hello", "RFC 8297, 2", reused=True),
    Case("100 with Content-Length", (b"HTTP/1.1 100 Continue\r\nContent-Length: 5\r\n\r\n" + WHOLE,), "200 hello", "RFC 9112, 6.3"),
    Case("100 with Connection: close", (b"HTTP/1.1 100 Continue\r\nConnection: close\r\n\r\n" + WHOLE,), "200 hello", "plain httpx"),
    Case("100, then HEAD's answer", (b"HTTP/1.1 100 Continue\r\n\r\n" + LENGTH,), "200", "RFC 9110, 15.2", method="HEAD", reused=True),
    Case("100, then 204", (b"HTTP/1.1 100 Continue\r\n\r\n" + NO_CONTENT,), "204", "RFC 9110, 15.2", reused=True),
    Case("100, then the end", (b"HTTP/1.1 100 Continue\r\n\r\n", FIN), BROKEN, "RFC 9112, 8"),
    Case("100, then a reset", (b"HTTP/1.1 100 Continue\r\n\r\n", RST), RESET, "plain httpx"),
    Case("100, then garbage", (b"HTTP/1.1 100 Continue\r\n\r\ngarbage\r\n\r\n", FIN), BROKEN, "RFC 9112, 4"),
    Case("101 that was not requested", (b"HTTP/1.1 101 Switching Protocols\r\n\r\n", FIN), BROKEN, "RFC 9110, 15.2.2"),
    Case("101 to h2c that was not requested", (b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\nPRI", FIN), BROKEN, "RFC 9110, 7.8"),
    Case("101, then a response", (b"HTTP/1.1 101 Switching Protocols\r\n\r\n" + WHOLE,), BROKEN, "RFC 9110, 15.2.2"),
]  # fmt: skip

BLANK_LINES = [
    Case("CRLF before the status line", (b"\r\n" + WHOLE,), "200 hello", "RFC 9112, 2.2", plain=BROKEN),
    Case("LF before the status line", (b"\n" + WHOLE,), "200 hello", "RFC 9112, 2.2", plain=BROKEN),
    Case("three blank lines before the status line", (b"\r\n\n\r\n" + WHOLE,), "200 hello", "RFC 9112, 2.2", plain=BROKEN),
    Case("CRLF in its own packet", (b"\r\n", TAKEN, WHOLE), "200 hello", "RFC 9112, 2.2", plain=BROKEN),
    Case("CR and LF in their own packets", (b"\r", TAKEN, b"\n", TAKEN, WHOLE), "200 hello", "RFC 9112, 2.2", plain=BROKEN),
    Case("CRLF before chunks", (b"\r\n" + CHUNKS,), "200 hello", "RFC 9112, 2.2", plain=BROKEN),
    Case("CRLF between 100 and 200", (b"HTTP/1.1 100 Continue\r\n\r\n\r\n" + WHOLE, FIN), BROKEN, "plain httpx"),
    Case("CRLF, then the end", (b"\r\n", FIN), BROKEN, "RFC 9112, 8"),
    Case("LF, then the end", (b"\n", FIN), BROKEN, "RFC 9112, 8"),
    Case("CR alone before the status line", (b"\r" + WHOLE, FIN), BROKEN, "plain httpx"),
    Case("space before the status line", (b" " + WHOLE, FIN), BROKEN, "RFC 9112, 4"),
    Case("blank line with a space before the status line", (b" \r\n" + WHOLE, FIN), BROKEN, "RFC 9112, 4"),
    Case("byte order mark before the status line", (b"\xef\xbb\xbf" + WHOLE, FIN), BROKEN, "RFC 9112, 4"),
]  # fmt: skip

STATUS_LINES = [
    _vary_status_line("HTTP/1.0", b"HTTP/1.0 200 OK", "200 hello", reused=False),
    _vary_status_line("HTTP/1.2", b"HTTP/1.2 200 OK", "200 hello", source="plain httpx"),
    _vary_status_line("HTTP/0.9", b"HTTP/0.9 200 OK", "200 hello", source="plain httpx"),
    _vary_status_line("HTTP/2.0", b"HTTP/2.0 200 OK", "200 hello", source="plain httpx"),
    _vary_status_line("HTTP/2", b"HTTP/2 200 OK", BROKEN),
    _vary_status_line("HTTP/1.10", b"HTTP/1.10 200 OK", BROKEN),
    _vary_status_line("HTTP/11.1", b"HTTP/11.1 200 OK", BROKEN),
    _vary_status_line("HTTP/1,1", b"HTTP/1,1 200 OK", BROKEN),
    _vary_status_line("HTTP/+1.1", b"HTTP/+1.1 200 OK", BROKEN),
    _vary_status_line("http in lower case", b"http/1.1 200 OK", BROKEN),
    _vary_status_line("ICY", b"ICY 200 OK", BROKEN),
    _vary_status_line("HTTPS/1.1", b"HTTPS/1.1 200 OK", BROKEN),
    _vary_status_line("no version", b"HTTP 200 OK", BROKEN),
    _vary_status_line("version without a status", b"HTTP/1.1", BROKEN),
    _vary_status_line("version and a space", b"HTTP/1.1 ", BROKEN),
    _vary_status_line("no reason", b"HTTP/1.1 200", "200 hello", source="plain httpx"),
    _vary_status_line("empty reason", b"HTTP/1.1 200 ", "200 hello"),
    _vary_status_line("reason of spaces", b"HTTP/1.1 200   ", "200 hello"),
    _vary_status_line("reason with a tab", b"HTTP/1.1 200 a\tb", "200 HTTP/1.1|a\tb", shows="extensions"),
    _vary_status_line("reason in Latin-1", b"HTTP/1.1 200 d\xe9j\xe0", "200 HTTP/1.1|d\xe9j\xe0", shows="extensions"),
    _vary_status_line("reason in UTF-8", "HTTP/1.1 200 é".encode(), "200 HTTP/1.1|Ã©", shows="extensions"),
    _vary_status_line("long reason", b"HTTP/1.1 200 " + b"r" * 9000, "200 HTTP/1.1|" + "r" * 9000, shows="extensions"),
    _vary_status_line("reason with NUL", b"HTTP/1.1 200 a\0b", BROKEN),
    _vary_status_line("reason with CR", b"HTTP/1.1 200 a\rb", BROKEN),
    _vary_status_line("reason with a form feed", b"HTTP/1.1 200 a\x0cb", BROKEN),
    _vary_status_line("CR before CRLF", b"HTTP/1.1 200 OK\r", BROKEN),
    _vary_status_line("version as received", b"HTTP/1.0 200 Fine", "200 HTTP/1.0|Fine", shows="extensions"),
    _vary_status_line("two spaces before the status", b"HTTP/1.1  200 OK", BROKEN),
    _vary_status_line("tab before the status", b"HTTP/1.1\t200 OK", BROKEN),
    _vary_status_line("tab after the status", b"HTTP/1.1 200\tOK", BROKEN),
    _vary_status_line("reason attached to the status", b"HTTP/1.1 200OK", BROKEN),
    _vary_status_line("status of two digits", b"HTTP/1.1 20 OK", BROKEN),
    _vary_status_line("status of four digits", b"HTTP/1.1 2000 OK", BROKEN),
    _vary_status_line("status of letters", b"HTTP/1.1 abc OK", BROKEN),
    _vary_status_line("status with a minus sign", b"HTTP/1.1 -20 OK", BROKEN),
    _vary_status_line("status with a plus sign", b"HTTP/1.1 +20 OK", BROKEN),
    _vary_status_line("status with a decimal point", b"HTTP/1.1 200.5 OK", BROKEN),
    _vary_status_line("status in hexadecimal", b"HTTP/1.1 0x2 OK", BROKEN),
    Case("000", (b"HTTP/1.1 000 Zero\r\n\r\n" + WHOLE,), BROKEN, "RFC 9110, 15"),
    Case("099", (b"HTTP/1.1 099 Low\r\n\r\n" + WHOLE,), BROKEN, "RFC 9110, 15"),
    _vary_status_line("600", b"HTTP/1.1 600 High", "600 hello", source="plain httpx"),
    _vary_status_line("999", b"HTTP/1.1 999 Higher", "999 hello", source="plain httpx"),
    Case("no byte", (FIN,), BROKEN, "RFC 9112, 8"),
    Case("no byte, reset", (RST,), RESET, "plain httpx"),
    Case("HTML", (b"<html>hello</html>\r\n\r\n", FIN), BROKEN, "RFC 9112, 4"),
    Case("HTML without a line break", (b"<html>hello</html>", FIN), BROKEN, "RFC 9112, 4"),
    Case("SSH", (b"SSH-2.0-OpenSSH_9.6\r\n", FIN), BROKEN, "RFC 9112, 4"),
    Case("TLS alert", (b"\x15\x03\x01\x00\x02\x02\x46", FIN), BROKEN, "RFC 9112, 4"),
    Case("HTTP/2 settings", (b"\0\0\0\x04\0\0\0\0\0", FIN), BROKEN, "RFC 9112, 4"),
    Case("a request", (b"GET / HTTP/1.1\r\nHost: up\r\n\r\n", FIN), BROKEN, "RFC 9112, 4"),
    Case("a field line first", (b"Content-Length: 5\r\n\r\nhello", FIN), BROKEN, "RFC 9112, 4"),
    Case("NUL bytes", (bytes(100), FIN), BROKEN, "RFC 9112, 4"),
]  # fmt: skip

FIELD_LINES = [
    _vary_field("LF ends a field line", b"X-A: 1\nX-B: 2", "200 X-B=2", source="RFC 9112, 2.2", shows="X-B"),
    Case("LF ends every line", (WHOLE.replace(b"\r\n", b"\n"),), "200 hello", "RFC 9112, 2.2"),
    Case("LF ends the head", (OK + b"Content-Length: 5\r\n\nhello",), "200 hello", "RFC 9112, 2.2"),
    Case("CRCRLF ends the head", (OK + b"Content-Length: 5\r\n\r\r\nhello", FIN), BROKEN, "plain httpx"),
    Case("LFCRLF ends the head", (OK + b"Content-Length: 5\n\r\nhello",), "200 hello", "RFC 9112, 2.2"),
    _vary_field("name in its own case", b"x-MiXeD: 1", "200 x-MiXeD=1", source="RFC 9110, 5.1", shows="X-Mixed"),
    _vary_field("equal names in order", b"X-A: 1\r\nx-b: 2\r\nx-a: 3", "200 X-A=1|x-a=3", source="RFC 9110, 5.3", shows="X-A"),
    _vary_field("two cookies", b"Set-Cookie: a=1\r\nSet-Cookie: b=2", "200 Set-Cookie=a=1|Set-Cookie=b=2", source="RFC 9110, 5.3", shows="Set-Cookie"),
    _vary_field("no space after the colon", b"X-A:1", "200 X-A=1", shows="X-A"),
    _vary_field("blanks around the value", b"X-A: \t 1 2 \t ", "200 X-A=1 2", shows="X-A"),
    _vary_field("empty value", b"X-A:", "200 X-A=", shows="X-A"),
    _vary_field("value of blanks", b"X-A:  \t ", "200 X-A=", shows="X-A"),
    _vary_field("colons in the value", b"X-A: a:b: c", "200 X-A=a:b: c", shows="X-A"),
    _vary_field("value in Latin-1", b"X-A: M\xfcller", "200 X-A=M\xfcller", source="RFC 9110, 5.5", shows="X-A"),
    _vary_field("value in UTF-8", "X-A: Müller".encode(), "200 X-A=MÃ¼ller", source="RFC 9110, 5.5", shows="X-A"),
    _vary_field("every token character", b"!#$%&'*+-.^_`|~09azAZ: 1", "200 !#$%&'*+-.^_`|~09azAZ=1", source="RFC 9110, 5.6.2", shows="!#$%&'*+-.^_`|~09azAZ"),
    _vary_field("control character in the value", b"X-A: a\x01b", "200 X-A=a\x01b", source="plain httpx", shows="X-A"),
    _vary_field("DEL in the value", b"X-A: a\x7fb", "200 X-A=a\x7fb", source="plain httpx", shows="X-A"),
    _vary_field("NUL in the value", b"X-A: a\0b", BROKEN, source="RFC 9110, 5.5"),
    _vary_field("CR in the value", b"X-A: a\rb", BROKEN, source="RFC 9112, 2.2"),
    _vary_field("CR at the end of the value", b"X-A: a\r", BROKEN, source="RFC 9112, 2.2"),
    _vary_field("vertical tab in the value", b"X-A: a\x0bb", BROKEN, source="plain httpx"),
    _vary_field("form feed in the value", b"X-A: a\x0cb", BROKEN, source="plain httpx"),
    _vary_field("no colon", b"X-A", BROKEN),
    _vary_field("no name", b": 1", BROKEN),
    _vary_field("space before the colon", b"X-A : 1", BROKEN),
    _vary_field("tab before the colon", b"X-A\t: 1", BROKEN),
    _vary_field("space in the name", b"X A: 1", BROKEN),
    _vary_field("parenthesis in the name", b"X(A): 1", BROKEN, source="RFC 9110, 5.1"),
    _vary_field("quote in the name", b'"X": 1', BROKEN, source="RFC 9110, 5.1"),
    _vary_field("Latin-1 in the name", b"X-\xe4: 1", BROKEN, source="RFC 9110, 5.1"),
    _vary_field("UTF-8 in the name", "X-ä: 1".encode(), BROKEN, source="RFC 9110, 5.1"),
    _vary_field("NUL in the name", b"X\0A: 1", BROKEN, source="RFC 9110, 5.1"),
    _vary_field("CR in the name", b"X\rA: 1", BROKEN, source="RFC 9110, 5.1"),
    _vary_field("folded value", b"X-A: 1\r\n 2", "200 X-A=1 2", source="RFC 9112, 5.2", shows="X-A"),
    _vary_field("value folded twice, with tabs", b"X-A: 1\r\n\t2\r\n \t 3", "200 X-A=1 2 3", source="RFC 9112, 5.2", shows="X-A"),
    _vary_field("folded into an empty value", b"X-A:\r\n 1", "200 X-A=1", source="RFC 9112, 5.2", shows="X-A"),
    _vary_field("folded by LF", b"X-A: 1\n 2", "200 X-A=1 2", source="RFC 9112, 5.2", shows="X-A"),
    Case("first field line is folded", (OK + b" X-A: 1\r\nContent-Length: 5\r\n\r\nhello", FIN), BROKEN, "RFC 9112, 2.2"),
    Case("folded Content-Length", (OK + b"Content-Length:\r\n 5\r\n\r\nhello",), "200 hello", "RFC 9112, 5.2"),
    Case("folded Transfer-Encoding", (OK + b"Transfer-Encoding:\r\n chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",), "200 hello", "RFC 9112, 5.2"),
    _vary_field("300 fields", b"\r\n".join(b"X-%d: value" % n for n in range(300)), "200 X-299=value", source="plain httpx", shows="X-299"),
    _vary_field("field of 8 KiB", b"X-A: " + b"v" * 8192, "200 X-A=" + "v" * 8192, source="plain httpx", shows="X-A"),
    _vary_field("field of 60 KiB", b"X-A: " + b"v" * 61440, "200 X-A=" + "v" * 61440, source="plain httpx", shows="X-A"),
    _vary_field("field of 120 KiB", b"X-A: " + b"v" * 122880, "200 X-A=" + "v" * 122880, source="RFC 9110, 5.4", shows="X-A", plain=VARIES),
    _vary_field("field of 200 KiB", b"X-A: " + b"v" * 204800, BROKEN, source="RFC 9110, 5.4"),
    _vary_field("name of 200 KiB", b"X" * 204800 + b": 1", BROKEN, source="RFC 9110, 5.4"),
    _vary_field("200 KiB in 200 fields", b"\r\n".join(b"X-%d: " % n + b"v" * 1024 for n in range(200)), BROKEN, source="RFC 9110, 5.4"),
    Case("head without an end", (OK + b"X-A: 1\r\n" * 200_000,), BROKEN, "RFC 9110, 5.4"),
    Case("line without an end", (OK + b"X" * 1_000_000,), BROKEN, "RFC 9110, 5.4"),
    Case("status line without an end", (b"HTTP/1.1 200 " + b"r" * 1_000_000,), BROKEN, "RFC 9110, 5.4"),
]  # fmt: skip

PERSISTENCE = [
    _vary_field("Connection: close", b"Connection: close", "200 hello", source="RFC 9112, 9.3", reused=False),
    _vary_field("Connection: Close", b"Connection: Close", "200 hello", source="RFC 9112, 9.3", reused=False),
    _vary_field("close in a list", b"Connection: x-a, close", "200 hello", source="RFC 9112, 9.3", reused=False),
    _vary_field("close in a second field", b"Connection: x-a\r\nConnection: close", "200 hello", source="RFC 9112, 9.3", reused=False),
    _vary_field("close beside keep-alive", b"Connection: keep-alive, close", "200 hello", source="RFC 9112, 9.3", reused=False),
    _vary_field("Connection: keep-alive", b"Connection: keep-alive", "200 hello", source="RFC 9112, 9.3", reused=True),
    _vary_field("Connection: closed", b"Connection: closed", "200 hello", source="RFC 9112, 9.3", reused=True),
    Case("Connection: close, chunked", (OK + b"Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",), "200 hello", "RFC 9112, 9.3", reused=False),
    Case("Connection: close, 204", (b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n",), "204", "RFC 9112, 9.3", reused=False),
    Case("HTTP/1.0, kept open", (b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello",), "200 hello", "RFC 9112, 9.3", reused=False),
    Case("closed after a response", (WHOLE, FIN), "200 hello", "RFC 9112, 9.6", reused=False),
    Case("closed later", (WHOLE, IDLE, FIN), "200 hello", "RFC 9112, 9.6", reused=False),
    Case("closed later, unnoticed", (WHOLE, IDLE, FIN), "200 hello", "RFC 9112, 9.6", reused=False, hasty=True),
    Case("reset after a response", (WHOLE, RST), "200 hello", "RFC 9112, 9.6", reused=False),
    Case("reset later", (WHOLE, IDLE, RST), "200 hello", "RFC 9112, 9.6", reused=False),
    Case("half-closed later", (WHOLE, IDLE, Step.HALF), "200 hello", "RFC 9112, 9.6", reused=False),
]  # fmt: skip

LENGTHS = [
    _vary_framing("leading zeros", b"Content-Length: 0005", "200 hello", "RFC 9110, 8.6"),
    _vary_framing("blanks around the length", b"Content-Length: \t5 \t", "200 hello", "RFC 9112, 5.1"),
    _vary_framing("lower case", b"content-length: 5", "200 hello", "RFC 9110, 5.1"),
    _vary_framing("equal lengths in two lines", b"Content-Length: 5\r\nContent-Length: 5", "200 hello", "RFC 9110, 8.6"),
    _vary_framing("equal lengths in three lines", b"Content-Length: 5\r\ncontent-length: 5\r\nCONTENT-LENGTH: 5", "200 hello", "RFC 9110, 8.6"),
    _vary_framing("equal lengths in a list", b"Content-Length: 5, 5", "200 hello", "RFC 9110, 8.6"),
    _vary_framing("equal lengths in a list without a space", b"Content-Length: 5,5,5", "200 hello", "RFC 9110, 8.6"),
    _vary_framing("different lengths in two lines", b"Content-Length: 5\r\nContent-Length: 6", BROKEN, "RFC 9112, 6.3"),
    _vary_framing("different lengths in a list", b"Content-Length: 5, 6", BROKEN, "RFC 9112, 6.3"),
    _vary_framing("length of different spelling", b"Content-Length: 5\r\nContent-Length: 05", BROKEN, "plain httpx"),
    _vary_framing("list with an empty member", b"Content-Length: 5,", BROKEN, "RFC 9112, 6.3"),
    _vary_framing("empty length", b"Content-Length:", BROKEN, "RFC 9112, 6.3"),
    _vary_framing("length with a plus sign", b"Content-Length: +5", BROKEN, "RFC 9112, 6.3"),
    _vary_framing("length with a minus sign", b"Content-Length: -5", BROKEN, "RFC 9112, 6.3"),
    _vary_framing("length in hexadecimal", b"Content-Length: 0x5", BROKEN, "RFC 9112, 6.3"),
    _vary_framing("length with an underscore", b"Content-Length: 0_5", BROKEN, "RFC 9112, 6.3"),
    _vary_framing("length with a space", b"Content-Length: 0 5", BROKEN, "RFC 9112, 6.3"),
    _vary_framing("length with a decimal point", b"Content-Length: 5.0", BROKEN, "RFC 9112, 6.3"),
    _vary_framing("length in letters", b"Content-Length: five", BROKEN, "RFC 9112, 6.3"),
    _vary_framing("length in Latin-1 digits", b"Content-Length: \xb2", BROKEN, "RFC 9112, 6.3"),
    _vary_framing("length in Arabic digits", "Content-Length: \u0665".encode(), BROKEN, "RFC 9112, 6.3"),
    _vary_framing("length in quotes", b'Content-Length: "5"', BROKEN, "RFC 9112, 6.3"),
    _vary_framing("length with a semicolon", b"Content-Length: 5;", BROKEN, "RFC 9112, 6.3"),
    _vary_framing("length with a vertical tab", b"Content-Length: 5\x0b", BROKEN, "RFC 9112, 6.3"),
    _vary_framing("length of 20 digits", b"Content-Length: 00000000000000000005", "200 hello", "plain httpx"),
    _vary_framing("length of 21 digits", b"Content-Length: 000000000000000000005", BROKEN, "plain httpx"),
    _vary_framing("length beyond 64 bits", b"Content-Length: 18446744073709551621", BROKEN, "RFC 9112, 6.3"),
    _vary_framing("space before the colon of a length", b"Content-Length : 5", BROKEN, "RFC 9112, 5.1"),
    Case("malformed length of a 204", (b"HTTP/1.1 204 No Content\r\nContent-Length: x\r\n\r\n",), BROKEN, "RFC 9112, 6.3"),
    Case("different lengths, HEAD", (OK + b"Content-Length: 5, 6\r\n\r\n",), BROKEN, "RFC 9112, 6.3", method="HEAD"),
    Case("malformed length, 304", (b"HTTP/1.1 304 Not Modified\r\nContent-Length: x\r\n\r\n",), BROKEN, "RFC 9112, 6.3"),
]  # fmt: skip

CODINGS = [
    _vary_framing("Chunked", b"Transfer-Encoding: Chunked\r\n\r\n5", BROKEN, "RFC 9112, 7.1"),
    Case("CHUNKED in capitals", (CHUNKS.replace(b"chunked", b"CHUNKED"),), "200 hello", "RFC 9112, 7", reused=True),
    Case("blanks around chunked", (CHUNKS.replace(b"chunked", b"\t chunked \t"),), "200 hello", "RFC 9112, 5.1", reused=True),
    Case("chunked with HTTP/1.0", (CHUNKS.replace(b"HTTP/1.1", b"HTTP/1.0"),), "200 hello", "plain httpx", reused=False),
    Case("length, then chunked", (CHUNKS.replace(b"Transfer", b"Content-Length: 3\r\nTransfer"),), "200 hello", "RFC 9112, 6.3"),
    Case("chunked, then length", (CHUNKS.replace(b"chunked\r\n", b"chunked\r\nContent-Length: 3\r\n"),), "200 hello", "RFC 9112, 6.3"),
    Case("chunked and a malformed length", (CHUNKS.replace(b"chunked\r\n", b"chunked\r\nContent-Length: x\r\n"),), BROKEN, "plain httpx"),
    *(
        Case(f"Transfer-Encoding: {coding!r}", (CHUNKS.replace(b"chunked", coding), FIN), BROKEN, "RFC 9112, 6.1")
        for coding in (
            b"", b"identity", b"gzip", b"gzip, chunked", b"chunked, gzip", b"chunked, chunked", b"chunked, identity",
            b"identity, chunked", b"chunked,", b",chunked", b"chunked;q=1", b'"chunked"', b"xchunked", b"chunkedx",
            b"chunke", b"chunked chunked", b"chunked\x0b", b"\xc3\x87hunked",
        )
    ),
    Case("chunked in two lines", (CHUNKS.replace(b"chunked\r\n", b"chunked\r\nTransfer-Encoding: chunked\r\n"), FIN), BROKEN, "RFC 9112, 6.1"),
    Case("gzip and chunked in two lines", (CHUNKS.replace(b"Transfer", b"Transfer-Encoding: gzip\r\nTransfer"), FIN), BROKEN, "RFC 9112, 6.1"),
    Case("identity with a length", (OK + b"Transfer-Encoding: identity\r\nContent-Length: 5\r\n\r\nhello", FIN), BROKEN, "RFC 9112, 6.1"),
    Case("space before the colon of a coding", (CHUNKS.replace(b"Encoding:", b"Encoding :"), FIN), BROKEN, "RFC 9112, 5.1"),
    Case("unknown coding, HEAD", (OK + b"Transfer-Encoding: x\r\n\r\n",), BROKEN, "RFC 9112, 6.1", method="HEAD"),
    Case("unknown coding, 204", (b"HTTP/1.1 204 No Content\r\nTransfer-Encoding: x\r\n\r\n",), BROKEN, "RFC 9112, 6.1"),
]  # fmt: skip

CHUNKED_BODIES = [
    _vary_chunks("two chunks", b"2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n", "200 hello"),
    _vary_chunks("size in capitals", b"A\r\n0123456789\r\n0\r\n\r\n", "200 0123456789"),
    _vary_chunks("size in small letters", b"a\r\n0123456789\r\n0\r\n\r\n", "200 0123456789"),
    _vary_chunks("zeros before the size", b"0000005\r\nhello\r\n000\r\n\r\n", "200 hello"),
    _vary_chunks("size of 20 digits", b"00000000000000000005\r\nhello\r\n0\r\n\r\n", "200 hello", source="plain httpx"),
    _vary_chunks("size of 21 digits", b"000000000000000000005\r\nhello\r\n0\r\n\r\n", BROKEN, source="plain httpx"),
    _vary_chunks("size beyond 64 bits", b"FFFFFFFFFFFFFFFFF\r\nhello\r\n0\r\n\r\n", BROKEN),
    _vary_chunks("size and blanks", b"5 \t\r\nhello\r\n0\r\n\r\n", "200 hello", source="plain httpx"),
    _vary_chunks("extension", b"5;a=b\r\nhello\r\n0;c\r\n\r\n", "200 hello", source="RFC 9112, 7.1.1"),
    _vary_chunks("extension in quotes", b'5;a="b;c"\r\nhello\r\n0\r\n\r\n', "200 hello", source="RFC 9112, 7.1.1"),
    _vary_chunks("blank before an extension", b"5 ;a\r\nhello\r\n0\r\n\r\n", BROKEN, source="plain httpx"),
    _vary_chunks("extension of 4 KiB", b"5;" + b"e" * 4096 + b"\r\nhello\r\n0\r\n\r\n", "200 hello", source="RFC 9112, 7.1.1"),
    _vary_chunks("LF in an extension", b"5;a\nb\r\nhello\r\n0\r\n\r\n", BROKEN, source="RFC 9112, 7.1.1"),
    _vary_chunks("CR in an extension", b"5;a\rb\r\nhello\r\n0\r\n\r\n", "200 hello", source="plain httpx"),
    _vary_chunks("trailer", b"5\r\nhello\r\n0\r\nX-A: 1\r\n\r\n", "200 hello", source="RFC 9112, 7.1.2"),
    _vary_chunks("trailers", b"5\r\nhello\r\n0\r\nX-A: 1\r\nX-B: 2\r\nContent-Length: 9\r\n\r\n", "200 hello", source="RFC 9112, 7.1.2"),
    _vary_chunks("trailer is no header", b"5\r\nhello\r\n0\r\nX-A: 1\r\n\r\n", "200", source="RFC 9110, 6.5.1", shows="X-A"),
    _vary_chunks("trailer without a colon", b"5\r\nhello\r\n0\r\nX-A\r\n\r\n", BROKEN, source="RFC 9112, 7.1.2"),
    _vary_chunks("trailer with a space before the colon", b"5\r\nhello\r\n0\r\nX-A : 1\r\n\r\n", BROKEN, source="RFC 9112, 7.1.2"),
    Case("trailers without an end", (CHUNKED + b"5\r\nhello\r\n0\r\n" + b"X-A: 1\r\n" * 200_000,), BROKEN, "RFC 9110, 5.4"),
    Case("chunk header without an end", (CHUNKED + b"5;" + b"e" * 1_000_000,), BROKEN, "RFC 9112, 7.1.1"),
    _vary_chunks("blank before the size", b" 5\r\nhello\r\n0\r\n\r\n", BROKEN),
    _vary_chunks("size with 0x", b"0x5\r\nhello\r\n0\r\n\r\n", BROKEN),
    _vary_chunks("size with a plus sign", b"+5\r\nhello\r\n0\r\n\r\n", BROKEN),
    _vary_chunks("size with a minus sign", b"-5\r\nhello\r\n0\r\n\r\n", BROKEN),
    _vary_chunks("size with an underscore", b"0_5\r\nhello\r\n0\r\n\r\n", BROKEN),
    _vary_chunks("size in letters", b"five\r\nhello\r\n0\r\n\r\n", BROKEN),
    _vary_chunks("no size", b"\r\nhello\r\n0\r\n\r\n", BROKEN),
    _vary_chunks("extension without a size", b";a\r\nhello\r\n0\r\n\r\n", BROKEN),
    _vary_chunks("LF after the size", b"5\nhello\r\n0\r\n\r\n", BROKEN, source="plain httpx"),
    _vary_chunks("CR after the size", b"5\rhello\r\n0\r\n\r\n", BROKEN),
    _vary_chunks("LF after the data", b"5\r\nhello\n0\r\n\r\n", BROKEN),
    _vary_chunks("nothing after the data", b"5\r\nhello0\r\n\r\n", BROKEN),
    _vary_chunks("more data than the size", b"4\r\nhello\r\n0\r\n\r\n", BROKEN),
    _vary_chunks("less data than the size", b"6\r\nhello\r\n0\r\n\r\n", BROKEN),
    _vary_chunks("LF after the last chunk", b"5\r\nhello\r\n0\r\n\n", "200 hello", source="plain httpx"),
    _vary_chunks("no chunk", b"hello", BROKEN),
    _vary_chunks("garbage after a chunk", b"5\r\nhello\r\ngarbage\r\n", BROKEN),
    Case("garbage after a chunk, in its own packet", (CHUNKED + b"5\r\nhello\r\n", TAKEN, b"garbage\r\n"), BROKEN, "RFC 9112, 7.1"),
    Case("garbage after a head", (CHUNKED, TAKEN, b"garbage\r\n"), BROKEN, "RFC 9112, 7.1"),
]  # fmt: skip


# Bytes after a complete response cost the connection, never the response; and the bytes never
# become the response of another request (RFC 9112, 6.3).
_COMPLETE: dict[str, tuple[bytes, str, str]] = {
    "Content-Length": (WHOLE, "GET", "200 hello"),
    "chunked": (CHUNKS, "GET", "200 hello"),
    "Content-Length: 0": (OK + b"Content-Length: 0\r\n\r\n", "GET", "200"),
    "204": (NO_CONTENT, "GET", "204"),
    "304": (b"HTTP/1.1 304 Not Modified\r\n\r\n", "GET", "304"),
    "HEAD": (LENGTH, "HEAD", "200"),
    "HEAD, chunked": (CHUNKED, "HEAD", "200"),
}
_SURPLUS: dict[str, bytes] = {
    "one byte": b"x",
    "a line break": b"\r\n",
    "a body": b"hello",
    "a chunked end": b"0\r\n\r\n",
    "a second response": SECOND,
    "a request timeout": NOT_ASKED,
    "an interim response": b"HTTP/1.1 100 Continue\r\n\r\n",
    "junk": b"\0\xff junk \r\n\r\n junk",
}
_ARRIVALS: dict[str, tuple[Script, bool]] = {
    "in the same packet": ((), False),
    "after the response was read": ((TAKEN,), False),
    "on the idle connection": ((IDLE,), False),
    "on the idle connection, unnoticed": ((IDLE,), True),
}
# Every surplus after one response, and one surplus after every response.
SURPLUS = [
    Case(
        f"{surplus} {arrival}, after {complete}{', TLS' if tls else ''}",
        (sent, *pause, _SURPLUS[surplus]),
        expected,
        "RFC 9112, 6.3",
        reused=False,
        method=method,
        hasty=hasty,
        tls=tls,
    )
    for tls in (False, True)
    for arrival, (pause, hasty) in _ARRIVALS.items()
    for complete, (sent, method, expected) in _COMPLETE.items()
    for surplus in _SURPLUS
    if surplus == "a second response"
    or (complete == "Content-Length" and not tls)
    or (complete.startswith("HEAD") and surplus == "a chunked end")
    or (complete == "204" and surplus == "a body")
] + [
    Case("surplus in the same TLS record", (WHOLE + SECOND,), "200 hello", "RFC 9112, 6.3", reused=False, tls=True),
    Case("surplus, then the end", (WHOLE + SECOND, FIN), "200 hello", "RFC 9112, 6.3", reused=False),
    Case("surplus, then a reset", (WHOLE + SECOND, RST), "200 hello", "RFC 9112, 6.3", reused=False),
    Case("1 MiB of surplus", (WHOLE + b"z" * 1048576,), "200 hello", "RFC 9112, 6.3", reused=False),
    Case("100 second responses", (WHOLE + SECOND * 100,), "200 hello", "RFC 9112, 6.3", reused=False),
]  # fmt: skip


def _truncate(kind: str, sent: bytes, start: int, end: Step, *, tls: bool = False) -> list[Case]:
    """Cut the response at each position from ``start`` on."""
    how = {FIN: "ends", RST: "is reset", CUT: "is cut"}[end]
    return [
        Case(
            f"{kind} {how} after {size} of {len(sent)} bytes{', TLS' if tls else ''}",
            (*((sent[:size],) if size else ()), TAKEN, end),
            RESET if end is RST else BROKEN,
            "plain httpx" if end is RST else "RFC 9112, 8",
            tls=tls,
        )
        for size in range(start, len(sent))
    ]


# A truncated response is never a success.
TRUNCATED = [
    *_truncate("Content-Length", WHOLE, 0, FIN),
    *_truncate("Content-Length", WHOLE, 0, RST),
    *_truncate("Content-Length", WHOLE, len(LENGTH) - 4, FIN, tls=True),
    *_truncate("Content-Length", WHOLE, len(LENGTH) - 4, CUT, tls=True),
    *_truncate("Content-Length", WHOLE, len(LENGTH), RST, tls=True),
    *_truncate("chunked", CHUNKS, len(CHUNKED), FIN),
    *_truncate("chunked", CHUNKS, len(CHUNKED), RST),
    *_truncate("chunked", CHUNKS, len(CHUNKED), FIN, tls=True),
    *_truncate("chunked", CHUNKS, len(CHUNKED), CUT, tls=True),
    *_truncate("body until close", CLOSING + b"hello", len(CLOSING), RST),
    *_truncate("head of HTTP/1.0", b"HTTP/1.0 200 OK\r\n\r\n", 0, FIN),
    *_truncate("interim response", b"HTTP/1.1 103 Early Hints\r\n\r\n", 0, FIN),
    *_truncate("trailer", CHUNKED + b"5\r\nhello\r\n0\r\nX-A: 1\r\n\r\n", len(CHUNKED) + 13, FIN),
    Case("whole body until close, reset", (CLOSING + b"hello", RST), RESET, "RFC 9112, 8"),
    Case("whole body until close, TLS, close_notify", (CLOSING + b"hello", FIN), "200 hello", "RFC 9112, 9.8", tls=True),
    Case("whole body until close, TLS, no close_notify", (CLOSING + b"hello", TAKEN, CUT), "200 hello", "plain httpx", tls=True),
]  # fmt: skip


def _split(kind: str, sent: bytes, expected: str, *, tls: bool = False) -> list[Case]:
    """Send the response in two packets, split at each position."""
    return [
        Case(
            f"{kind} split after {size} bytes{', TLS' if tls else ''}",
            (sent[:size], TAKEN, sent[size:]),
            expected,
            "RFC 9112, 2.2",
            tls=tls,
            reused=True,
        )
        for size in range(1, len(sent))
    ]


# TCP does not preserve packets, so their boundaries must not matter.
SPLIT = [
    *_split("Content-Length", WHOLE, "200 hello"),
    *_split("chunked", CHUNKS, "200 hello"),
    Case("single bytes", tuple(each for byte in CHUNKS for each in (bytes([byte]), TAKEN)), "200 hello", "RFC 9112, 2.2", reused=True),
    Case("single bytes, TLS", tuple(each for byte in CHUNKS for each in (bytes([byte]), TAKEN)), "200 hello", "RFC 9112, 2.2", tls=True, reused=True),
    Case("one TLS record per byte", tuple(bytes([byte]) for byte in CHUNKS), "200 hello", "RFC 9112, 2.2", tls=True, reused=True),
    Case("1 MiB, TLS", (OK + b"Content-Length: 1048576\r\n\r\n", b"z" * 1048576), "200 " + "z" * 1048576, "RFC 9112, 6.3", tls=True, reused=True),
]  # fmt: skip

RESPONSES = [
    *(replace(case, modes=(NEW, STREAMED, UNREAD)) for case in [*WHOLE_RESPONSES, *SURPLUS]),
    *INTERIM,
    *BLANK_LINES,
    *STATUS_LINES,
    *FIELD_LINES,
    *PERSISTENCE,
    *LENGTHS,
    *CODINGS,
    *CHUNKED_BODIES,
    *(replace(case, modes=(NEW,)) for case in [*TRUNCATED, *SPLIT]),
]
