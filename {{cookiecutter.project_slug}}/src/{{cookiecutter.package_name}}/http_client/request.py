"""Requests that are sent as they are meant, or not at all.

The libraries beneath let pass different ones, over HTTP/2 most of all.
"""

import re
from collections.abc import AsyncIterator

import {{ cookiecutter.__httpx }}

from .errors import translated

_TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, 5.6.2
_LINE_BREAK = re.compile(rb"[\0\r\n]")


def check(request: httpx.Request) -> None:
    """Raise httpx.LocalProtocolError for a method or header that would be read as another."""
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
