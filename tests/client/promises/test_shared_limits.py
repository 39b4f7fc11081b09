"""Limits that processes share in a real Redis, which may go away and come back."""

import asyncio
import contextlib
import itertools
import json
import signal
import time
from collections import Counter
from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from support.generated import Generated
from support.loopback import HOST
from support.redis import PASSWORD, Redis
from support.rendering import EVERYTHING, Bake
from support.service import Service

pytestmark = pytest.mark.anyio

AWAY = "Redis is unavailable; each process continues alone"
BACK = "Redis is available again; sharing state"
KEY = "my_service:rate_limit:up"


class Pair:
    """Two processes of a service, called in turn."""

    def __init__(self, processes: list[Service], upstream: Any, caller: httpx.AsyncClient) -> None:
        self.processes = processes
        self.upstream = upstream
        self._next = itertools.cycle(processes)
        self._caller = caller

    async def call(self, path: str = "") -> httpx.Response:
        port = next(self._next).port
        url = f"http://{HOST}:{port}/external"
        return await self._caller.get(url, params={"url": self.upstream.url + path})

    def logged(self, message: str) -> list[int]:
        """How often each process has logged the message."""
        return [
            [event["message"] for event in process.events].count(message)
            for process in self.processes
        ]


@contextlib.asynccontextmanager
async def pair_of(
    generated: Generated, redis_url: str, limit: str, **settings: object
) -> AsyncGenerator[Pair]:
    async with generated.Upstream() as upstream, httpx.AsyncClient(timeout=60) as caller:
        with contextlib.ExitStack() as stack:
            processes = [
                stack.enter_context(
                    generated.start(
                        shared_state_url=redis_url,
                        upstreams__up__base_url=upstream.url,
                        upstreams__up__rate_limit=limit,
                        **settings,
                    )
                )
                for _ in range(2)
            ]
            yield Pair(processes, upstream, caller)
            for process in processes:
                await asyncio.to_thread(process.stop)
                assert process.finished
                assert process.err == []
                assert not any(PASSWORD in line for line in process.out)


@pytest.fixture(scope="module")
def limited(bake: Bake) -> Generated:
    """The service with every part that can be chosen, the rate limit among them."""
    features = "retry, circuit_breaker, rate_limit, workers"
    return Generated(bake(**EVERYTHING | {"features": features}, upstreams=""))


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not true():  # noqa: ASYNC110 - nothing signals it
            await asyncio.sleep(0.02)


async def test_processes_share_a_limit(limited: Generated, redis: Redis) -> None:
    """All that two processes send, called concurrently and one by one, is within the limit."""
    async with pair_of(limited, redis.url, "20/minute") as pair:
        answers = await asyncio.gather(*(pair.call() for _ in range(60)))
        answers += [await pair.call() for _ in range(4)]

        assert Counter(answer.status_code for answer in answers) == Counter({200: 20, 503: 44})
        assert len(pair.upstream.seen) == 20
        waits = {int(answer.headers["Retry-After"]) for answer in answers if answer.is_error}
        assert all(1 <= wait_s <= 60 for wait_s in waits)


async def test_calls_of_all_processes_wait(limited: Generated, redis: Redis) -> None:
    """Calls that can wait are answered, as fast as the limit allows."""
    async with pair_of(limited, redis.url, "5/second", http__pool_timeout_s=30) as pair:
        started = time.monotonic()
        answers = await asyncio.gather(*(pair.call() for _ in range(20)))
        elapsed_s = time.monotonic() - started

    assert {answer.status_code for answer in answers} == {200}
    assert 2.9 < elapsed_s < 25


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "hanging"])
async def test_redis_may_go_and_come_back(
    limited: Generated, redis: Redis, how: signal.Signals
) -> None:
    """Under load no call is lost; each process logs once that Redis went and that it is back."""
    short = {"http__pool_timeout_s": 0.2}  # less than the time given to Redis
    async with pair_of(limited, redis.url, "100000/minute", **short) as pair:
        answers: list[httpx.Response] = []
        stop = asyncio.Event()

        async def load() -> None:
            while not stop.is_set():
                answers.append(await pair.call())

        loads = [asyncio.create_task(load()) for _ in range(10)]
        await until(lambda: len(answers) > 100)
        redis.send(how)
        await until(lambda: pair.logged(AWAY) == [1, 1])
        served = len(answers)
        await until(lambda: len(answers) > served + 100)
        if how == signal.SIGKILL:
            redis.kill()
            redis.start()
        else:
            redis.send(signal.SIGCONT)
        await until(lambda: pair.logged(BACK) == [1, 1])
        stop.set()
        await asyncio.gather(*loads)

        assert Counter(answer.status_code for answer in answers) == Counter({200: len(answers)})
        assert pair.logged(AWAY) == [1, 1]


async def test_a_connection_may_be_closed(limited: Generated, redis: Redis) -> None:
    """Servers close idle connections: that is not an outage."""
    async with pair_of(limited, redis.url, "10/minute") as pair:
        before = [await pair.call() for _ in range(4)]
        redis.ask("client", "kill", "type", "normal")
        after = [await pair.call() for _ in range(8)]

        assert [each.status_code for each in before + after] == [200] * 4 + [200] * 6 + [503] * 2
        assert pair.logged(AWAY) == [0, 0]


async def test_stopping_waits_for_no_redis(limited: Generated, tmp_path: Path) -> None:
    """A TLS connection to a hanging Redis, which would not answer a close, delays no shutdown."""
    redis = Redis(tmp_path, tls=True)
    redis.start()
    try:
        async with pair_of(limited, redis.url, "10/minute") as pair:
            assert (await pair.call()).status_code == 200
            assert (await pair.call()).status_code == 200
            assert pair.logged(AWAY) == [0, 0]
            redis.send(signal.SIGSTOP)
        levels = {event["level"] for process in pair.processes for event in process.events}
    finally:
        redis.kill()

    assert levels == {"info"}


@pytest.mark.parametrize("password", ["wrong", PASSWORD])
async def test_without_redis_each_process_keeps_the_limit(
    limited: Generated, redis: Redis, password: str
) -> None:
    """Even from the start, and if Redis rejects the password, calls are served within the limit."""
    if password == PASSWORD:
        redis.kill()
    url = redis.url.replace(PASSWORD, password)
    async with pair_of(limited, url, "10/minute") as pair:
        answers = [await pair.call() for _ in range(30)]

        assert Counter(answer.status_code for answer in answers) == Counter({200: 20, 503: 10})
        assert pair.logged(AWAY) == [1, 1]


async def test_a_process_remembers_what_it_sent(limited: Generated, redis: Redis) -> None:
    """When Redis is lost, no process forgets its own attempts."""
    async with pair_of(limited, redis.url, "20/minute") as pair:
        before = [await pair.call() for _ in range(20)]
        redis.kill()
        after = [await pair.call() for _ in range(40)]

    assert {answer.status_code for answer in before} == {200}
    assert Counter(answer.status_code for answer in after) == Counter({200: 20, 503: 20})


async def test_failover(limited: Generated, redis: Redis) -> None:
    """A server that has become a replica rejects writes: it is unavailable until promoted again."""
    async with pair_of(limited, redis.url, "100/minute") as pair:
        answers = [await pair.call() for _ in range(2)]
        redis.ask("replicaof", HOST, "1")
        answers += [await pair.call() for _ in range(4)]
        assert pair.logged(AWAY) == [1, 1]
        redis.ask("replicaof", "no", "one")
        while pair.logged(BACK) != [1, 1]:
            answers.append(await pair.call())
            await asyncio.sleep(0.1)

    assert {answer.status_code for answer in answers} == {200}


def begun(count: int, ago_s: float) -> list[str]:
    """Attempts as Redis holds them."""
    return [str(int((time.time() - ago_s) * 1_000_000))] * count


async def test_redis_holds_little(limited: Generated, redis: Redis) -> None:
    """Each client has one key, named for the service, with at most as many times as the limit.

    It expires, and those from before the period do not count.
    """
    redis.ask("rpush", KEY, *begun(9, ago_s=61))
    async with pair_of(limited, redis.url, "4/minute") as pair:
        answers = [await pair.call() for _ in range(6)]
        keys, lengths, left_ms = (
            redis.ask("keys", "*"),
            redis.ask("llen", KEY),
            redis.ask("pttl", KEY),
        )

    assert [answer.status_code for answer in answers] == [200] * 4 + [503] * 2
    assert (keys, lengths) == ([KEY], ["4"])
    assert 0 < int(left_ms[0]) <= 60_000


async def test_redis_clock_may_be_set_back(limited: Generated, redis: Redis) -> None:
    """Attempts from the future are forgotten; otherwise they would block all others until then."""
    redis.ask("rpush", KEY, *begun(2, ago_s=-3600))
    async with pair_of(limited, redis.url, "2/minute") as pair:
        answers = [await pair.call() for _ in range(4)]

    assert [answer.status_code for answer in answers] == [200, 200, 503, 503]


async def test_the_limit_may_change(limited: Generated, redis: Redis) -> None:
    """While a version with a lower limit rolls out, attempts within the old limit count."""
    redis.ask("rpush", KEY, *begun(4, ago_s=50), *begun(4, ago_s=10))
    async with pair_of(limited, redis.url, "4/minute") as pair:
        answer = await pair.call()

    assert answer.status_code == 503
    assert 30 < int(answer.headers["Retry-After"]) <= 50


async def test_each_client_has_its_own_limit(limited: Generated, redis: Redis) -> None:
    """Upstreams with one URL have separate limits, and so has the default client."""
    async with limited.Upstream() as upstream:
        one = {"base_url": upstream.url}
        settings = {
            "shared_state_url": redis.url,
            "http": {"rate_limit": "1/minute"},
            "upstreams": {"one": one, "two": one},
        }
        program = ("separate_limits.py", json.dumps(settings), upstream.url)
        statuses = await asyncio.to_thread(limited.report, *program)

    assert statuses == [200] * 3
    assert len(redis.ask("keys", "my_service:*")) == 3


HOLD = "/status/429?retry-after=60"
SINGLE = {"http__max_attempts": 1}


@pytest.mark.parametrize("limit", ["none", "1000/minute"])
async def test_processes_share_a_hold(limited: Generated, redis: Redis, limit: str) -> None:
    """After a 429 to one process, none calls before the time named; the key expires then."""
    async with pair_of(limited, redis.url, limit, **SINGLE) as pair:
        answers = [await pair.call(HOLD)]
        [key] = redis.ask("keys", "my_service:pushback:*")
        [left_ms] = redis.ask("pttl", key)
        answers += await asyncio.gather(*(pair.call() for _ in range(20)))

        assert Counter(answer.status_code for answer in answers) == Counter({200: 1, 503: 20})
        assert key == f"my_service:pushback:up:{pair.upstream.url}"
        assert 50_000 < int(left_ms) <= 60_000
        assert len(pair.upstream.seen) == 1


async def test_calls_of_all_processes_wait_for_the_end_of_a_hold(
    limited: Generated, redis: Redis
) -> None:
    """Calls that can wait are sent by both processes after the hold, and succeed."""
    async with pair_of(limited, redis.url, "none", **SINGLE) as pair:
        started = time.monotonic()
        await pair.call("/status/503?retry-after=1")
        calls = [asyncio.create_task(pair.call()) for _ in range(20)]
        await asyncio.wait(calls, return_when=asyncio.FIRST_COMPLETED)
        waited_s = time.monotonic() - started
        answers = await asyncio.gather(*calls)

    assert {answer.status_code for answer in answers} == {200}
    assert waited_s >= 1


async def test_without_redis_each_process_keeps_its_own_hold(
    limited: Generated, redis: Redis
) -> None:
    """When Redis is lost, the process that received the 429 holds on; no call is lost."""
    async with pair_of(limited, redis.url, "none", **SINGLE) as pair:
        await pair.call(HOLD)
        redis.kill()
        answers = [await pair.call() for _ in range(8)]

    assert [answer.status_code for answer in answers] == [200, 503] * 4


async def test_a_hold_ends_if_the_clock_of_redis_is_set_back(
    limited: Generated, redis: Redis
) -> None:
    """A key that lives longer than RETRY_AFTER_MAX_S is ignored, and replaced by the next 429."""
    async with pair_of(limited, redis.url, "none", **SINGLE) as pair:
        key = f"my_service:pushback:up:{pair.upstream.url}"
        redis.ask("set", key, "0", "ex", "3600")
        answers = [await pair.call() for _ in range(2)]
        answers += [await pair.call(HOLD), await pair.call()]
        [left_s] = redis.ask("ttl", key)

    assert [answer.status_code for answer in answers] == [200, 200, 200, 503]
    assert int(left_s) <= 60
