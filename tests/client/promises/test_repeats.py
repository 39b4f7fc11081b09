"""What is sent to an upstream, and how often: once, unless it is safe to send it again."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from support.generated import Generated
from support.loopback import HOST

pytestmark = pytest.mark.anyio

ATTEMPTS = 3
# What befalls an order, and what the service's caller is told: the upstream's status, if any.
ORDERS = {
    "/drop": 502,
    "/reset": 502,
    "/garbage": 502,
    "/hang": 504,
    "/status/503": 200,
}


@dataclass
class ShopService:
    """A running service, and the upstreams it calls."""

    caller: httpx.AsyncClient
    shop: Any
    stock: Any
    dead: Any

    async def get(self, upstream: Any, path: str) -> httpx.Response:
        return await self.caller.get("/external", params={"url": upstream.url + path})

    async def order(self, path: str, **key: str) -> httpx.Response:
        return await self.caller.post("/orders", params={"path": path, **key})


@pytest.fixture(scope="module")
async def running(service: Generated) -> AsyncIterator[ShopService]:
    async with contextlib.AsyncExitStack() as stack:
        shop, stock, dead = [await stack.enter_async_context(service.Upstream()) for _ in range(3)]
        process = service.start(
            "shop.py",
            http__attempt_timeout_s=0.5,
            http__pool_timeout_s=30,
            http__max_attempts=ATTEMPTS,
            http__backoff_base_s=0.01,
            http__breaker_failure_ratio="none",
            upstreams__shop__base_url=shop.url,
            upstreams__stock__base_url=stock.url,
            upstreams__dead__base_url=dead.url,
        )
        caller = httpx.AsyncClient(
            base_url=f"http://{HOST}:{process.port}", timeout=60, limits=httpx.Limits()
        )
        async with caller:
            with process:
                yield ShopService(caller, shop, stock, dead)


async def test_an_order_is_sent_exactly_once(running: ShopService) -> None:
    """A POST that may have been received is sent exactly once, however it ends (the authority)."""
    running.shop.seen.clear()
    answers = await asyncio.gather(*(running.order(path) for path in ORDERS))

    assert list(ORDERS.values()) == [answer.status_code for answer in answers]
    assert sorted(ORDERS) == sorted(seen.target for seen in running.shop.seen)
    assert {("POST", b"order")} == {(seen.method, seen.body) for seen in running.shop.seen}


async def test_an_order_with_a_key_is_tried_again(running: ShopService) -> None:
    """An Idempotency-Key makes it safe to repeat: the whole order is sent again."""
    running.shop.seen.clear()
    answers = await asyncio.gather(*(running.order(path, key="7") for path in ORDERS))

    assert list(ORDERS.values()) == [answer.status_code for answer in answers]
    assert sorted([*ORDERS] * ATTEMPTS) == sorted(seen.target for seen in running.shop.seen)
    assert {(b"order", "7")} == {
        (seen.body, seen.headers["idempotency-key"]) for seen in running.shop.seen
    }


@pytest.mark.parametrize(
    ("path", "sent"), [("/flaky/2", 3), ("/flaky-drop/1", 2)], ids=["two-503s", "dropped"]
)
async def test_a_get_survives(running: ShopService, path: str, sent: int) -> None:
    """What is transient is not noticed by the caller of a GET."""
    running.stock.seen.clear()
    answer = await running.get(running.stock, path)

    assert (200, {"result": "done", "status": 200}) == (answer.status_code, answer.json())
    assert sent == len(running.stock.seen)


async def test_a_connection_cut_while_idle_is_not_noticed(running: ShopService) -> None:
    """A GET over a kept connection that dies as it is used again is sent over a new one."""
    running.stock.seen.clear()
    connections = running.stock.connections
    answers = [await running.get(running.stock, "/keep-alive-cut") for _ in range(2)]

    assert [200, 200] == [answer.json()["status"] for answer in answers]
    assert 3 == len(running.stock.seen)
    assert running.stock.connections <= connections + 2


async def test_a_dead_upstream_is_not_hammered(running: ShopService) -> None:
    """200 concurrent calls to an upstream that answers only 503 cost it fewer than 300."""
    answers = await asyncio.gather(*(running.get(running.dead, "/status/503") for _ in range(200)))

    assert {503} == {answer.json()["status"] for answer in answers}
    assert 200 < len(running.dead.seen) < 300
