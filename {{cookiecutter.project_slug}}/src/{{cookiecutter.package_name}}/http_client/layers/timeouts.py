"""The total deadline of a call, and the timeout of each attempt."""

import contextlib
import math

import {{ cookiecutter.__httpx }}

from ...settings import HTTPSettings
from ..timer import SharedTimer, Timeout
from .base import Call, Layer


class DeadlineExceeded(httpx.TimeoutException):
    """TOTAL_TIMEOUT_S has passed; for a streamed body, STREAM_TIMEOUT_S."""


def raise_bound(bound_s: float, request: httpx.Request, usual: dict[str, float]) -> float:
    """Raise a bound, in seconds, to the call's longest timeout that exceeds the ``usual`` one.

    ``timeout=60`` then gives an upstream 60 seconds. None is no timeout, and removes the bound.
    """
    own: dict[str, float | None] = request.extensions.get("timeout", usual)
    if own == usual:
        return bound_s
    for name, usual_s in usual.items():
        own_s = own.get(name, usual_s)
        if own_s is None:
            return math.inf
        if own_s > usual_s:
            bound_s = max(bound_s, own_s)
    return bound_s


def pool_timeout_s(request: httpx.Request, usual_s: float) -> float:
    """Return how long the call may wait for its turn, in seconds."""
    own_s: float | None = request.extensions.get("timeout", {}).get("pool", usual_s)
    return math.inf if own_s is None else own_s


def is_shortened(request: httpx.Request, settings: HTTPSettings) -> bool:
    """Whether the call has a timeout of its own that is shorter than the settings'."""
    own = {**request.extensions.get("timeout", {})}
    own["total"] = request.extensions.get("total_timeout_s")
    usual = settings.timeouts | {"total": settings.bound_s("total_timeout_s")}
    return any(own.get(name) is not None and own[name] < usual_s for name, usual_s in usual.items())


class Deadline(Layer):
    """End a call, with all its attempts, at its deadline; raises DeadlineExceeded.

    Reads the body as well, unless the call is streamed: then streaming.py bounds it.
    """

    def __init__(self) -> None:
        super().__init__()
        self._timer = SharedTimer()

    async def send(self, request: httpx.Request, call: Call) -> httpx.Response:
        # A timeout cancels only a wait: without this check, a late call would still be sent.
        if self.now() >= call.deadline:
            raise DeadlineExceeded("total deadline exceeded before the first attempt")
        try:
            with Timeout(self._timer, call.deadline) as call.total_timeout:
                response = await self.inner.send(request, call)
                call.status = response.status_code
                if not call.streamed:
                    await _read(response)
                return response
        except TimeoutError:
            if not call.timed_out:
                raise
            awaited = "waiting for a response" if call.status is None else "reading the body"
            raise DeadlineExceeded(f"total deadline exceeded while {awaited}") from None


async def _read(response: httpx.Response) -> None:
    if isinstance(response.stream, httpx.ByteStream):  # the whole body has arrived
        (response._content,) = response.stream  # as read() does, at a tenth of its cost
        response._num_bytes_downloaded = len(response._content)
        response.is_stream_consumed = response.is_closed = True
    else:
        async with contextlib.aclosing(response):
            await response.aread()
        response.stream = httpx.ByteStream(b"")  # the old one refers to the connection


class AttemptTimeout(Layer):
    """Bound each attempt up to the response's headers, so that a hanging one can be repeated.

    Raises httpx.ReadTimeout, because the upstream may have received the request.
    """

    def __init__(self, settings: HTTPSettings) -> None:
        super().__init__()
        self._attempt_s = settings.bound_s("attempt_timeout_s")
        self._usual = settings.timeouts
        self._timer = SharedTimer()

    async def send(self, request: httpx.Request, call: Call) -> httpx.Response:
        attempt_s = raise_bound(self._attempt_s, request, self._usual)
        try:
            with Timeout(self._timer, self.now() + attempt_s) as timeout:
                return await self.inner.send(request, call)
        except TimeoutError:
            if not timeout.expired:
                raise
            raise httpx.ReadTimeout(f"no response within {attempt_s:g} s") from None
