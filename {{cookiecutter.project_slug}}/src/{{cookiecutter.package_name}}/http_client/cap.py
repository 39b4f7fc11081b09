"""The response cap: no body, however small on the wire, fills the memory."""

import zlib
from collections.abc import AsyncIterator

import {{ cookiecutter.__httpx }}

from .errors import ResponseTooLarge
from .layer import Layer, stream_of

# What is asked for is what is decoded here; a decoder for more must be bounded as well.
ACCEPT_ENCODING = "gzip, deflate"

_PIECE = 64 * 1024
_AUTODETECT_GZIP_OR_ZLIB = zlib.MAX_WBITS | 32


class ResponseCap(Layer):
    """Decode bodies and end those of more than ``max_bytes``, raw or decoded.

    A request may set its own in ``extensions={"max_response_bytes": …}``; None, for a body
    that is streamed, takes it away. httpx would decode whatever has arrived in one piece,
    a thousand times its size for gzip; here it is decoded in pieces of at most 64 KiB.
    Raises ResponseTooLarge, and httpx.DecodingError.
    """

    def __init__(self, inner: httpx.AsyncBaseTransport, max_bytes: int | None) -> None:
        super().__init__(inner)
        self._max_bytes = max_bytes

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        response = await self.inner.handle_async_request(request)
        max_bytes: int | None = request.extensions.get("max_response_bytes", self._max_bytes)
        coding = response.headers.get("Content-Encoding", "identity").strip().lower()
        length = response.headers.get("Content-Length", "")
        if request.method == "HEAD":
            return response
        if max_bytes is not None and length.isdecimal() and int(length) > max_bytes:
            await response.aclose()
            raise ResponseTooLarge(f"the body is {length} bytes, more than {max_bytes}")
        if coding not in {"identity", "gzip", "x-gzip", "deflate"}:
            await response.aclose()
            raise httpx.DecodingError("the body has a content coding that was not asked for")
        response.stream = _CappedBody(stream_of(response), max_bytes, coding != "identity")
        if coding != "identity":
            del response.headers["Content-Encoding"]
            response.headers.pop("Content-Length", None)
        return response


class _CappedBody(httpx.AsyncByteStream):
    def __init__(self, stream: httpx.AsyncByteStream, max_bytes: int | None, encoded: bool) -> None:
        self._stream = stream
        self._max_bytes = max_bytes
        self._encoded = encoded

    async def __aiter__(self) -> AsyncIterator[bytes]:
        size = 0
        async for chunk in _decoded(self._stream) if self._encoded else self._stream:
            size += len(chunk)
            if self._max_bytes is not None and size > self._max_bytes:
                raise ResponseTooLarge(f"the body is more than {self._max_bytes} bytes")
            yield chunk

    async def aclose(self) -> None:
        await self._stream.aclose()


async def _decoded(stream: httpx.AsyncByteStream) -> AsyncIterator[bytes]:
    decoder = zlib.decompressobj(_AUTODETECT_GZIP_OR_ZLIB)
    first = True
    try:
        async for chunk in stream:
            if first and chunk:
                first = False
                # "deflate" is zlib by the standard (RFC 9110, 8.4.1.2), bare in the wild.
                if chunk[0] & 0x0F != 8 and chunk[:1] != b"\x1f":
                    decoder = zlib.decompressobj(-zlib.MAX_WBITS)
            while True:
                piece = decoder.decompress(chunk, _PIECE)
                yield piece
                chunk = decoder.unconsumed_tail
                if not chunk and len(piece) < _PIECE:
                    break
    except zlib.error as error:
        raise httpx.DecodingError("the body is not what its content coding says") from error
    if not first and not decoder.eof:
        raise httpx.DecodingError("the body ends before its content coding does")
