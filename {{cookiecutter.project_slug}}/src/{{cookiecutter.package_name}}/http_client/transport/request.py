"""Checks each request before a transport sends it, so that every transport rejects the same ones.

A request whose length is ambiguous lets a server misread the next one (request smuggling; RFC
9112, 11.2).
"""

import errno
import os
import re
from collections.abc import AsyncIterator
from typing import NamedTuple

import {{ cookiecutter.__httpx }}

from ..errors import translate_error

_TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, 5.6.2
# Values without line breaks and without leading or trailing whitespace (RFC 9110, 5.5), each
# after a \0.
_VALUES = re.compile(rb"(?:\0(?![ \t])[^\0\n\v\f\r]*+(?<![ \t]))*+")
_TARGET = re.compile(rb"[!-~]+")
_LENGTH = re.compile(rb"[0-9]{1,20}")  # h11 takes as many
_PIECE = 64 * 1024


class Checked(NamedTuple):
    """The parts of a valid request that a transport needs."""

    target: bytes
    headers: list[tuple[bytes, bytes]]
    """In the order to send: Host comes first (RFC 9110, 7.2)."""
    by_name: dict[bytes, bytes]
    """The same headers by lowercase name."""
    length: int | None
    """Its ``Content-Length``."""


def check(request: httpx.Request) -> Checked:
    """Check a request.

    Raises httpx.UnsupportedProtocol for a URL that is neither http nor https, and
    httpx.LocalProtocolError for a method, target or header that a server could misread, and for a
    length that is not the body's.
    """
    if request.url.scheme not in {"http", "https"}:
        raise httpx.UnsupportedProtocol("the URL must begin with http:// or https://")
    method = request.method.encode("utf-8", "replace")
    if not _TOKEN.fullmatch(method) or method == b"CONNECT":
        raise _invalid("method")
    target = request.extensions.get("target", request.url.raw_path)  # RFC 9112, 3.2
    target = target.encode() if isinstance(target, str) else target
    if not request.url.raw_host or not _TARGET.fullmatch(target):
        raise _invalid("URL")
    headers = request.headers.raw
    by_name = _check_headers(headers)
{% if cookiecutter.http_transport == "aiohttp" %}
    if b"upgrade" in by_name:
        raise httpx.LocalProtocolError("WebSockets and upgrades need http_transport=httpcore")
{% endif %}
    length = _check_length(request, by_name)
    if headers[0][0].lower() != b"host":
        headers.sort(key=lambda field: field[0].lower() != b"host")
    return Checked(target, headers, by_name, length)


def _invalid(reason: str) -> httpx.LocalProtocolError:
    return httpx.LocalProtocolError(f"invalid request: {reason}")


def _check_headers(headers: list[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    names = [name.lower() for name, _ in headers]
    values = [value for _, value in headers]
    joined = b"\0".join([b"", *values])
    if not all(names) or not _TOKEN.fullmatch(b"".join(names)):
        raise _invalid("header name")
    if not _VALUES.fullmatch(joined) or joined.count(b"\0") != len(values):
        raise _invalid("header value")
    if names.count(b"host") != 1:
        raise _invalid("must have exactly one Host header")
    if names.count(b"content-length") + names.count(b"transfer-encoding") > 1:
        raise _invalid("more than one Content-Length or Transfer-Encoding")
    return dict(zip(names, values, strict=True))


def _check_length(request: httpx.Request, headers: dict[bytes, bytes]) -> int | None:
    coding, announced = headers.get(b"transfer-encoding"), headers.get(b"content-length")
    if coding is not None and coding.lower() != b"chunked":
        raise _invalid("Transfer-Encoding must be chunked")
    if announced is not None and not _LENGTH.fullmatch(announced):
        raise _invalid("Content-Length is not a number")
    length = None if announced is None else int(announced)
    if isinstance(request.stream, httpx.ByteStream):
        if coding is None and sum(map(len, request.stream)) != (length or 0):
            raise _invalid("Content-Length does not match the body")
    elif coding is None and length is None:
        raise _invalid("a streamed body needs Content-Length or Transfer-Encoding")
    return length


class RequestBody:
    """A request's body, in pieces of at most 64 KiB, so that each has the write timeout.

    ``whole``: the body was read to its end. ``replayable``: it can be read again. ``failure``: the
    exception of the caller's generator. Raises httpx.LocalProtocolError at the first byte past its
    ``Content-Length``, and at the end of a body that is shorter.
    """

    def __init__(self, request: httpx.Request, checked: Checked) -> None:
        assert isinstance(request.stream, httpx.AsyncByteStream)
        self._stream = request.stream
        self._call = request.extensions.get("call")
        self._length = checked.length
        self.chunked = b"transfer-encoding" in checked.by_name
        self.replayable = isinstance(request.stream, httpx.ByteStream)
        # An empty body counts as sent: a transport may never iterate it.
        self.whole = isinstance(request.stream, httpx.ByteStream) and not any(request.stream)
        self.failure: Exception | None = None

    async def __aiter__(self) -> AsyncIterator[bytes]:
        size = 0
        try:
            async for chunk in self._stream:
                size += len(chunk)
                if self._length is not None and size > self._length:
                    break
                for start in range(0, len(chunk), _PIECE):
                    yield chunk[start : start + _PIECE]
            if self._length is not None and size != self._length:
                raise _invalid("Content-Length does not match the body")
        except Exception as failure:
            self.failure = failure
            if self._call is not None:
                self._call.body_failed = True
            raise
        self.whole = True


def incomplete_upload_error() -> httpx.TransportError:
    """Return the error for a 2xx response that arrived before the request was sent completely."""
    reset = ConnectionResetError(errno.ECONNRESET, os.strerror(errno.ECONNRESET))
    return translate_error(httpx.ReadError, reset)
