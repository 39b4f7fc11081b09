"""How often a request is sent: once, unless repeating it is safe."""

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
# The upstream's behaviour, and the status that the service's caller gets.
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
    single: Any
    """With a single attempt for each call."""
    dead: Any

    async def get(self, upstream: Any, path: str) -> httpx.Response:
        return await self.caller.get("/external", params={"url": upstream.url + path})

    async def order(self, path: str, **key: str) -> httpx.Response:
        return await self.caller.post("/orders", params={"path": path, **key})


@pytest.fixture(scope="module")
async def running(service: Generated) -> AsyncIterator[ShopService]:
    async with contextlib.AsyncExitStack() as stack:
        shop, stock, single, dead = [
            await stack.enter_async_context(service.Upstream()) for _ in range(4)
        ]
        process = service.start(
            "shop.py",
            http__attempt_timeout_s=0.5,
            http__pool_timeout_s=30,
            http__max_attempts=ATTEMPTS,
            http__backoff_base_s=0.01,
            http__breaker_failure_ratio="none",
            upstreams__shop__base_url=shop.url,
            upstreams__stock__base_url=stock.url,
            upstreams__single__base_url=single.url,
            upstreams__single__max_attempts=1,
            upstreams__dead__base_url=dead.url,
        )
        caller = httpx.AsyncClient(
            base_url=f"http://{HOST}:{process.port}", timeout=60, limits=httpx.Limits()
        )
        async with caller:
            with process:
                yield ShopService(caller, shop, stock, single, dead)


async def test_an_order_is_sent_exactly_once(running: ShopService) -> None:
    """A POST that may have been received is sent exactly once, however it ends (the authority)."""
    running.shop.seen.clear()
    answers = await asyncio.gather(*(running.order(path) for path in ORDERS))

    assert [answer.status_code for answer in answers] == list(ORDERS.values())
    assert sorted(seen.target for seen in running.shop.seen) == sorted(ORDERS)
    assert {(seen.method, seen.body) for seen in running.shop.seen} == {("POST", b"order")}


async def test_an_order_with_a_key_is_retried(running: ShopService) -> None:
    """An Idempotency-Key makes repeating safe: the whole order is sent again."""
    running.shop.seen.clear()
    answers = await asyncio.gather(*(running.order(path, key="7") for path in ORDERS))

    assert [answer.status_code for answer in answers] == list(ORDERS.values())
    assert sorted(seen.target for seen in running.shop.seen) == sorted([*ORDERS] * ATTEMPTS)
    assert {(seen.body, seen.headers["idempotency-key"]) for seen in running.shop.seen} == {
        (b"order", "7")
    }


@pytest.mark.parametrize(
    ("path", "sent"), [("/flaky/2", 3), ("/flaky-drop/1", 2)], ids=["two-503s", "dropped"]
)
async def test_a_get_survives(running: ShopService, path: str, sent: int) -> None:
    """The caller of a GET does not notice transient failures."""
    running.stock.seen.clear()
    answer = await running.get(running.stock, path)

    assert (answer.status_code, answer.json()) == (200, {"result": "done", "status": 200})
    assert len(running.stock.seen) == sent


async def test_a_connection_cut_while_idle_is_not_noticed(running: ShopService) -> None:
    """Repeating a GET over a new connection, if the kept one was closed, is not a retry."""
    answers = [await running.get(running.single, "/keep-alive-cut") for _ in range(2)]

    assert [answer.json()["status"] for answer in answers] == [200, 200]
    assert len(running.single.seen) == 3
    assert running.single.connections == 2


async def test_a_dead_upstream_is_not_hammered(running: ShopService) -> None:
    """200 concurrent calls to an upstream that only answers 503 make fewer than 300 attempts."""
    answers = await asyncio.gather(*(running.get(running.dead, "/status/503") for _ in range(200)))

    assert {answer.json()["status"] for answer in answers} == {503}
    assert 200 < len(running.dead.seen) < 300
