"""Where attempts are counted for the rate limit: in this process, or in a Redis for several."""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial

from limits import RateLimitItem, parse
from limits.aio.storage import MemoryStorage, RedisStorage
from limits.aio.strategies import MovingWindowRateLimiter
from pydantic import SecretStr

from .rate import Count

log = logging.getLogger(__name__)

# Redis answers within milliseconds; calls are not to wait much longer for it.
_REDIS_SLOW_S = 0.05
_REDIS_TIMEOUT_S = 0.25
# How long it is left alone once it did not answer.
_REDIS_AWAY_S = 2


class Counts:
    """The attempts of late: of this process, or in Redis those of all that share it.

    While Redis does not answer, each process counts for itself, and says so once.
    """

    def __init__(self, redis: RedisStorage | None) -> None:
        self._own = MovingWindowRateLimiter(MemoryStorage())
        self._shared = None if redis is None else MovingWindowRateLimiter(redis)
        self._away_until: float | None = None

    def of(self, upstream: str, limit: str) -> Count:
        return partial(self._count, parse(limit), upstream)

    async def _count(self, limit: RateLimitItem, upstream: str) -> float:
        wait_s = await self._count_shared(limit, upstream)
        if wait_s is None:
            return await _wait_s(self._own, limit, upstream)
        if not wait_s:
            await self._own.hit(limit, upstream)  # to go on from should Redis be lost
        return wait_s

    async def _count_shared(self, limit: RateLimitItem, upstream: str) -> float | None:
        """None where there is no Redis, or it does not answer."""
        if self._shared is None or time.monotonic() < (self._away_until or 0):
            return None
        asked_at = time.monotonic()
        try:
            async with asyncio.timeout(_REDIS_TIMEOUT_S):
                wait_s = await _wait_s(self._shared, limit, upstream)
        except Exception as error:  # whatever its client raises: no call may fail by it
            self._leave_alone(error)
            return None
        except asyncio.CancelledError as left:  # callers with less patience must see it, too
            if time.monotonic() - asked_at > _REDIS_SLOW_S:
                self._leave_alone(left)
            raise
        if self._away_until is not None:
            log.info("Redis answers again: the rate limit is shared")
            self._away_until = None
        return wait_s

    def _leave_alone(self, error: BaseException) -> None:
        if self._away_until is None:
            log.warning(
                "Redis does not answer: each process keeps the rate limit for itself",
                extra={"error": type(error.__cause__ or error).__name__},
            )
        self._away_until = time.monotonic() + _REDIS_AWAY_S


async def _wait_s(limiter: MovingWindowRateLimiter, limit: RateLimitItem, upstream: str) -> float:
    if await limiter.hit(limit, upstream):
        return 0
    free_at, remaining = await limiter.get_window_stats(limit, upstream)
    wait_s = free_at - time.time()
    if wait_s > 2 * limit.get_expiry():  # the clock was set back, perhaps by years
        await limiter.clear(limit, upstream)
    # Where an attempt has become free just now, the time told may be that of a whole window.
    return 0.001 if remaining else min(max(0.001, wait_s), limit.get_expiry())


@asynccontextmanager
async def open_counts(redis_url: SecretStr | None) -> AsyncGenerator[Counts]:
    """Counts for the clients of one application; Redis is first asked by the first call."""
    if redis_url is None:
        yield Counts(None)
        return
    from redis.asyncio import BlockingConnectionPool  # here, because it comes with an extra
    from redis.asyncio.retry import Retry
    from redis.backoff import NoBackoff

    pool = BlockingConnectionPool.from_url(
        redis_url.get_secret_value(),
        max_connections=20,
        timeout=None,  # ours is around the whole
        retry=Retry(NoBackoff(), 1),  # since a server closes what was idle for long
    )
    try:
        yield Counts(
            RedisStorage(
                "async+redis://unused:6379",  # the pool knows where
                implementation="redispy",
                connection_pool=pool,  # type: ignore[arg-type]  # which is its documented use
                key_prefix=__name__.partition(".")[0],  # others may use the same Redis
                wrap_exceptions=True,
            )
        )
    finally:
        with contextlib.suppress(Exception):  # Redis may be gone, and nothing is to be saved
            async with asyncio.timeout(_REDIS_TIMEOUT_S):
                await pool.aclose()
