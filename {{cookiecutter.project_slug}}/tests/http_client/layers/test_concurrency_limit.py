import asyncio
from typing import Any

import pytest

from {{ cookiecutter.package_name }}.http_client.clients import open_clients
from {{ cookiecutter.package_name }}.http_client.layers.concurrency_limit import (
    ConcurrencyLimitReached,
)
from {{ cookiecutter.package_name }}.http_client.layers.timeouts import DeadlineExceeded

from ...service import client_for, service_for, settings_for, stack_for
from ...upstream import Upstream


async def test_never_more_than_max_connections(upstream: Upstream) -> None:
    """The upstream receives every call, but no more than MAX_CONNECTIONS concurrently."""
    async with client_for(upstream, max_connections=3, pool_timeout_s=30) as client:
        calls = [asyncio.create_task(client.get("/gate")) for _ in range(12)]
        await upstream.wait_for_calls(3)
        upstream.gate.set()
        answers = await asyncio.gather(*calls)

    assert [answer.status_code for answer in answers] == [200] * 12
    assert upstream.most_in_flight == 3


async def test_call_without_a_slot_is_rejected(upstream: Upstream) -> None:
    """A call that gets no slot within POOL_TIMEOUT_S is a 503 with Retry-After."""
    async with service_for(upstream, max_connections=1, pool_timeout_s=0.05) as service:
        held = asyncio.create_task(service.get("/external", params={"url": f"{upstream.url}/gate"}))
        await upstream.wait_for_calls()
        async with asyncio.timeout(5):
            rejected = await service.get("/external")
        upstream.gate.set()

        assert (await held).status_code == 200
    assert rejected.status_code == 503
    assert rejected.json()["type"] == "urn:problem-type:upstream-saturated"
    assert int(rejected.headers["Retry-After"]) >= 1


@pytest.mark.parametrize("own", [{"timeout": 5}, {"timeout": None}])
async def test_call_may_wait_longer_for_a_slot(upstream: Upstream, own: dict[str, Any]) -> None:
    """A call's own pool timeout replaces POOL_TIMEOUT_S."""
    async with client_for(upstream, max_connections=1, pool_timeout_s=0.05) as client:
        asyncio.get_running_loop().call_later(0.2, upstream.gate.set)
        answers = await asyncio.gather(*(client.get("/gate", **own) for _ in range(2)))

    assert [answer.status_code for answer in answers] == [200, 200]


async def test_waiting_ends_at_the_deadline(upstream: Upstream) -> None:
    """A call does not wait for a slot past its deadline."""
    one_slot = {"max_connections": 1, "pool_timeout_s": 30}
    async with (
        client_for(upstream, **one_slot, total_timeout_s=0.2) as client,
        client.stream("GET", "/drip"),
    ):
        with pytest.raises(DeadlineExceeded, match="waiting for a slot"):
            await client.get("/")


async def test_saturated_upstream_slows_no_other(upstream: Upstream) -> None:
    """Each client has slots of its own."""
    async with open_clients(settings_for(upstream, max_connections=1)) as clients:
        held = asyncio.create_task(clients.upstreams["up"].client.get("/gate"))
        await upstream.wait_for_calls()
        answer = await clients.default.client.get(upstream.url)
        upstream.gate.set()
        await held

    assert answer.status_code == 200


async def test_streamed_response_keeps_its_slot(upstream: Upstream) -> None:
    """A call holds its slot until its body is closed, whether it was read to the end or not."""
    async with stack_for(upstream, max_connections=1, pool_timeout_s=0.05) as up:
        async with up.client.stream("GET", "/drip") as response:
            chunks = response.aiter_bytes()  # kept, because httpx2 closes what is dropped
            await anext(chunks)
            with pytest.raises(ConcurrencyLimitReached):
                await up.client.get("/")

        assert up.gauges()["in_flight"] == 0
        assert (await up.client.get("/")).status_code == 200


@pytest.mark.parametrize("path", ["/gate", "/drip"])
async def test_cancelled_calls_release_their_slot(upstream: Upstream, path: str) -> None:
    """After cancellations in every phase of a call, every slot is free again."""
    async with stack_for(upstream, max_connections=5) as up:
        for number in range(40):
            call = asyncio.create_task(up.client.get(path))
            await asyncio.sleep(number / 8000)
            call.cancel()
            await asyncio.wait([call])

        gauges = up.gauges()
        answers = await asyncio.gather(*(up.client.get("/") for _ in range(5)))
    assert (gauges["in_flight"], gauges["waiting"]) == (0, 0)
    assert [answer.status_code for answer in answers] == [200] * 5
