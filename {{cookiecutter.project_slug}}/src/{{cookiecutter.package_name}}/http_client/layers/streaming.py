"""A response body that the caller reads in pieces."""

import asyncio
import contextvars
import weakref
from collections.abc import AsyncIterator, Callable
from typing import Self

import {{ cookiecutter.__httpx }}

from ..timer import SharedTimer, Timeout
from .base import Call
from .disconnect import while_caller_waits
from .response_limit import has_body
from .timeouts import DeadlineExceeded

# By then any reader has received its exception, so a body still open has been abandoned.
_ABANDONED_AFTER_S = 1


class StreamedBody(httpx.AsyncByteStream):
    """Bounds each piece by the deadline, and ends the call once, however the caller leaves.

    A body that nobody closes is closed when it is garbage, or a moment after its deadline.
    """

    def __init__(
        self, request: httpx.Request, response: httpx.Response, call: Call, timer: SharedTimer
    ) -> None:
        assert isinstance(response.stream, httpx.AsyncByteStream)
        self._stream = response.stream
        self._request = request
        self._call = call
        self._timer = timer
        # For a body closed early, because its caller left or stopped reading.
        self._failure: BaseException | None = (
            asyncio.CancelledError() if has_body(request, response) else None
        )
        self._chunks: AsyncIterator[bytes]
        self._ended = self._closed = False
        self._loop = asyncio.get_running_loop()
        self._context = contextvars.copy_context()
        # A weak reference: a strong one would keep every abandoned body alive until then.
        self._abandoned = self._loop.call_at(
            call.deadline + _ABANDONED_AFTER_S, _close, weakref.ref(self)
        )

    # Not an async generator: the event loop tracks each of those, which doubles the cost.
    def __aiter__(self) -> Self:
        self._chunks = aiter(self._stream)
        return self

    async def __anext__(self) -> bytes:
        try:
            # Around each piece, so that the caller's own work between two is not cancelled.
            with while_caller_waits(self._request, self._timer):
                return await self._next()
        except StopAsyncIteration:
            raise
        except BaseException:
            await self.aclose()  # nobody can read on, and not everybody closes it
            raise

    async def _next(self) -> bytes:
        try:
            # A timeout cancels only a wait, and the next piece may have arrived already.
            if self._loop.time() >= self._call.deadline:
                raise TimeoutError
            with Timeout(self._timer, self._call.deadline):
                return await anext(self._chunks)
        except StopAsyncIteration:
            self._failure = None
            raise
        except TimeoutError:
            self._failure = DeadlineExceeded("stream deadline exceeded while reading the body")
            raise self._failure from None
        except BaseException as failure:
            self._failure = failure
            raise

    async def aclose(self) -> None:
        self._abandoned.cancel()
        self._ended = True
        if self._closed:
            return
        try:
            await self._stream.aclose()
            self._closed = True
        finally:  # a second cancellation may interrupt the closing
            self._call.end(self._failure)

    def __del__(self) -> None:
        if not self._ended and not self._loop.is_closed():
            self._abandoned.cancel()
            # In the call's own context, because garbage collection may run in any.
            self._loop.call_soon_threadsafe(_close, lambda: self, context=self._context)


_closing: set[asyncio.Task[None]] = set()


def _close(abandoned: Callable[[], StreamedBody | None]) -> None:
    if (body := abandoned()) is not None:
        task = asyncio.get_running_loop().create_task(body.aclose())
        _closing.add(task)  # the loop holds only weak references to tasks
        task.add_done_callback(_closing.discard)
