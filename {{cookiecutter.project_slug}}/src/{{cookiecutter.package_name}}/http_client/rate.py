"""The rate limit: no more attempts in a time than the upstream allows."""

import asyncio
import math
from collections.abc import Awaitable, Callable

import {{ cookiecutter.__httpx }}

from .errors import RateLimited
from .layer import Layer

Count = Callable[[], Awaitable[float]]
"""Counts an attempt and gives 0, or the seconds until one may be allowed."""


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
        self._now = asyncio.get_running_loop().time
        self._full_until = self._now()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        patience_ends = self._now() + self._pool_timeout_s
        try:
            async with asyncio.timeout_at(patience_ends), self._turn:
                while wait_s := await self._count():
                    self._full_until = self._now() + wait_s
                    if self._full_until > patience_ends:
                        raise TimeoutError
                    await asyncio.sleep(wait_s)
        except TimeoutError:
            raise RateLimited(
                f"the rate limit of {self._limit} is reached",
                retry_after_s=max(1, math.ceil(self._full_until - self._now())),
            ) from None
        return await self.inner.handle_async_request(request)
