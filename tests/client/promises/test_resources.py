"""No upstream and no caller can exhaust the service's memory, slots or connections."""

import asyncio
import contextlib

import httpx
import pytest

from support.generated import Generated
from support.loopback import HOST

pytestmark = pytest.mark.anyio

BOMB = 200 * 2**20
STREAMS = 25


async def test_a_bomb_costs_a_few_times_the_limit(service: Generated) -> None:
    """200 MiB of zeros, 200 KiB on the wire, are decoded only up to MAX_RESPONSE_BYTES."""
    async with service.Upstream() as upstream:
        bomb = f"{upstream.url}/gzip/{BOMB}"
        report = await asyncio.to_thread(service.report, "bomb.py", bomb)

    assert report["raised"] == "ResponseTooLarge"
    assert report["cost"] < 4 * report["limit"] < BOMB


def test_a_soak_leaves_nothing_behind(service: Generated) -> None:
    """Thousands of calls, faults among them, add no objects, descriptors or tasks."""
    report = service.report("soak.py")
    before, after = report["before"], report["after"]

    assert sum(report["outcomes"].values()) > 4000
    assert set(report["outcomes"]) > {
        *("200", "404", "503", "ReadError", "ReadTimeout", "/left-early")
    }
    assert after["objects"] < before["objects"] + 500
    assert (after["descriptors"], after["tasks"]) == (before["descriptors"], before["tasks"])
    assert (report["up"]["in_flight"], report["up"]["waiting"]) == (0, 0)
    quiet, kept = report["kept"]
    assert kept["objects"] < quiet["objects"] + 500


def test_abandoned_streams_release_their_slots(service: Generated) -> None:
    """25 responses that stay referenced, and are never closed, release their slots."""
    report = service.report("abandoned.py")

    assert report["before"]["in_flight"] == STREAMS
    assert report["streams"] == report["answers"] == [200] * STREAMS
    assert (report["after"]["in_flight"], report["after"]["waiting"]) == (0, 0)


@pytest.mark.parametrize("path", ["/drip", "/hang"])
async def test_callers_who_leave_free_the_upstream(service: Generated, path: str) -> None:
    """25 callers who leave a stream, before or within its body, leave no call in flight."""
    async with contextlib.AsyncExitStack() as stack:
        upstream = await stack.enter_async_context(service.Upstream())
        process = service.start(
            upstreams__up__base_url=upstream.url, upstreams__up__max_connections=STREAMS
        )
        base_url = f"http://{HOST}:{process.port}"
        caller = await stack.enter_async_context(httpx.AsyncClient(base_url=base_url, timeout=60))
        stack.enter_context(process)

        async def call() -> None:
            params = {"url": upstream.url + path}
            async with caller.stream("GET", "/external/stream", params=params) as response:
                async for _ in response.aiter_bytes():
                    pass

        calls = [asyncio.create_task(call()) for _ in range(STREAMS)]
        await upstream.wait_for_calls(STREAMS)
        await asyncio.sleep(0.2)  # in which a body begins to arrive
        for each in calls:
            each.cancel()
        await asyncio.wait(calls)
        async with asyncio.timeout(5):  # an attempt may take 10 s
            while upstream.in_flight:  # noqa: ASYNC110 - the upstream signals only arrivals
                await asyncio.sleep(0.01)
        params = {"url": upstream.url}
        answers = await asyncio.gather(
            *(caller.get("/external", params=params) for _ in range(STREAMS))
        )
        status = (await caller.get("/readyz")).json()["upstreams"]["up"]

    assert upstream.most_in_flight == STREAMS
    assert len(upstream.seen) == 2 * STREAMS
    assert [answer.status_code for answer in answers] == [200] * STREAMS
    assert (status["in_flight"], status["waiting"]) == (0, 0)


async def test_a_saturated_upstream_slows_no_other(service: Generated) -> None:
    """While all slots of one upstream are taken and callers wait, calls to another succeed."""
    async with contextlib.AsyncExitStack() as stack:
        full, free = [await stack.enter_async_context(service.Upstream()) for _ in range(2)]
        process = service.start(
            http__pool_timeout_s=60,
            upstreams__full__base_url=full.url,
            upstreams__full__max_connections=5,
            upstreams__free__base_url=free.url,
        )
        base_url = f"http://{HOST}:{process.port}"
        caller = await stack.enter_async_context(httpx.AsyncClient(base_url=base_url, timeout=60))
        stack.enter_context(process)

        def call(url: str) -> asyncio.Task[httpx.Response]:
            return asyncio.create_task(caller.get("/external", params={"url": url}))

        async def status_of_full() -> tuple[int, int]:
            status = (await caller.get("/readyz")).json()["upstreams"]["full"]
            return status["in_flight"], status["waiting"]

        stuck = [call(f"{full.url}/gate") for _ in range(20)]
        async with asyncio.timeout(20):
            while await status_of_full() != (5, 15):  # noqa: ASYNC110 - nothing signals it
                await asyncio.sleep(0.01)
        answers = await asyncio.gather(*(call(free.url) for _ in range(60)))
        still = await status_of_full()
        full.gate.set()
        freed = await asyncio.gather(*stuck)

    assert [answer.status_code for answer in answers] == [200] * 60
    assert still == (5, 15)
    assert [answer.status_code for answer in freed] == [200] * 20
    assert full.most_in_flight == 5
