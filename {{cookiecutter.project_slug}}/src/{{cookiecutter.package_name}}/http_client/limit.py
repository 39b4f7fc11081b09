"""Bounded concurrency: one upstream never takes more than its share of this process."""

import asyncio
import contextlib

import anyio
import {{ cookiecutter.__httpx }}

from .errors import DeadlineExceeded, Saturated
from .layer import Layer, when_ended


class ConcurrencyLimit(Layer):
    """At most ``max_connections`` calls at once; more wait, first come first served.

    A call counts from here until its body is closed. Waiting is bounded by ``pool_timeout_s``
    and by the call's deadline: raises Saturated, with an estimate of when a place will be free,
    or DeadlineExceeded.
    """

    def __init__(
        self, inner: httpx.AsyncBaseTransport, max_connections: int, pool_timeout_s: float
    ) -> None:
        super().__init__(inner)
        self._max = max_connections
        self._pool_timeout_s = pool_timeout_s
        self._places = anyio.Semaphore(max_connections, fast_acquire=True)
        self._idle = asyncio.Event()
        self._mean_duration_s = 0.0

    @property
    def in_flight(self) -> int:
        return self._max - self._places.value

    @property
    def waiting(self) -> int:
        return self._places.statistics().tasks_waiting

    async def idle(self) -> None:
        """Return when no call is in flight."""
        while self.in_flight:
            self._idle.clear()
            await self._idle.wait()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await self._enter(request.extensions["deadline"])
        entered = self.now()
        try:
            response = await self.inner.handle_async_request(request)
        except BaseException:
            self._leave(entered)
            raise
        when_ended(response, lambda _: self._leave(entered))
        return response

    async def _enter(self, deadline: float) -> None:
        with contextlib.suppress(anyio.WouldBlock):
            self._places.acquire_nowait()
            return
        patience_ends = self.now() + self._pool_timeout_s
        try:
            async with asyncio.timeout_at(min(patience_ends, deadline)):
                await self._places.acquire()
        except TimeoutError:
            if deadline < patience_ends:
                raise DeadlineExceeded(
                    "the total deadline passed before a place was free"
                ) from None
            wait_s = self._mean_duration_s * (self.waiting + 1) / self._max
            raise Saturated(
                f"{self._max} calls under way, none ended in {self._pool_timeout_s:g} s",
                wait_s,
            ) from None

    def _leave(self, entered: float) -> None:
        self._places.release()
        # An exponential mean over about the last ten calls: enough for an estimate.
        self._mean_duration_s += 0.1 * (self.now() - entered - self._mean_duration_s)
        if not self.in_flight:
            self._idle.set()
