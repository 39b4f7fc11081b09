"""The rate limit: no more attempts in a time than the upstream allows."""

import asyncio
from collections.abc import Awaitable, Callable

import {{ cookiecutter.__httpx }}

from .errors import RateLimited
from .layer import Layer

Count = Callable[[], Awaitable[float]]
"""Counts an attempt and gives 0, or the seconds until one may be allowed."""

# Refusing comes before the deadline, whose cut the breaker takes for the upstream's failure.
_BEFORE_DEADLINE_S = 0.01


class RateLimit(Layer):
    """Begin an attempt when fewer than ``limit`` have begun in the time before it.

    Attempts wait first come, first served. One that would wait longer than ``pool_timeout_s``
    is refused, at once if that is known: raises RateLimited.
    """

    def __init__(
        self, inner: httpx.AsyncBaseTransport, limit: str, pool_timeout_s: float, count: Count
    ) -> None:
        super().__init__(inner)
        self._limit = limit
        self._pool_timeout_s = pool_timeout_s
        self._count = count
        self._turn = asyncio.Lock()
        self._full_until = self.now()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        patience_ends = min(
            self.now() + self._pool_timeout_s, request.extensions["deadline"] - _BEFORE_DEADLINE_S
        )
        self._refuse_if_full_until(patience_ends)
        if self._turn.locked() or await self._is_full():
            await self._wait(patience_ends)
        return await self.inner.handle_async_request(request)

    async def _wait(self, patience_ends: float) -> None:
        try:
            async with asyncio.timeout_at(patience_ends) as patience, self._turn:
                patience.reschedule(None)  # the time that Redis takes is not the caller's
                full = True
                while full:
                    self._refuse_if_full_until(patience_ends)
                    await asyncio.sleep(self._full_until - self.now())
                    full = await self._is_full()
        except TimeoutError:
            raise self._refusal() from None

    async def _is_full(self) -> bool:
        """Whether the attempt must wait; if not, it is counted."""
        wait_s = await self._count()
        self._full_until = self.now() + wait_s
        return wait_s > 0

    def _refuse_if_full_until(self, patience_ends: float) -> None:
        if self._full_until > patience_ends:
            raise self._refusal()

    def _refusal(self) -> RateLimited:
        wait_s = self._full_until - self.now()
        return RateLimited(f"the rate limit of {self._limit} is reached", wait_s)
