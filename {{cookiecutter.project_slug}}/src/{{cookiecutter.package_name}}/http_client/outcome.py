"""How each call ended: one line in the log, whatever happened."""

import asyncio
import contextvars
import logging
import time
import weakref
from collections.abc import Callable
from datetime import timedelta

import {{ cookiecutter.__httpx }}

from ..log import request_id
from .layer import Body, Ended, Layer, closed_early, stream_of

log = logging.getLogger(__name__)

# Past the deadline a reader has had its exception; a body still open then has no reader.
_ABANDONED_AFTER_S = 1


class Outcome(Layer):
    """Tell of each call once it is over: its body read, its failure raised, its caller gone.

    The path is told without its query and the upstream by name, so that no secret is logged.
    The request's id is sent along as ``X-Request-ID``. A response that nobody closes is
    closed here: when it is garbage, or a moment after its deadline.
    """

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if (own := request_id.get()) is not None:
            request.headers.setdefault("X-Request-ID", own)
        started = time.perf_counter()
        try:
            response = await self.inner.handle_async_request(request)
        except BaseException as failure:
            _tell(request, started, failure)
            raise
        if response.is_closed:
            # httpx sets it only for bodies that it reads itself.
            response.elapsed = timedelta(seconds=time.perf_counter() - started)
            _tell(request, started, None)
            return response
        response.stream = _WatchedBody(
            stream_of(response),
            lambda failure: _tell(request, started, failure),
            closed_early(request, response),
            close_at=request.extensions["deadline"] + _ABANDONED_AFTER_S,
        )
        return response


class _WatchedBody(Body):
    def __init__(
        self,
        stream: httpx.AsyncByteStream,
        ended: Ended,
        unread: BaseException | None,
        close_at: float,
    ) -> None:
        super().__init__(stream, ended, unread)
        self._loop = asyncio.get_running_loop()
        self._context = contextvars.copy_context()
        # By a weak reference, or the timer would keep alive what it waits to see abandoned.
        self._timer = self._loop.call_at(close_at, _close, weakref.ref(self))

    async def aclose(self) -> None:
        self._timer.cancel()
        await super().aclose()

    def __del__(self) -> None:
        if self._ended is not None and not self._loop.is_closed():
            self._timer.cancel()
            # In the call's own context: garbage is collected in anybody's.
            self._loop.call_soon_threadsafe(_close, lambda: self, context=self._context)


_closing: set[asyncio.Task[None]] = set()


def _close(abandoned: Callable[[], _WatchedBody | None]) -> None:
    body = abandoned()
    if body is not None:
        task = asyncio.get_running_loop().create_task(body.aclose())
        _closing.add(task)  # the loop holds tasks weakly
        task.add_done_callback(_closing.discard)


def _tell(request: httpx.Request, started: float, failure: BaseException | None) -> None:
    level = logging.WARNING if isinstance(failure, httpx.HTTPError) else logging.INFO
    if not log.isEnabledFor(level):
        return
    fields = {
        "upstream": request.extensions["upstream"]
        or request.url.raw_host.decode("ascii", "replace"),
        "method": request.method,
        "path": request.url.raw_path.partition(b"?")[0].decode("ascii", "replace"),
        "status": request.extensions["status"],
        "attempts": request.extensions["attempts"],
        "duration_ms": round((time.perf_counter() - started) * 1000, 2),
    }
    if isinstance(failure, httpx.HTTPError):
        fields["error"] = f"{type(failure).__name__}: {failure}"
    elif failure is not None:  # whose message may tell anything
        fields["error"] = type(failure).__name__
    log.log(level, "upstream call", extra=fields)
