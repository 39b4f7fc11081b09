"""Retries: only what is safe, only while there is time, and never as a storm."""

import asyncio
import contextlib
import random
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import {{ cookiecutter.__httpx }}

from ..settings import HTTPSettings
from .errors import Refused
from .layer import Layer, is_repeatable, stream_of

# Too many requests, bad gateway, unavailable, gateway timeout: the next one may do better.
_TRANSIENT = frozenset({429, 502, 503, 504})
# The engine raises these only where no byte of the request has left.
_NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout)
_BROKEN = (
    httpx.NetworkError,
    httpx.RemoteProtocolError,
    httpx.ConnectTimeout,
    httpx.ReadTimeout,
    httpx.WriteTimeout,
)
# The floor of the budget, so that a client with few calls has retries too. Finagle's default is 10 a
# second, saved for 10 s (finagle.github.io/blog/2016/02/08/retry-budgets). One is enough for few
# calls, and also little for an upstream that many workers call.
_EARNED_PER_S = 1.0
_MOST_SAVED = 10.0
# What a new connection costs is worth about as much reading and waiting.
_DISCARD_BYTES = 16 * 1024
_DISCARD_S = 0.1


class Retry(Layer):
    """Send a failed request again after a random wait, if that cannot do harm.

    Safe are failures before anything was sent, idempotent methods, and requests with an
    ``Idempotency-Key``; streamed requests are sent once, since their body is gone. The wait
    is uniform in [0, base * 2**n] ("full jitter") or the upstream's ``Retry-After`` if that
    is longer; a wait that would pass the deadline is not begun. Each call earns the client
    ``retry_budget`` of a retry, and each second one retry, of which it saves ten at most: so a
    dead upstream costs little more than that share.
    """

    def __init__(self, inner: httpx.AsyncBaseTransport, settings: HTTPSettings) -> None:
        super().__init__(inner)
        self._max_attempts = settings.max_attempts
        self._base_s = settings.backoff_base_s
        self._max_s = settings.backoff_max_s
        self._earned_per_call = settings.retry_budget
        self._budget = _MOST_SAVED
        self._earned_at = self.now()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self._earn()
        while True:
            request.extensions["attempts"] += 1
            try:
                response = await self.inner.handle_async_request(request)
            except Refused:
                request.extensions["attempts"] -= 1  # it never started
                raise
            except _BROKEN as failure:
                wait_s = self._wait_s(request, failure)
                if wait_s is None:
                    raise
            else:
                wait_s = self._wait_s(request, response)
                if wait_s is None:
                    return response
                await _discard(response)
            await asyncio.sleep(wait_s)

    def _earn(self) -> None:
        now = self.now()
        earned = self._earned_per_call + _EARNED_PER_S * (now - self._earned_at)
        self._budget = min(self._budget + earned, _MOST_SAVED)
        self._earned_at = now

    def _wait_s(self, request: httpx.Request, result: httpx.Response | Exception) -> float | None:
        """Seconds to wait before the next attempt, now paid for; None if there must be none."""
        if isinstance(result, httpx.Response) and result.status_code not in _TRANSIENT:
            return None
        # Its repetition on a new connection counts as well (request.py).
        attempt: int = request.extensions["attempts"]
        safe = is_repeatable(request, sent=not isinstance(result, _NEVER_SENT))
        if not safe or attempt >= self._max_attempts or self._budget < 1:
            return None
        wait_s = random.uniform(0, min(self._max_s, self._base_s * 2 ** (attempt - 1)))
        if isinstance(result, httpx.Response):
            wait_s = max(wait_s, _retry_after_s(result))
        time_left_s = request.extensions["deadline"] - self.now()
        if wait_s >= time_left_s:
            return None
        self._budget -= 1
        return wait_s


async def _discard(response: httpx.Response) -> None:
    """Close a response; read first if that is quick, so that its connection serves again."""
    with contextlib.suppress(TimeoutError, httpx.HTTPError):
        async with contextlib.aclosing(response), asyncio.timeout(_DISCARD_S):
            size = 0
            async for chunk in stream_of(response):
                size += len(chunk)
                if size > _DISCARD_BYTES:
                    break


def _retry_after_s(response: httpx.Response) -> float:
    """The response's ``Retry-After`` in seconds (RFC 9110, 10.2.3); 0 if none or nonsense."""
    value = response.headers.get("Retry-After", "")
    if value.isdecimal():
        return float(value)
    with contextlib.suppress(OverflowError, TypeError, ValueError):
        when = parsedate_to_datetime(value)  # in one of its forms without a zone
        return (when.replace(tzinfo=when.tzinfo or UTC) - datetime.now(UTC)).total_seconds()
    return 0
