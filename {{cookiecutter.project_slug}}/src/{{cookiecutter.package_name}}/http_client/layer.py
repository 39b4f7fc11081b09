"""What the layers share: a transport around the next, and a body that tells how it ended."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any, Self

import {{ cookiecutter.__httpx }}

# RFC 9110, 9.2.2, and QUERY of RFC 10008.
_IDEMPOTENT = frozenset({"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE", "QUERY"})

Ended = Callable[[BaseException | None], None]
"""Is told what broke a body, or None."""


class Layer(httpx.AsyncBaseTransport):
    """A transport that does one thing and leaves the rest to the next."""

    def __init__(self, inner: httpx.AsyncBaseTransport) -> None:
        self.inner = inner
        self.now = asyncio.get_running_loop().time

    async def __aenter__(self) -> Self:
        await self.inner.__aenter__()
        return self

    async def __aexit__(self, *error: Any) -> None:
        await self.inner.__aexit__(*error)

    async def aclose(self) -> None:
        await self.inner.aclose()


class Stream(httpx.AsyncByteStream):
    """A body whose chunks are made of another's, and which closes that one."""

    def __init__(self, chunks: AsyncIterator[bytes], inner: httpx.AsyncByteStream) -> None:
        self._chunks = chunks
        self._inner = inner

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._chunks

    async def aclose(self) -> None:
        await self._inner.aclose()


class Body(httpx.AsyncByteStream):
    """A response's body that calls ``ended`` once: with what broke it, or with None.

    A caller may read it all, stop early, fail or be cancelled: httpx closes it each time.
    ``unread`` is what it ends with when it is closed before its end.
    """

    def __init__(
        self, stream: httpx.AsyncByteStream, ended: Ended, unread: BaseException | None = None
    ) -> None:
        self._stream = stream
        self._ended: Ended | None = ended
        self._failure = unread
        self._chunks: AsyncIterator[bytes]

    # Not a generator, each of which the event loop keeps account of: that costs as much again.
    def __aiter__(self) -> Self:
        self._chunks = aiter(self._stream)
        return self

    async def __anext__(self) -> bytes:
        try:
            return await anext(self._chunks)
        except StopAsyncIteration:
            self._failure = None
            raise
        except BaseException as failure:
            self._failure = failure
            raise

    async def aclose(self) -> None:
        try:
            await self._stream.aclose()
        finally:  # even when the closing is cancelled, which a second cancellation does
            if self._ended is not None:
                ended, self._ended = self._ended, None
                ended(self._failure)


def when_ended(response: httpx.Response, ended: Ended, unread: BaseException | None = None) -> None:
    """Call ``ended`` once the body is over, which it is already where Deadline has read it."""
    if response.is_closed:
        ended(None)
    else:
        response.stream = Body(stream_of(response), ended, unread)


def has_body(request: httpx.Request, response: httpx.Response) -> bool:
    """Whether there can be one (RFC 9110, 6.4.1)."""
    return request.method != "HEAD" and response.status_code not in {204, 304}


def is_repeatable(request: httpx.Request, *, sent: bool = True) -> bool:
    """Whether the request may be sent again without harm, if it was ``sent`` before.

    ``extensions={"retry": True}`` or ``False`` decides for a call. A body from a generator is gone
    after one attempt.
    """
    if not isinstance(request.stream, httpx.ByteStream):
        return False
    wanted: bool | None = request.extensions.get("retry")
    if wanted is not None:
        return wanted
    return not sent or request.method in _IDEMPOTENT or "Idempotency-Key" in request.headers


def closed_early(request: httpx.Request, response: httpx.Response) -> BaseException | None:
    """What stands for a body that is closed before its end: its caller left, or has had enough."""
    return asyncio.CancelledError() if has_body(request, response) else None


def stream_of(response: httpx.Response) -> httpx.AsyncByteStream:
    """A response's body as a layer wraps it."""
    assert isinstance(response.stream, httpx.AsyncByteStream)
    return response.stream
