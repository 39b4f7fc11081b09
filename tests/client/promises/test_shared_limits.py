"""A rate limit that processes share in a real Redis, which may go away and come back."""

import asyncio
import contextlib
import itertools
import signal
import time
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from support.generated import Generated
from support.loopback import HOST
from support.redis import PASSWORD, Redis
from support.service import Service

pytestmark = pytest.mark.anyio

AWAY = "Redis does not answer: each process keeps the rate limit for itself"
BACK = "Redis answers again: the rate limit is shared"


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[Redis]:
    redis = Redis(tmp_path)
    redis.start()
    yield redis
    redis.kill()


class Pair:
    """Two processes of a service, called in turn."""

    def __init__(self, processes: list[Service], upstream: Any, caller: httpx.AsyncClient) -> None:
        self.processes = processes
        self.upstream = upstream
        self._next = itertools.cycle(processes)
        self._caller = caller

    async def call(self) -> httpx.Response:
        port = next(self._next).port
        url = f"http://{HOST}:{port}/external"
        return await self._caller.get(url, params={"url": self.upstream.url})

    def count(self, message: str) -> list[int]:
        """Count the message in each process's log."""
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
                assert [] == process.err
                assert not any(PASSWORD in line for line in process.out)


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not true():  # noqa: ASYNC110 - what other processes say sets no event
            await asyncio.sleep(0.02)


async def test_processes_share_a_limit(everything: Generated, redis: Redis) -> None:
    """All that two processes send, called at once and later, is within the one limit."""
    async with pair_of(everything, redis.url, "20/minute") as pair:
        answers = await asyncio.gather(*(pair.call() for _ in range(60)))
        answers += [await pair.call() for _ in range(4)]

        assert Counter({200: 20, 503: 44}) == Counter(answer.status_code for answer in answers)
        assert 20 == len(pair.upstream.seen)
        waits = {int(answer.headers["Retry-After"]) for answer in answers if answer.is_error}
        assert all(1 <= wait_s <= 60 for wait_s in waits)


async def test_calls_wait_for_one_another_s_turn(everything: Generated, redis: Redis) -> None:
    """Calls of both processes that can wait get their answers, as fast as is allowed."""
    async with pair_of(everything, redis.url, "5/second", http__pool_timeout_s=30) as pair:
        started = time.monotonic()
        answers = await asyncio.gather(*(pair.call() for _ in range(20)))
        elapsed_s = time.monotonic() - started

    assert {200} == {answer.status_code for answer in answers}
    assert 2.9 < elapsed_s < 25


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "hanging"])
async def test_redis_may_go_and_come_back(
    everything: Generated, redis: Redis, how: signal.Signals
) -> None:
    """Under load no call is lost, each process says once that Redis went and that it is back."""
    timeout = {"http__pool_timeout_s": 0.2}  # shorter than the timeout for Redis
    async with pair_of(everything, redis.url, "100000/minute", **timeout) as pair:
        answers: list[httpx.Response] = []
        stop = asyncio.Event()

        async def load() -> None:
            while not stop.is_set():
                answers.append(await pair.call())

        loads = [asyncio.create_task(load()) for _ in range(10)]
        await until(lambda: len(answers) > 100)
        redis.send(how)
        await until(lambda: [1, 1] == pair.count(AWAY))
        served = len(answers)
        await until(lambda: len(answers) > served + 100)
        if how == signal.SIGKILL:
            redis.kill()
            redis.start()
        else:
            redis.send(signal.SIGCONT)
        await until(lambda: [1, 1] == pair.count(BACK))
        stop.set()
        await asyncio.gather(*loads)

        assert Counter({200: len(answers)}) == Counter(answer.status_code for answer in answers)
        assert [1, 1] == pair.count(AWAY)


async def test_a_connection_may_be_closed(everything: Generated, redis: Redis) -> None:
    """As servers do with what was idle for long: that is no outage."""
    async with pair_of(everything, redis.url, "10/minute") as pair:
        before = [await pair.call() for _ in range(4)]
        redis.ask("client", "kill", "type", "normal")
        after = [await pair.call() for _ in range(8)]

        assert [200] * 4 + [200] * 6 + [503] * 2 == [each.status_code for each in before + after]
        assert [0, 0] == pair.count(AWAY)


async def test_stopping_waits_for_no_redis(everything: Generated, tmp_path: Path) -> None:
    """Redis hangs, with a TLS connection that would be closed politely: all ends as ever."""
    redis = Redis(tmp_path, tls=True)
    redis.start()
    try:
        async with pair_of(everything, redis.url, "10/minute") as pair:
            assert 200 == (await pair.call()).status_code
            assert 200 == (await pair.call()).status_code
            assert [0, 0] == pair.count(AWAY)
            redis.send(signal.SIGSTOP)
        levels = {event["level"] for process in pair.processes for event in process.events}
    finally:
        redis.kill()

    assert {"info"} == levels


@pytest.mark.parametrize("password", ["wrong", PASSWORD])
async def test_without_redis_each_process_keeps_the_limit(
    everything: Generated, redis: Redis, password: str
) -> None:
    """Also from the start, and where Redis refuses: the service serves, within the limit."""
    if password == PASSWORD:
        redis.kill()
    url = redis.url.replace(PASSWORD, password)
    async with pair_of(everything, url, "10/minute") as pair:
        answers = [await pair.call() for _ in range(30)]

        assert Counter({200: 20, 503: 10}) == Counter(answer.status_code for answer in answers)
        assert [1, 1] == pair.count(AWAY)


async def test_a_process_goes_on_from_what_it_sent(everything: Generated, redis: Redis) -> None:
    """When Redis is lost, no process forgets its own attempts."""
    async with pair_of(everything, redis.url, "20/minute") as pair:
        before = [await pair.call() for _ in range(20)]
        redis.kill()
        after = [await pair.call() for _ in range(40)]

    assert {200} == {answer.status_code for answer in before}
    assert Counter({200: 20, 503: 20}) == Counter(answer.status_code for answer in after)
