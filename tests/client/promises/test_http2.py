"""With `http2=true` the client keeps its promises over HTTP/2, on both client libraries."""

import asyncio
import contextlib
import json
import socket
import ssl
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import trustme

from support.generated import Generated
from support.loopback import HOST
from support.rendering import Bake
from support.service import Service

from .http2_upstream import HTTP2Upstream, http2_upstream

pytestmark = pytest.mark.anyio

SECRET = "hunter2"  # noqa: S105 - searched for in all output
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
            while self.upstream.in_flight < calls:  # noqa: ASYNC110 - nothing signals it
                await asyncio.sleep(0.01)

    async def idle(self, calls: int) -> None:
        """Return when the upstream has no more than so many calls in flight."""
        async with asyncio.timeout(20):
            while self.upstream.in_flight > calls:  # noqa: ASYNC110 - nothing signals it
                await asyncio.sleep(0.01)

    async def stalled(self) -> None:
        """Return when the upstream cannot send any more."""
        sent = -1
        async with asyncio.timeout(20):
            while self.upstream.pieces_sent != sent:
                sent = self.upstream.pieces_sent
                await asyncio.sleep(0.5)

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
        # uvicorn closes idle connections after 5 s; the caller must not use one just then.
        caller = await stack.enter_async_context(
            httpx.AsyncClient(
                base_url=base_url, timeout=60, limits=httpx.Limits(keepalive_expiry=1)
            )
        )
        stack.enter_context(process)
        yield HTTP2Service(upstream, process, caller)


async def test_calls_share_one_connection(service: Generated, tmp_path: Path) -> None:
    """All slots are in use concurrently over one connection."""
    async with running(service, tmp_path) as up:
        calls = asyncio.create_task(up.gets("/gate", 3 * SLOTS))
        await up.busy(SLOTS)
        status = await up.status()
        up.upstream.gate.set()
        statuses = await calls

    assert statuses == [200] * 3 * SLOTS
    assert up.upstream.versions == {"2"}
    assert (len(up.upstream.connections), up.upstream.most_in_flight) == (1, SLOTS)
    assert (status["in_flight"], status["open_connections"]) == (SLOTS, 1)


async def test_secrets_are_not_logged(service: Generated, tmp_path: Path) -> None:
    """No log line contains a secret, even at DEBUG, where HTTP/2 libraries log each header."""
    async with running(service, tmp_path) as up:
        await up.get(f"/?token={SECRET}")
        await asyncio.to_thread(up.process.stop)

    assert [line for line in up.process.out if SECRET in line] == []


async def test_headers_with_line_breaks_are_rejected(service: Generated, tmp_path: Path) -> None:
    """HTTP/2 would forward a line break to a server behind the upstream that speaks HTTP/1.1."""
    with http2_upstream(tmp_path) as upstream:
        certificate = str(tmp_path / "ca.pem")
        results = await asyncio.to_thread(
            service.report, "forged_headers.py", upstream.url, certificate
        )

    assert results == ["LocalProtocolError"] * 4 + ["200"]
    assert upstream.paths == ["/"]


async def test_a_quick_call_passes_slow_ones(service: Generated, tmp_path: Path) -> None:
    """Calls that share a connection do not wait for each other's responses."""
    async with running(service, tmp_path) as up:
        slow = asyncio.create_task(up.gets("/gate", 10))
        await up.busy(10)
        async with asyncio.timeout(5):  # an attempt may take 10 s
            quick = [(await up.get("/")).status_code for _ in range(10)]
        up.upstream.gate.set()

        assert await slow == [200] * 10
    assert quick == [200] * 10


async def test_limits_and_deadlines_apply(service: Generated, tmp_path: Path) -> None:
    """Bodies end at the size limit and at the deadline, and no call beside or after them does."""
    settings = {"max_response_bytes": 200_000, "total_timeout_s": 5, "attempt_timeout_s": 3}
    async with running(service, tmp_path, max_attempts=1, **settings) as up:
        failed = await asyncio.gather(*(up.get(path) for path in ("/large", "/drip", "/hang")))
        too_large = [await up.gets("/large", 5) for _ in range(20)]
        others = await up.gets("/", 3 * SLOTS)
        status = await up.status()

    kinds = [answer.json()["type"].rpartition(":")[2] for answer in failed]
    assert kinds == ["upstream-response-too-large", "upstream-timeout", "upstream-timeout"]
    assert too_large == [[502] * 5] * 20
    assert others == [200] * 3 * SLOTS
    assert (status["in_flight"], status["waiting"]) == (0, 0)


@pytest.mark.parametrize("path", ["/large", "/unended"])
async def test_a_body_that_nobody_reads_harms_no_other_call(
    service: Generated, tmp_path: Path, path: str
) -> None:
    """The upstream is asked to stop, and what it sent takes no window of the calls beside it."""
    async with running(service, tmp_path, max_response_bytes=200_000) as up:
        others = asyncio.create_task(up.gets("/gate", 5))
        await up.busy(5)
        unread = await up.get(path)
        await (up.idle(5) if path == "/unended" else up.stalled())
        up.upstream.gate.set()

        assert await others == [200] * 5
    assert unread.status_code == 502
    assert len(up.upstream.connections) == 1


async def test_a_slow_reader_stalls_no_other_call(service: Generated, tmp_path: Path) -> None:
    """A stream that nobody reads takes its own window, and not that of the calls beside it."""
    async with running(service, tmp_path) as up:
        params = {"url": f"{up.upstream.url}/endless"}
        async with up.caller.stream("GET", "/external/stream", params=params) as slow:
            await up.stalled()
            others = await up.gets("/", 3 * SLOTS)

    assert slow.status_code == 200
    assert others == [200] * 3 * SLOTS
    assert len(up.upstream.connections) == 1


async def test_a_truncated_body_is_a_failure(service: Generated, tmp_path: Path) -> None:
    """A truncated body is the upstream's failure, and the next call succeeds."""
    async with running(service, tmp_path) as up:
        short = await up.get("/short")
        good = await up.get("/")

    assert short.json()["type"].rpartition(":")[2] == "upstream-failed"
    assert good.status_code == 200


async def test_the_read_timeout_applies_to_each_call(service: Generated, tmp_path: Path) -> None:
    """A silent call times out while others on its connection are being answered."""
    async with running(service, tmp_path, read_timeout_s=2) as up:
        dripping = asyncio.create_task(up.get("/drip"))
        await up.busy(1)
        async with asyncio.timeout(15):  # in total a call may take 30 s
            stalled = await up.get("/stall")
        busy = not dripping.done()
        dripping.cancel()

    assert (stalled.json()["type"].rpartition(":")[2], busy) == ("upstream-timeout", True)


async def test_a_reset_stream_harms_no_other(service: Generated, tmp_path: Path) -> None:
    """The call whose stream is reset fails, after its attempts; those beside it do not."""
    async with running(service, tmp_path) as up:
        calls = asyncio.create_task(up.gets("/gate", 10))
        await up.busy(10)
        reset = await up.get("/reset")
        up.upstream.gate.set()
        statuses = await calls

    assert reset.json()["type"].rpartition(":")[2] == "upstream-failed"
    assert Counter(up.upstream.paths) == {"/gate": 10, "/reset": 3}
    assert statuses == [200] * 10


async def test_callers_who_leave_release_their_slots(service: Generated, tmp_path: Path) -> None:
    """After many streams closed early, every slot is usable."""
    async with running(service, tmp_path) as up:

        async def leave_early() -> None:
            params = {"url": f"{up.upstream.url}/large"}
            async with up.caller.stream("GET", "/external/stream", params=params) as response:
                await anext(response.aiter_bytes())

        for _ in range(3):
            await asyncio.gather(*(leave_early() for _ in range(SLOTS)))
        statuses = await up.gets("/", 2 * SLOTS)
        status = await up.status()

    assert statuses == [200] * 2 * SLOTS
    assert (status["in_flight"], status["waiting"]) == (0, 0)


async def test_connections_to_an_http1_server_open_concurrently(
    service: Generated, tmp_path: Path
) -> None:
    """Calls do not queue for a connection that will carry only one, as httpcore2 assumes."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(tls)
    loop = asyncio.get_running_loop()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.closing(writer):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 204 Done\r\nConnection: close\r\n\r\n")
            await writer.drain()

    def protocol() -> asyncio.Protocol:
        return asyncio.StreamReaderProtocol(asyncio.StreamReader(), answer)

    async def accept(listening: socket.socket, number: int) -> None:
        accepted = [(await loop.sock_accept(listening))[0] for _ in range(number)]
        for each in accepted:  # only now do their handshakes begin
            await loop.connect_accepted_socket(protocol, each, ssl=tls)

    with socket.create_server((HOST, 0)) as listening:
        listening.setblocking(False)
        process = service.start(
            upstreams__up__base_url=f"https://localhost:{listening.getsockname()[1]}",
            upstreams__up__ca_bundle=tmp_path / "ca.pem",
        )
        base_url = f"http://{HOST}:{process.port}"
        with process:
            async with httpx.AsyncClient(base_url=base_url, timeout=60) as caller:
                for number in (1, SLOTS):
                    accepting = asyncio.create_task(accept(listening, number))
                    calls = [asyncio.create_task(caller.get("/external")) for _ in range(number)]
                    async with asyncio.timeout(20):
                        await accepting
                    answers = await asyncio.gather(*calls)
                    assert [answer.json()["status"] for answer in answers] == [204] * number
