"""What the layers share: a transport around the next, and a body that tells how it ended."""

from collections.abc import AsyncIterator, Callable

import {{ cookiecutter.__httpx }}


class Layer(httpx.AsyncBaseTransport):
    """A transport that does one thing and leaves the rest to the next."""

    def __init__(self, inner: httpx.AsyncBaseTransport) -> None:
        self.inner = inner

    async def aclose(self) -> None:
        await self.inner.aclose()


class Body(httpx.AsyncByteStream):
    """A response's body that calls ``ended`` once: with what broke it, or with None.

    A caller may read it all, stop early, fail or be cancelled: httpx closes it each time.
    """

    def __init__(
        self, stream: httpx.AsyncByteStream, ended: Callable[[BaseException | None], None]
    ) -> None:
        self._stream = stream
        self._ended: Callable[[BaseException | None], None] | None = ended
        self._failure: BaseException | None = None

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for chunk in self._stream:
                yield chunk
        except GeneratorExit:  # the caller stopped reading, which is no failure
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


def stream_of(response: httpx.Response) -> httpx.AsyncByteStream:
    """A response's body as a layer wraps it."""
    assert isinstance(response.stream, httpx.AsyncByteStream)
    return response.stream
