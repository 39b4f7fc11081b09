"""The concurrency limit: no upstream occupies more than its share of this process."""

import asyncio
import contextlib

import anyio
import {{ cookiecutter.__httpx }}

from ..errors import ProblemType, Rejected
from .base import Call, Layer
from .timeouts import DeadlineExceeded, timeouts_of


class ConcurrencyLimitReached(Rejected, httpx.PoolTimeout):
    """MAX_CONNECTIONS calls are in flight and none ended within POOL_TIMEOUT_S."""

    problem = ProblemType(503, "upstream-saturated", "Too many concurrent calls to the upstream.")


class ConcurrencyLimit(Layer):
    """At most ``max_connections`` calls in flight; further calls wait for a slot, in order.

    A call keeps its slot until its body is closed. It waits at most ``pool_timeout_s``, or its own
    pool timeout, and not past its deadline. Raises ConcurrencyLimitReached, with an estimate of
    when a slot will be free, or DeadlineExceeded.
    """

    def __init__(self, max_connections: int, pool_timeout_s: float) -> None:
        super().__init__()
        self._max = max_connections
        self._pool_timeout_s = pool_timeout_s
        self._slots = anyio.Semaphore(max_connections, fast_acquire=True)
        self._mean_duration_s = 0.0

    def gauges(self) -> dict[str, int | str]:
        waiting = self._slots.statistics().tasks_waiting
        in_flight = self._max - self._slots.value
        return {"in_flight": in_flight, "waiting": waiting, **self.inner.gauges()}

    async def send(self, request: httpx.Request, call: Call) -> httpx.Response:
        await self._acquire(request, call.deadline)
        acquired = self.now()
        try:
            response = await self.inner.send(request, call)
        except BaseException:
            self._release(acquired)
            raise
        call.on_end(lambda _: self._release(acquired))
        return response

    async def _acquire(self, request: httpx.Request, deadline: float) -> None:
        with contextlib.suppress(anyio.WouldBlock):
            self._slots.acquire_nowait()
            return
        max_wait_s = timeouts_of(request).get("pool", self._pool_timeout_s)
        give_up_at = self.now() + max_wait_s
        try:
            async with asyncio.timeout_at(min(give_up_at, deadline)):
                await self._slots.acquire()
        except TimeoutError:
            if deadline < give_up_at:
                raise DeadlineExceeded("total deadline exceeded while waiting for a slot") from None
            waiting = self._slots.statistics().tasks_waiting
            raise ConcurrencyLimitReached(
                f"all {self._max} slots were busy for {max_wait_s:g} s",
                retry_after_s=self._mean_duration_s * (waiting + 1) / self._max,
            ) from None

    def _release(self, acquired: float) -> None:
        self._slots.release()
        # An exponential mean over about the last ten calls is enough for an estimate.
        self._mean_duration_s += 0.1 * (self.now() - acquired - self._mean_duration_s)
