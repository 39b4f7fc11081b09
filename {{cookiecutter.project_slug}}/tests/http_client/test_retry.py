import asyncio
import contextlib

import {{ cookiecutter.__httpx }}
import pytest

from ..service import client_for, streamed
from ..upstream import Upstream


@pytest.mark.parametrize("path", ["/flaky/2", "/flaky-drop/2"])
@pytest.mark.parametrize(("method", "headers"), [("GET", {}), ("POST", {"Idempotency-Key": "1"})])
async def test_safe_calls_are_tried_again(
    client: httpx.AsyncClient, upstream: Upstream, method: str, headers: dict[str, str], path: str
) -> None:
    """Idempotent methods, and what a key makes so; the body is sent whole each time."""
    response = await client.request(method, path, content=b"order", headers=headers)

    assert response.status_code == 200
    assert [request.body for request in upstream.seen] == [b"order"] * 3


@pytest.mark.parametrize(
    ("status", "sent"), [(404, 1), (429, 3), (500, 1), (502, 3), (503, 3), (504, 3)]
)
async def test_statuses_that_are_tried_again(
    client: httpx.AsyncClient, upstream: Upstream, status: int, sent: int
) -> None:
    """Those that may pass, as often as MAX_ATTEMPTS; in the end, each is data."""
    response = await client.get(f"/status/{status}")

    assert (response.status_code, len(upstream.seen)) == (status, sent)


@pytest.mark.parametrize("path", ["/drop", "/reset", "/garbage", "/status/503", "/hang"])
async def test_post_is_sent_exactly_once(upstream: Upstream, path: str) -> None:
    """What may have been received is not repeated when repeating could do harm."""
    async with client_for(upstream, attempt_timeout_s=0.2) as client:
        with contextlib.suppress(httpx.TransportError):
            assert (await client.post(path, content=b"order")).status_code == 503

    assert len(upstream.seen) == 1


async def test_post_that_never_left_is_tried_again(
    upstream: Upstream, caplog: pytest.LogCaptureFixture
) -> None:
    """Where nobody listens nothing was received."""
    caplog.set_level("INFO")
    upstream.url = "http://127.0.0.1:1"
    async with client_for(upstream, max_attempts=3) as client:
        with pytest.raises(httpx.ConnectError):
            await client.post("/", content=b"order")

    assert [vars(line)["attempts"] for line in caplog.records if "call" in line.message] == [3]


@pytest.mark.parametrize(
    ("method", "retry", "sent"),
    [("POST", True, 2), ("PUT", False, 1), ("POST", None, 1)],
)
async def test_a_call_decides_whether_it_is_repeated(
    client: httpx.AsyncClient, upstream: Upstream, method: str, retry: bool | None, sent: int
) -> None:
    """``extensions={"retry": …}`` overrules what method and headers say."""
    await client.request(method, "/flaky/1", extensions={"retry": retry})

    assert len(upstream.seen) == sent


async def test_streamed_request_is_sent_once(client: httpx.AsyncClient, upstream: Upstream) -> None:
    """A body that comes from a generator is gone after the first attempt."""
    response = await client.put("/status/503", content=streamed(b"or", b"der"))

    assert response.status_code == 503
    assert [request.body for request in upstream.seen] == [b"order"]


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


async def test_connection_cut_while_idle_is_not_noticed(client: httpx.AsyncClient) -> None:
    """A keep-alive connection that dies on its next use costs the caller nothing."""
    statuses = [(await client.get("/keep-alive-cut")).status_code for _ in range(2)]

    assert statuses == [200, 200]


async def test_retries_use_the_connection_again(
    client: httpx.AsyncClient, upstream: Upstream
) -> None:
    """An attempt that is answered, if badly, costs no connection."""
    for path in ("/flaky/2", "/status/503"):
        await client.get(path)

    assert (len(upstream.seen), upstream.connections) == (6, 1)
