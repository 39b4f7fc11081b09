"""Refuses requests that a server could read as others; each engine lets different ones pass."""

import re
from collections.abc import AsyncIterator

import {{ cookiecutter.__httpx }}

from .errors import translated

_TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, 5.6.2
_LINE_BREAK = re.compile(rb"[\0\r\n]")


def check(request: httpx.Request) -> None:
    """Raise httpx.LocalProtocolError for a method or header that would be read as another.

    And httpx.UnsupportedProtocol for a URL that is neither http nor https.
    """
    if request.url.scheme not in {"http", "https"}:
        raise httpx.UnsupportedProtocol("the URL must begin with http:// or https://")
    headers = request.headers.raw
    words = [request.method.encode(), *(name for name, _ in headers)]
    values = b"".join([value for _, value in headers])
    if not all(words) or not _TOKEN.fullmatch(b"".join(words)) or _LINE_BREAK.search(values):
        raise translated(httpx.LocalProtocolError, ValueError())


async def as_announced(request: httpx.Request) -> AsyncIterator[bytes]:
    """A streamed body; raises httpx.LocalProtocolError if its ``Content-Length`` is not true."""
    assert isinstance(request.stream, httpx.AsyncByteStream)
    announced = request.headers.get("Content-Length")
    size = 0
    async for chunk in request.stream:
        size += len(chunk)
        if announced is not None and size > int(announced):
            break
        yield chunk
    if announced is not None and size != int(announced):
        raise translated(httpx.LocalProtocolError, ValueError())
