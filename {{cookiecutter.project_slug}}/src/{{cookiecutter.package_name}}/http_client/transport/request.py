"""Judges each request before an engine sees it, so that every engine refuses the same ones.

A server that reads a request's length otherwise than it was meant takes the rest of it, or the
next caller's request, for something else (RFC 9112, 11.2).
"""

import errno
import os
import re
from collections.abc import AsyncIterator
from typing import NamedTuple

import {{ cookiecutter.__httpx }}

from ..errors import translate_error

_TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, 5.6.2
# A line break in a value, or a blank at its ends (RFC 9110, 5.5), where \0 separates the values.
_BAD_VALUE = re.compile(rb"[\n\v\f\r]|\0[ \t]|[ \t]\0")
_TARGET = re.compile(rb"[!-~]+")
_LENGTH = re.compile(rb"[0-9]{1,20}")  # h11 takes as many
_PIECE = 64 * 1024


class Checked(NamedTuple):
    """What an engine needs to know of a request that it may send."""

    target: bytes
    headers: list[tuple[bytes, bytes]]
    """As they are written: Host comes first (RFC 9110, 7.2)."""
    by_name: dict[bytes, bytes]
    """The same by their names in small letters."""
    length: int | None
    """Its ``Content-Length``."""


def check(request: httpx.Request) -> Checked:
    """Judge a request.

    Raises httpx.UnsupportedProtocol for a URL that is neither http nor https, and
    httpx.LocalProtocolError for a method, target or header that a server could read as another,
    and for a length that is not the body's.
    """
    if request.url.scheme not in {"http", "https"}:
        raise httpx.UnsupportedProtocol("the URL must begin with http:// or https://")
    method = request.method.encode("utf-8", "replace")
    if not _TOKEN.fullmatch(method) or method == b"CONNECT":
        raise httpx.LocalProtocolError("invalid request: method")
    target = request.extensions.get("target", request.url.raw_path)  # RFC 9112, 3.2
    target = target.encode() if isinstance(target, str) else target
    if not request.url.raw_host or not _TARGET.fullmatch(target):
        raise httpx.LocalProtocolError("invalid request: URL")
    headers = request.headers.raw
    names = [name.lower() for name, _ in headers]
    values = b"\0".join([b"", *[value for _, value in headers], b""])
    if not all(names) or not _TOKEN.fullmatch(b"".join(names)):
        raise httpx.LocalProtocolError("invalid request: header name")
    if _BAD_VALUE.search(values) or values.count(b"\0") != len(headers) + 1:
        raise httpx.LocalProtocolError("invalid request: header value")
    if names.count(b"host") != 1:
        raise httpx.LocalProtocolError("invalid request: one Host header is needed")
    if names.count(b"content-length") + names.count(b"transfer-encoding") > 1:
        raise httpx.LocalProtocolError("invalid request: more than one length")
    by_name = {name: value for name, (_, value) in zip(names, headers, strict=True)}
    length = _length_of(request, by_name)
    if names[0] != b"host":
        headers.insert(0, headers.pop(names.index(b"host")))
    return Checked(target, headers, by_name, length)


def _length_of(request: httpx.Request, headers: dict[bytes, bytes]) -> int | None:
    coding, announced = headers.get(b"transfer-encoding"), headers.get(b"content-length")
    if coding is not None and coding.lower() != b"chunked":
        raise httpx.LocalProtocolError("invalid request: Transfer-Encoding must be chunked")
    if announced is not None and not _LENGTH.fullmatch(announced):
        raise httpx.LocalProtocolError("invalid request: Content-Length is not a number")
    length = None if announced is None else int(announced)
    if isinstance(request.stream, httpx.ByteStream):
        if coding is None and sum(map(len, request.stream)) != (length or 0):
            raise httpx.LocalProtocolError("invalid request: Content-Length is not the body's")
    elif coding is None and length is None:
        raise httpx.LocalProtocolError("invalid request: a body needs a length")
    return length


class RequestBody:
    """A request's body, in pieces of at most 64 KiB, so that each has the write timeout.

    ``whole`` says whether all of it has been taken, ``replayable`` whether it can be taken again;
    ``failure`` is what the caller's own generator raised. Raises httpx.LocalProtocolError at the
    first byte past its ``Content-Length``, and at the end of a body that is shorter.
    """

    def __init__(self, request: httpx.Request, length: int | None) -> None:
        stream = request.stream
        assert isinstance(stream, httpx.AsyncByteStream)
        self._stream = stream
        self._request = request
        self._length = length
        self.replayable = isinstance(stream, httpx.ByteStream)
        # HTTP/2 does not look at an empty one.
        self.whole = isinstance(stream, httpx.ByteStream) and not any(stream)
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
                raise httpx.LocalProtocolError("invalid request: Content-Length is not the body's")
        except Exception as failure:
            self.failure = failure
            if "call" in self._request.extensions:
                self._request.extensions["call"].body_failed = True
            raise
        self.whole = True


def unfinished() -> httpx.TransportError:
    """What is raised for a success that came before the request was sent whole."""
    reset = ConnectionResetError(errno.ECONNRESET, os.strerror(errno.ECONNRESET))
    return translate_error(httpx.ReadError, reset)
