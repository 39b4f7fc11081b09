"""SIGTERM: the authority for what stopping promises. test_workers.py is about several workers."""

import asyncio
import contextlib
from collections import Counter

import httpx
import pytest

from support.generated import Generated
from support.loopback import HOST

pytestmark = pytest.mark.anyio

BURST = 50


@pytest.mark.parametrize("path", ["/external", "/external/stream"])
async def test_sigterm_loses_no_call(service: Generated, path: str) -> None:
    """SIGTERM loses no call in flight: each gets its answer, then each client closes once."""
    async with contextlib.AsyncExitStack() as stack:
        fast, slow = [await stack.enter_async_context(service.Upstream()) for _ in range(2)]
        process = service.start(
            upstreams__fast__base_url=fast.url, upstreams__slow__base_url=slow.url
        )
        base_url = f"http://{HOST}:{process.port}"
        caller = await stack.enter_async_context(httpx.AsyncClient(base_url=base_url, timeout=60))
        stack.enter_context(process)
        await caller.get("/external", params={"url": fast.url})
        calls = [
            asyncio.create_task(caller.get(path, params={"url": f"{slow.url}/gate"}))
            for _ in range(BURST)
        ]
        await slow.wait_for_calls(BURST)

        process.terminate()
        await asyncio.to_thread(process.wait_until_closed)
        await asyncio.sleep(0.3)  # so that the calls outlast the server's own pause
        assert slow.in_flight == BURST
        slow.gate.set()
        answers = await asyncio.gather(*calls)
        await asyncio.to_thread(process.wait)

    assert Counter(answer.status_code for answer in answers) == Counter({200: BURST})
    assert sum("open" in answer.text for answer in answers) == BURST
    assert (process.finished, process.err) == (True, [])

    messages = [event["message"] for event in process.events]
    closed = [event for event in process.events if event["message"] == "client closed"]
    assert sorted(event["upstream"] for event in closed) == ["default", "fast", "slow"]
    assert {event["is_closed"] for event in closed} == {True}
    assert messages[: messages.index("client closed")].count("upstream call") == BURST + 1


async def test_a_call_that_hangs_is_cut_after_the_grace(service: Generated) -> None:
    """A call that outlasts SHUTDOWN_GRACE_S is answered with a 503 problem, and clients close."""
    async with service.Upstream() as upstream:
        with service.start(
            shutdown_grace_s=1,
            http__attempt_timeout_s="none",
            http__read_timeout_s=300,
            http__total_timeout_s=300,
            upstreams__slow__base_url=upstream.url,
        ) as process:
            call = asyncio.to_thread(process.get, f"/external?url={upstream.url}/hang")
            answer = asyncio.create_task(call)
            await upstream.wait_for_calls()
            process.terminate()
            await asyncio.to_thread(process.wait)
            cut = await answer

    closed = [event["upstream"] for event in process.events if event["message"] == "client closed"]
    (call_log,) = [event for event in process.events if event["message"] == "upstream call"]
    assert sorted(closed) == ["default", "slow"]
    assert "CancelledError" in call_log["error"]
    assert process.finished
    assert (cut.status, cut.headers["Content-Type"]) == (503, "application/problem+json")
    assert [event for event in process.events if "exception" in event] == []
