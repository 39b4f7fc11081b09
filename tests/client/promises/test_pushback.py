"""An upstream that names a time in ``Retry-After`` is not called before it."""

import asyncio
import contextlib
import math
import statistics
import time
from collections import Counter
from typing import Self

import httpx
import pytest

from support.generated import Generated
from support.loopback import HOST

pytestmark = pytest.mark.anyio


class BusyUpstream:
    """Answers 429 for ``busy_s`` seconds from the first request on, and 200 later."""

    def __init__(self, status: int, busy_s: float) -> None:
        self.arrivals: list[float] = []
        self._status = status
        self._busy_s = busy_s

    @property
    def free_at(self) -> float:
        return self.arrivals[0] + self._busy_s

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, HOST, 0)
        self.url = f"http://{HOST}:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(EOFError, ConnectionError, asyncio.CancelledError):
            while await reader.readuntil(b"\r\n\r\n"):
                now = time.monotonic()
                self.arrivals.append(now)
                left_s = math.ceil(self.free_at - now)
                busy = f"{self._status} Busy\r\nRetry-After: {left_s}"
                status = busy if now < self.free_at else "200 OK"
                writer.write(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n".encode())
        writer.close()


@pytest.mark.parametrize("status", [429, 503])
async def test_no_request_before_the_time_named(service: Generated, status: int) -> None:
    """After one 429, 100 concurrent calls wait, streamed ones too, and then succeed."""
    async with BusyUpstream(status, busy_s=2) as upstream, httpx.AsyncClient(timeout=30) as caller:
        settings = {"upstreams__up__base_url": upstream.url, "http__max_attempts": 1}
        with service.start(**settings) as process:
            url = f"http://{HOST}:{process.port}/external"
            first = await caller.get(url)
            paths = ["", "/stream"] * 50
            answers = await asyncio.gather(*(caller.get(url + path) for path in paths))
        early = [arrival for arrival in upstream.arrivals if arrival < upstream.free_at]

    assert first.json()["status"] == status
    assert {answer.status_code for answer in answers} == {200}
    assert {answer.json()["status"] for answer in answers[::2]} == {200}
    assert (len(early), len(upstream.arrivals)) == (1, 101)


async def test_calls_that_cannot_wait_fail_fast(service: Generated) -> None:
    """100 concurrent calls with too short a deadline get a 503 within milliseconds."""
    async with BusyUpstream(429, busy_s=60) as upstream, httpx.AsyncClient(timeout=30) as caller:
        with service.start(upstreams__up__base_url=upstream.url) as process:
            url = f"http://{HOST}:{process.port}/external"
            await caller.get(url)
            answers = await asyncio.gather(*(caller.get(url) for _ in range(100)))
        calls = [event for event in process.events if event["message"] == "upstream call"]

    assert Counter(answer.status_code for answer in answers) == {503: 100}
    assert {answer.json()["type"] for answer in answers} == {
        "urn:problem-type:upstream-backing-off"
    }
    assert {50 < int(answer.headers["Retry-After"]) <= 60 for answer in answers} == {True}
    assert len(upstream.arrivals) == 1
    assert {call["attempts"] for call in calls[1:]} == {0}
    assert statistics.median(call["duration_ms"] for call in calls[1:]) < 5
