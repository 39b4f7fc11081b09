"""The total deadline of a call, and the timeout of each attempt."""

import contextlib
import math

import {{ cookiecutter.__httpx }}

from ...settings import HTTPSettings
from ..timer import SharedTimer, Timeout
from .base import Call, Layer


class DeadlineExceeded(httpx.TimeoutException):
    """TOTAL_TIMEOUT_S has passed; for a streamed body, STREAM_TIMEOUT_S."""


def timeouts_of(request: httpx.Request) -> dict[str, float]:
    """Return the call's own timeouts in seconds, by httpx's names and ``total``; None is infinite.

    Raises ValueError for one that is not a number.
    """
    extensions = request.extensions
    own = {**extensions.get("timeout", {}), "total": extensions.get("total_timeout_s")}
    for name, own_s in own.items():
        if not (own_s is None or (isinstance(own_s, int | float) and own_s == own_s)):
            raise ValueError(f"the {name} timeout must be a number of seconds, or None")
    return {name: math.inf if own_s is None else own_s for name, own_s in own.items()}


def raise_bound(bound_s: float, request: httpx.Request, usual: dict[str, float]) -> float:
    """Raise a bound, in seconds, to the call's longest timeout that exceeds the ``usual`` one.

    ``timeout=60`` then gives an upstream 60 seconds. None is no timeout, and removes the bound.
    """
    if request.extensions.get("timeout", usual) == usual:
        return bound_s
    own = timeouts_of(request)
    return max([bound_s, *(own[name] for name in usual.keys() & own if own[name] > usual[name])])


def is_shortened(request: httpx.Request, settings: HTTPSettings) -> bool:
    """Whether the call has a timeout of its own that is shorter than the settings'."""
    usual = settings.timeouts | {"total": settings.bound_s("total_timeout_s")}
    return any(own_s < usual.get(name, 0) for name, own_s in timeouts_of(request).items())


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
