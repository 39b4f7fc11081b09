import asyncio
from collections.abc import AsyncIterator

import {{ cookiecutter.__httpx }}
import pytest

from ..service import client_for
from ..upstream import Upstream

ONCE_MORE = {"Idempotency-Key": "1"}


@pytest.mark.parametrize(
    "path",
    ["/flaky/2", "/flaky-drop/2", "/status/429", "/status/502", "/status/503", "/status/504"],
)
async def test_safe_calls_are_tried_again(upstream: Upstream, path: str) -> None:
    """A GET survives what is transient; at the last attempt the answer is data."""
    async with client_for(upstream, max_attempts=3) as client:
        response = await client.get(path)

    assert len(upstream.seen) == 3
    assert response.status_code == (200 if "flaky" in path else int(path.rpartition("/")[2]))


@pytest.mark.parametrize("path", ["/drop", "/reset", "/status/503", "/hang"])
async def test_post_is_sent_exactly_once(upstream: Upstream, path: str) -> None:
    """What may have been received is not repeated when repeating could do harm."""
    async with client_for(upstream, attempt_timeout_s=0.2) as client:
        try:
            response = await client.post(path, content=b"order")
        except httpx.TransportError:
            pass
        else:
            assert response.status_code == 503

    assert len(upstream.seen) == 1


async def test_post_with_a_key_is_tried_again(upstream: Upstream) -> None:
    """An Idempotency-Key promises that repeating is safe; the body is sent whole each time."""
    async with client_for(upstream) as client:
        response = await client.post("/flaky-drop/2", content=b"order", headers=ONCE_MORE)

    assert response.status_code == 200
    assert [request.body for request in upstream.seen] == [b"order"] * 3


async def test_streamed_request_is_sent_once(upstream: Upstream) -> None:
    """A body that comes from a generator is gone after the first attempt."""

    async def body() -> AsyncIterator[bytes]:
        yield b"or"
        yield b"der"

    async with client_for(upstream) as client:
        response = await client.put("/status/503", content=body())

    assert response.status_code == 503
    assert [request.body for request in upstream.seen] == [b"order"]


async def test_other_answers_are_data(upstream: Upstream) -> None:
    """A 404 or a 500 is an answer, and not asked for again."""
    async with client_for(upstream) as client:
        statuses = [(await client.get(f"/status/{status}")).status_code for status in (404, 500)]

    assert statuses == [404, 500]
    assert len(upstream.seen) == 2


async def test_retry_after_is_honoured_within_the_deadline(upstream: Upstream) -> None:
    """An upstream that asks for more time than there is gets it: the call ends at once."""
    async with client_for(upstream, total_timeout_s=5) as client:
        async with asyncio.timeout(4):
            late = await client.get("/flaky/1?retry-after=3600")
        in_time = await client.get("/flaky/1?retry-after=1")

    assert late.status_code == 503
    assert in_time.status_code == 200


async def test_dead_upstream_is_not_hammered(upstream: Upstream) -> None:
    """200 calls to an upstream that answers only 503 cost it fewer than 300 requests."""
    async with client_for(upstream, breaker_failure_ratio=None, pool_timeout_s=30) as client:
        await asyncio.gather(*(client.get("/status/503") for _ in range(200)))

    assert 200 < len(upstream.seen) < 300


async def test_connection_cut_while_idle_is_not_noticed(upstream: Upstream) -> None:
    """A keep-alive connection that dies on its next use costs the caller nothing."""
    async with client_for(upstream) as client:
        statuses = [(await client.get("/keep-alive-cut")).status_code for _ in range(2)]

    assert statuses == [200, 200]


async def test_one_attempt_leaves_the_layer_out(upstream: Upstream) -> None:
    """MAX_ATTEMPTS=1 turns retries off."""
    async with client_for(upstream, max_attempts=1) as client:
        assert (await client.get("/flaky/1")).status_code == 503

    assert len(upstream.seen) == 1


async def test_nonsense_in_retry_after_is_ignored(upstream: Upstream) -> None:
    """A header that is no time costs neither the call nor the service."""
    async with client_for(upstream) as client:
        for time in ["soon", "-1", "Mon, 01 Jan 2026 00:00:00 +99999999999999999999"]:
            response = await client.get(f"/flaky/1?retry-after={time}")
            assert response.status_code == 200


async def test_retries_use_the_connection_again(upstream: Upstream) -> None:
    """An attempt that is answered, if badly, costs no connection."""
    async with client_for(upstream) as client:
        for path in ("/flaky/2", "/status/503"):
            await client.get(path)

    assert (len(upstream.seen), upstream.connections) == (6, 1)
