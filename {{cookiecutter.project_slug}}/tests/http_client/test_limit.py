import asyncio

import {{ cookiecutter.__httpx }}
import pytest

from {{ cookiecutter.package_name }}.http_client.clients import open_clients

from ..service import client_for, managed_for, service_for, settings_for
from ..upstream import Upstream


async def test_never_more_than_max_connections(upstream: Upstream) -> None:
    """The upstream never sees more calls at once than MAX_CONNECTIONS, and sees them all."""
    async with client_for(upstream, max_connections=3, pool_timeout_s=30) as client:
        calls = [asyncio.create_task(client.get("/gate")) for _ in range(12)]
        await upstream.busy(3)
        upstream.gate.set()
        answers = await asyncio.gather(*calls)

    assert {answer.status_code for answer in answers} == {200}
    assert upstream.most_in_flight == 3


async def test_saturation_is_told_soon(upstream: Upstream) -> None:
    """A call that finds no place is refused with 503 and Retry-After, and others go on."""
    async with service_for(upstream, max_connections=1, pool_timeout_s=0.05) as service:
        held = asyncio.create_task(service.get("/external", params={"url": f"{upstream.url}/gate"}))
        await upstream.busy()
        refused = await service.get("/external")
        upstream.gate.set()

        assert (await held).status_code == 200
    assert refused.status_code == 503
    assert refused.json()["type"] == "urn:problem-type:upstream-saturated"
    assert int(refused.headers["Retry-After"]) >= 1


async def test_saturated_upstream_slows_no_other(upstream: Upstream) -> None:
    """Each upstream has places of its own."""
    async with open_clients(settings_for(upstream, max_connections=1)) as clients:
        held = asyncio.create_task(clients.upstreams["up"].client.get("/gate"))
        answer = await clients.default.client.get(upstream.url)
        upstream.gate.set()
        await held

    assert answer.status_code == 200


async def test_streamed_response_keeps_its_place(upstream: Upstream) -> None:
    """A call is in flight until its body is closed, read to the end or not."""
    async with managed_for(upstream, max_connections=1, pool_timeout_s=0.05) as up:
        async with up.client.stream("GET", "/drip") as response:
            chunks = response.aiter_bytes()
            await anext(chunks)
            assert up.limit.in_flight == 1
            with pytest.raises(httpx.PoolTimeout):
                await up.client.get("/")

        assert up.limit.in_flight == 0
        assert (await up.client.get("/")).status_code == 200


@pytest.mark.parametrize("path", ["/gate", "/hang", "/drip"])
async def test_cancelled_calls_leave_their_place(upstream: Upstream, path: str) -> None:
    """After cancellations, in any phase, every place is free again."""
    async with managed_for(upstream, max_connections=5) as up:
        for number in range(40):
            call = asyncio.create_task(up.client.get(path))
            await asyncio.sleep(number / 4000)
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call

        assert (up.limit.in_flight, up.limit.waiting) == (0, 0)
        answers = await asyncio.gather(*(up.client.get("/") for _ in range(5)))
    assert [answer.status_code for answer in answers] == [200] * 5
