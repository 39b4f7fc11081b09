"""The response limit: no body, however small on the wire, fills the memory."""

import math
import zlib
from collections.abc import AsyncIterable, AsyncIterator

import {{ cookiecutter.__httpx }}

from ..errors import ProblemType
from .base import Call, Layer

ACCEPT_ENCODING = "gzip, deflate"  # the codings of _decode()

_CODINGS = frozenset({"gzip", "x-gzip", "deflate"})
_DECODED_BY_HTTPX = _CODINGS | {"br", "zstd"}
# As in curl, urllib3 and httpx2; each may multiply the work of the one before it by a thousand.
_MAX_CODINGS = 5
_GZIP_MAGIC = b"\x1f\x8b"  # RFC 1952, 2.3.1
_PIECE = 64 * 1024


class ResponseTooLarge(httpx.TransportError):
    """The body is larger than MAX_RESPONSE_BYTES."""

    problem = ProblemType(502, "upstream-response-too-large", "The response is too large.")


class ResponseLimit(Layer):
    """Decode bodies, and fail any that exceed ``max_bytes`` before or after decoding.

    ``extensions={"max_response_bytes": …}`` replaces the limit for a call; None, for a streamed
    body, removes it. httpx decodes each chunk in one piece, which gzip can make a thousand times
    larger; here the pieces are at most 64 KiB. Raises ResponseTooLarge, and httpx.DecodingError.
    """

    def __init__(self, max_bytes: int | None) -> None:
        super().__init__()
        self._max_bytes = max_bytes

    async def send(self, request: httpx.Request, call: Call) -> httpx.Response:
        response = await self.inner.send(request, call)
        if not has_body(request, response):
            return response  # its headers describe a body that is not sent
        max_bytes = request.extensions.get("max_response_bytes", self._max_bytes)
        max_bytes = math.inf if max_bytes is None else max_bytes
        headers = response.headers
        raw = [(name.lower(), value) for name, value in headers.raw]
        names = {name for name, _ in raw}
        length = b", ".join([value for name, value in raw if name == b"content-length"])
        named = _codings(headers) if b"content-encoding" in names else []
        codings = [coding for coding in named if coding in _DECODED_BY_HTTPX]
        try:
            if length.isdigit() and int(length) > max_bytes:
                raise ResponseTooLarge(f"the body exceeds {max_bytes} bytes")
            if len(codings) > _MAX_CODINGS or not _CODINGS.issuperset(codings):
                raise httpx.DecodingError("unexpected Content-Encoding")
        except httpx.HTTPError:
            await response.aclose()
            raise
        if not codings and length.isdigit() and b"transfer-encoding" not in names:
            return response  # the transport ends such a body at its Content-Length
        assert isinstance(response.stream, httpx.AsyncByteStream)
        chunks = _limit(response.stream, max_bytes)
        for coding in reversed(codings):  # the last was applied last (RFC 9110, 8.4)
            chunks = _limit(_decode(chunks, coding), max_bytes)
        if codings:
            del headers["Content-Encoding"]
            if unknown := [coding for coding in named if coding not in codings]:
                headers["Content-Encoding"] = ", ".join(unknown)
            headers.pop("Content-Length", None)
        response.stream = _Decoded(chunks, response.stream)
        return response


class _Decoded(httpx.AsyncByteStream):
    def __init__(self, chunks: AsyncIterator[bytes], raw: httpx.AsyncByteStream) -> None:
        self._chunks = chunks
        self.aclose = raw.aclose  # type: ignore[method-assign]

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._chunks


def has_body(request: httpx.Request, response: httpx.Response) -> bool:
    """Whether the response can have a body (RFC 9110, 6.4.1)."""
    return request.method != "HEAD" and response.status_code not in {204, 304}


def _codings(headers: httpx.Headers) -> list[str]:
    # Parsed as httpx parses them: it would decode any that were missed here.
    values = headers.get_list("Content-Encoding", split_commas=True)
    return [coding.strip().lower() for coding in values]


async def _limit(chunks: AsyncIterable[bytes], max_bytes: float) -> AsyncIterator[bytes]:
    size = 0
    async for chunk in chunks:
        size += len(chunk)
        if size > max_bytes:
            raise ResponseTooLarge(f"the body exceeds {max_bytes} bytes")
        yield chunk


async def _decode(chunks: AsyncIterable[bytes], coding: str) -> AsyncIterator[bytes]:
    """Undo one coding. Bytes after its end are ignored, as in curl, browsers and httpx."""
    decoder = None
    begun = ended = False
    data = b""
    try:
        # In small pieces, because zlib copies the rest of its input after each gzip member.
        async for chunk in _split(chunks):
            data = b"" if ended else data + chunk
            pending = bool(data)
            while pending and not ended:
                if decoder is None:
                    # gzip may continue with another member (RFC 1952, 2.2).
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


async def _split(chunks: AsyncIterable[bytes]) -> AsyncIterator[bytes]:
    async for chunk in chunks:
        for start in range(0, len(chunk), _PIECE):
            yield chunk[start : start + _PIECE]


def _wbits(coding: str, start: bytes) -> int:
    """Return the ``wbits`` for this coding and these first bytes."""
    if coding != "deflate":
        return zlib.MAX_WBITS | 16  # with a gzip header
    # zlib by the standard (RFC 9110, 8.4.1.2), but often raw in practice.
    return zlib.MAX_WBITS if start[0] & 0x0F == zlib.DEFLATED else -zlib.MAX_WBITS
