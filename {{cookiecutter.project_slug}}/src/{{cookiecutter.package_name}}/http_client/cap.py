"""The response cap: no body, however small on the wire, fills the memory."""

import math
import zlib
from collections.abc import AsyncIterable, AsyncIterator

import {{ cookiecutter.__httpx }}

from .errors import ResponseTooLarge
from .layer import Layer, Stream, has_body, stream_of

ACCEPT_ENCODING = "gzip, deflate"  # what is decoded here

_DECODED_HERE = frozenset({"gzip", "x-gzip", "deflate"})
# As in curl, urllib3 and httpx2; each may multiply the work of the one before it by a thousand.
_MOST_CODINGS = 5
_GZIP_MAGIC = b"\x1f\x8b"  # RFC 1952, 2.3.1
_DECODED_BY_HTTPX = _DECODED_HERE | {"br", "zstd"}
_FRAMING = frozenset({b"content-length", b"content-encoding", b"transfer-encoding"})
_PIECE = 64 * 1024


class ResponseCap(Layer):
    """Decode bodies, and end those of more than ``max_bytes``, as received or decoded.

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
        if not has_body(request, response):
            return response  # its headers are those of a body that is not sent
        max_bytes = request.extensions.get("max_response_bytes", self._max_bytes)
        max_bytes = math.inf if max_bytes is None else max_bytes
        headers = response.headers
        framing = _FRAMING.intersection([name.lower() for name, _ in headers.raw])
        length = headers["Content-Length"] if b"content-length" in framing else ""
        known = _known_codings(headers) if b"content-encoding" in framing else []
        try:
            if length.isdecimal() and int(length) > max_bytes:
                raise ResponseTooLarge(f"the body is more than {max_bytes} bytes")
            if len(known) > _MOST_CODINGS or not _DECODED_HERE.issuperset(known):
                raise httpx.DecodingError("unexpected Content-Encoding")
        except httpx.HTTPError:
            await response.aclose()
            raise
        if framing == {b"content-length"} and length.isdecimal():
            return response  # the engine ends such a body at the length that was told
        stream = stream_of(response)
        chunks = _capped(stream, max_bytes)
        for coding in reversed(known):  # the last was applied last (RFC 9110, 8.4)
            chunks = _capped(_decoded(chunks, coding), max_bytes)
        if known:
            del headers["Content-Encoding"]
            headers.pop("Content-Length", None)
        response.stream = Stream(chunks, stream)
        return response


def _known_codings(headers: httpx.Headers) -> list[str]:
    # Read as httpx reads them: what is overlooked here, it would decode.
    told = headers.get_list("Content-Encoding", split_commas=True)
    codings = (coding.strip().lower() for coding in told)
    return [coding for coding in codings if coding in _DECODED_BY_HTTPX]


async def _capped(chunks: AsyncIterable[bytes], max_bytes: float) -> AsyncIterator[bytes]:
    size = 0
    async for chunk in chunks:
        size += len(chunk)
        if size > max_bytes:
            raise ResponseTooLarge(f"the body is more than {max_bytes} bytes")
        yield chunk


async def _pieces(chunks: AsyncIterable[bytes]) -> AsyncIterator[bytes]:
    async for chunk in chunks:
        for start in range(0, len(chunk), _PIECE):
            yield chunk[start : start + _PIECE]


async def _decoded(chunks: AsyncIterable[bytes], coding: str) -> AsyncIterator[bytes]:
    """Undo one coding. Bytes after its end are ignored, as in curl, browsers and httpx."""
    decoder = None
    begun = ended = False
    data = b""
    try:
        # In pieces, because each gzip member copies what follows it.
        async for chunk in _pieces(chunks):
            data = b"" if ended else data + chunk
            pending = bool(data)
            while pending and not ended:
                if decoder is None:
                    # gzip may go on with another member (RFC 1952, 2.2).
                    if begun and not data.startswith(_GZIP_MAGIC):
                        ended = not _GZIP_MAGIC.startswith(data)
                        break
                    decoder = zlib.decompressobj(_wbits(coding, data))
                    begun = True
                piece = decoder.decompress(data, _PIECE)
                yield piece
                if decoder.eof:
                    ended = coding == "deflate"
                    data, decoder = decoder.unused_data, None
                    pending = bool(data)
                else:
                    data = decoder.unconsumed_tail
                    pending = bool(data) or len(piece) == _PIECE
        if decoder is not None:
            raise zlib.error("the data ends too early")
    except zlib.error as error:
        raise httpx.DecodingError(f"the body cannot be decoded: {error}") from error


def _wbits(coding: str, start: bytes) -> int:
    """How zlib is to read data in this coding that starts so."""
    if coding != "deflate":
        return zlib.MAX_WBITS | 16  # with gzip's header
    # It is zlib by the standard (RFC 9110, 8.4.1.2), and often bare in practice.
    return zlib.MAX_WBITS if start[0] & 0x0F == zlib.DEFLATED else -zlib.MAX_WBITS
