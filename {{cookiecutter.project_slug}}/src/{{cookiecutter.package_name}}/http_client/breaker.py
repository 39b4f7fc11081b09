"""The circuit breaker: an upstream that fails is left alone for a while."""

import asyncio
from typing import Literal

import {{ cookiecutter.__httpx }}

from ..settings import HTTPSettings
from .errors import CircuitOpen, RateLimited, ResponseTooLarge, URLNotAllowed
from .layer import Layer, when_ended

State = Literal["closed", "open", "half-open"]

_UNAVAILABLE = frozenset({502, 503, 504})
# The caller's mistakes and this service's own limits say nothing about the upstream.
_NOT_ITS_FAULT = (
    RateLimited,
    ResponseTooLarge,
    URLNotAllowed,
    httpx.LocalProtocolError,
    httpx.UnsupportedProtocol,
)
_SLICES = 10


class CircuitBreaker(Layer):
    """Refuse calls for a while when too many attempts fail, then let one through to see.

    Failures are broken exchanges, timeouts, and the statuses 502, 503 and 504. Closed, it
    counts over a sliding window; when at least ``breaker_failure_ratio`` of at least
    ``breaker_min_calls`` attempts failed it opens for ``breaker_open_s``; half-open it lets
    one probe through, whose outcome closes or opens it. Raises CircuitOpen.
    """

    def __init__(
        self, inner: httpx.AsyncBaseTransport, failure_ratio: float, settings: HTTPSettings
    ) -> None:
        super().__init__(inner)
        self._failure_ratio = failure_ratio
        self._min_calls = settings.breaker_min_calls
        self._slice_s = settings.breaker_window_s / _SLICES
        self._open_s = settings.breaker_open_s
        # Slice of time -> [calls, failures]; constant memory at any rate of calls.
        self._window: dict[int, list[int]] = {}
        self._opened: float | None = None
        self._openings = 0
        self._probing = False

    @property
    def state(self) -> State:
        if self._opened is None:
            return "closed"
        return "half-open" if self.now() >= self._opened + self._open_s else "open"

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if self._opened is not None:
            self._probe(self._opened)
        openings = self._openings
        try:
            response = await self.inner.handle_async_request(request)
        except BaseException as failure:
            self._record(openings, _failed(failure, request))
            raise
        # A status tells, whatever becomes of the body.
        failed = response.status_code in _UNAVAILABLE
        when_ended(
            response, lambda failure: self._record(openings, failed or _failed(failure, request))
        )
        return response

    def _probe(self, opened: float) -> None:
        """Let the call through that is to tell whether the upstream is well again, or refuse it."""
        wait_s = opened + self._open_s - self.now()
        if wait_s > 0 or self._probing:
            raise CircuitOpen("the circuit breaker is open", wait_s)
        self._probing = True

    def _record(self, openings: int, failed: bool | None) -> None:
        if openings != self._openings:
            return  # it began before the outage
        if self._probing:
            self._probing = False
            if failed is False:
                self._opened = None
                self._window.clear()
            elif failed:
                self._opened = self.now()
        elif failed is not None:
            self._count(failed)

    def _count(self, failed: bool) -> None:
        now = int(self.now() / self._slice_s)
        if now not in self._window:
            self._window = {
                then: counts for then, counts in self._window.items() if then > now - _SLICES
            }
            self._window[now] = [0, 0]
        self._window[now][0] += 1
        if not failed:
            return
        self._window[now][1] += 1
        calls = sum(counts[0] for counts in self._window.values())
        failures = sum(counts[1] for counts in self._window.values())
        if calls >= self._min_calls and failures >= self._failure_ratio * calls:
            self._opened = self.now()
            self._openings += 1


def _failed(failure: BaseException | None, request: httpx.Request) -> bool | None:
    """Whether it is the upstream that failed; None if that cannot be told."""
    if failure is None:
        return False
    if "body_failed" in request.extensions:
        return None  # the caller's own body did
    if isinstance(failure, asyncio.CancelledError):
        # The caller left, or the total deadline cut an upstream that is too slow. uvloop rounds
        # to milliseconds, so its timers may fire that much too early.
        now: float = asyncio.get_running_loop().time()
        return True if now >= request.extensions["deadline"] - 0.001 else None
    if isinstance(failure, httpx.HTTPError) and not isinstance(failure, _NOT_ITS_FAULT):
        return True
    return None
