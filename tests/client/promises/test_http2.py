"""With `http2=true` the promises hold over HTTP/2 as well, on both client libraries."""

import asyncio
import contextlib
import json
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from support.generated import Generated
from support.loopback import HOST
from support.rendering import Bake
from support.service import Service

from .http2_upstream import HTTP2Upstream, http2_upstream

pytestmark = pytest.mark.anyio

SECRET = "hunter2"  # noqa: S105 - to be found where it must not be
SLOTS = 20


@pytest.fixture(scope="session", params=["httpx", "httpx2"])
def service(request: pytest.FixtureRequest, bake: Bake) -> Generated:
    return Generated(
        bake(upstreams="", http_library=request.param, http_transport="httpcore", http2=True)
    )


@dataclass
class HTTP2Service:
    """The service, and the upstream that it calls."""

    upstream: HTTP2Upstream
    process: Service
    caller: httpx.AsyncClient

    async def get(self, path: str) -> httpx.Response:
        url = f"{self.upstream.url}{path}"
        return await self.caller.get("/external", params={"url": url})

    async def gets(self, path: str, number: int) -> list[int]:
        answers = await asyncio.gather(*(self.get(path) for _ in range(number)))
        return [answer.status_code for answer in answers]

    async def busy(self, calls: int) -> None:
        """Return when the upstream has so many calls in flight."""
        async with asyncio.timeout(20):
            while self.upstream.in_flight < calls:  # noqa: ASYNC110 - nothing to wait on
                await asyncio.sleep(0.01)

    async def status(self) -> dict[str, Any]:
        status: dict[str, Any] = (await self.caller.get("/readyz")).json()["upstreams"]["up"]
        return status


@asynccontextmanager
async def running(
    service: Generated, directory: Path, **http: float
) -> AsyncGenerator[HTTP2Service]:
    async with contextlib.AsyncExitStack() as stack:
        upstream = stack.enter_context(http2_upstream(directory))
        process = service.start(
            log_level="DEBUG",
            upstreams__up__base_url=upstream.url,
            upstreams__up__ca_bundle=directory / "ca.pem",
            upstreams__up__bearer_token=SECRET,
            upstreams__up__headers=json.dumps({"X-Key": SECRET}),
            **{
                f"upstreams__up__{name}": value
                for name, value in ({"max_connections": SLOTS, "pool_timeout_s": 30} | http).items()
            },
        )
        base_url = f"http://{HOST}:{process.port}"
        caller = await stack.enter_async_context(httpx.AsyncClient(base_url=base_url, timeout=60))
        stack.enter_context(process)
        yield HTTP2Service(upstream, process, caller)


async def test_calls_share_one_connection(service: Generated, tmp_path: Path) -> None:
    """As many calls as there are slots are in flight at once, over one connection."""
    async with running(service, tmp_path) as up:
        calls = asyncio.create_task(up.gets("/gate", 3 * SLOTS))
        await up.busy(SLOTS)
        status = await up.status()
        up.upstream.gate.set()
        statuses = await calls

    assert [200] * 3 * SLOTS == statuses
    assert {"2"} == up.upstream.versions
    assert (1, SLOTS) == (len(up.upstream.connections), up.upstream.most_in_flight)
    assert (SLOTS, 1) == (status["in_flight"], status["open_connections"])


async def test_secrets_are_not_logged(service: Generated, tmp_path: Path) -> None:
    """Secrets stay out of the log at DEBUG too, where HTTP/2 libraries log each header."""
    async with running(service, tmp_path) as up:
        await up.get(f"/?token={SECRET}")
        await asyncio.to_thread(up.process.stop)

    assert [] == [line for line in up.process.out if SECRET in line]


async def test_a_header_cannot_be_two(service: Generated, tmp_path: Path) -> None:
    """HTTP/2 would carry a line break in one to an upstream that speaks HTTP/1.1 behind it."""
    with http2_upstream(tmp_path) as upstream:
        certificate = str(tmp_path / "ca.pem")
        answers = await asyncio.to_thread(
            service.report, "forged_headers.py", upstream.url, certificate
        )

    assert ["LocalProtocolError"] * 4 + ["200"] == answers
    assert ["/"] == upstream.paths


async def test_a_quick_call_passes_slow_ones(service: Generated, tmp_path: Path) -> None:
    """Calls that share a connection do not wait for each other's answers."""
    async with running(service, tmp_path) as up:
        slow = asyncio.create_task(up.gets("/gate", 10))
        await up.busy(10)
        async with asyncio.timeout(5):  # an attempt may take 10 s
            quick = [(await up.get("/")).status_code for _ in range(10)]
        up.upstream.gate.set()

        assert [200] * 10 == await slow
    assert [200] * 10 == quick


async def test_caps_and_deadlines_hold(service: Generated, tmp_path: Path) -> None:
    """Bodies end at the cap and at the deadline, and their connection serves others on."""
    settings = {"max_response_bytes": 200_000, "total_timeout_s": 5, "attempt_timeout_s": 3}
    async with running(service, tmp_path, max_attempts=1, **settings) as up:
        answers = await asyncio.gather(*(up.get(path) for path in ("/large", "/drip", "/hang")))
        many = [await up.gets("/large", 5) for _ in range(20)]
        others = await up.gets("/", 3 * SLOTS)
        status = await up.status()

    kinds = [answer.json()["type"].rpartition(":")[2] for answer in answers]
    assert ["upstream-response-too-large", "upstream-timeout", "upstream-timeout"] == kinds
    assert [[502] * 5] * 20 == many
    assert [200] * 3 * SLOTS == others
    assert (0, 0) == (status["in_flight"], status["waiting"])


async def test_a_body_that_is_too_short(service: Generated, tmp_path: Path) -> None:
    """A short body is a problem of the upstream, and the next call succeeds."""
    async with running(service, tmp_path) as up:
        short = await up.get("/short")
        good = await up.get("/")

    assert "upstream-failed" == short.json()["type"].rpartition(":")[2]
    assert 200 == good.status_code


async def test_silence_is_noticed_beside_others(service: Generated, tmp_path: Path) -> None:
    """The read timeout is about a call, though others on its connection are being answered."""
    async with running(service, tmp_path, read_timeout_s=2) as up:
        dripping = asyncio.create_task(up.get("/drip"))
        await up.busy(1)
        async with asyncio.timeout(15):  # in total a call may take 30 s
            stalled = await up.get("/stall")
        busy = not dripping.done()
        dripping.cancel()

    assert ("upstream-timeout", True) == (stalled.json()["type"].rpartition(":")[2], busy)


async def test_a_reset_stream_harms_no_other(service: Generated, tmp_path: Path) -> None:
    """The call whose stream is reset fails, after its attempts; those beside it do not."""
    async with running(service, tmp_path) as up:
        calls = asyncio.create_task(up.gets("/gate", 10))
        await up.busy(10)
        reset = await up.get("/reset")
        up.upstream.gate.set()
        statuses = await calls

    assert "upstream-failed" == reset.json()["type"].rpartition(":")[2]
    assert {"/gate": 10, "/reset": 3} == Counter(up.upstream.paths)
    assert [200] * 10 == statuses


async def test_callers_who_leave_free_their_slots(service: Generated, tmp_path: Path) -> None:
    """Streams that are left in the middle, often, leave every slot and the connection usable."""
    async with running(service, tmp_path) as up:

        async def leave_early() -> None:
            params = {"url": f"{up.upstream.url}/large"}
            async with up.caller.stream("GET", "/external/stream", params=params) as response:
                await anext(response.aiter_bytes())

        for _ in range(3):
            await asyncio.gather(*(leave_early() for _ in range(SLOTS)))
        statuses = await up.gets("/", 2 * SLOTS)
        status = await up.status()

    assert [200] * 2 * SLOTS == statuses
    assert (0, 0) == (status["in_flight"], status["waiting"])
