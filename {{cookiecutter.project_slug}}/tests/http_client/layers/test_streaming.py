import asyncio
import contextlib
import gc
import math
from collections.abc import Awaitable, Callable
from typing import Any

import {{ cookiecutter.__httpx }}
import pytest

from {{ cookiecutter.package_name }}.http_client.layers import disconnect
from {{ cookiecutter.package_name }}.http_client.layers.base import Call
from {{ cookiecutter.package_name }}.http_client.layers.streaming import StreamedBody
from {{ cookiecutter.package_name }}.http_client.layers.timeouts import DeadlineExceeded
from {{ cookiecutter.package_name }}.http_client.timer import SharedTimer

from ...service import Logged, client_for, stack_for
from ...upstream import Upstream


async def read(response: httpx.Response) -> None:
    await response.aread()


async def ignore(response: httpx.Response) -> None:
    assert response.status_code == 200


async def stop_reading(response: httpx.Response) -> None:
    await anext(response.aiter_raw())


async def be_cancelled(response: httpx.Response) -> None:
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().call_later(0.02, task.cancel)
    await response.aread()


async def close_twice(response: httpx.Response) -> None:
    assert isinstance(response.stream, httpx.AsyncByteStream)
    await response.stream.aclose()
    await response.stream.aclose()


@pytest.mark.parametrize(
    ("method", "path", "caller", "error"),
    [
        ("GET", "/chunked/3", read, ""),
        ("HEAD", "/", ignore, ""),  # it has no body to read
        ("GET", "/drip", ignore, "CancelledError"),
        ("GET", "/drip", stop_reading, "CancelledError"),
        ("GET", "/drip", be_cancelled, "CancelledError"),
        ("GET", "/drip", close_twice, "CancelledError"),
        ("GET", "/short", read, "RemoteProtocolError"),
    ],
)
async def test_call_ends_once(
    upstream: Upstream,
    logged: Logged,
    method: str,
    path: str,
    caller: Callable[[httpx.Response], Awaitable[None]],
    error: str,
) -> None:
    """However the caller leaves a stream, the call is logged once and its slot released once."""
    async with stack_for(upstream) as up:
        with contextlib.suppress(asyncio.CancelledError, httpx.RemoteProtocolError):
            async with up.client.stream(method, path) as response:
                await caller(response)
        in_flight = up.gauges()["in_flight"]

    errors = [call.get("error", "").partition(":")[0] for call in logged("upstream call")]
    assert (errors, in_flight) == ([error], 0)


@pytest.mark.parametrize(
    ("path", "pause_s"),
    [
        pytest.param("/large/3000000", 0.25, id="slow-caller"),
        pytest.param("/endless", 0, id="slow-upstream"),
    ],
)
@pytest.mark.parametrize(
    ("http", "own"),
    [({"stream_timeout_s": 0.2}, {}), ({}, {"total_timeout_s": 0.2})],
    ids=["settings", "own"],
)
async def test_stream_ends_at_its_deadline(
    upstream: Upstream, path: str, pause_s: float, http: dict[str, Any], own: dict[str, Any]
) -> None:
    """STREAM_TIMEOUT_S bounds a body, whether the upstream sends or the caller reads slowly."""
    async with (
        client_for(upstream, **http) as client,
        client.stream("GET", path, extensions=own) as response,
    ):
        chunks = response.aiter_raw()
        await anext(chunks)
        await asyncio.sleep(pause_s)
        with pytest.raises(DeadlineExceeded):
            await anext(chunks)


@pytest.mark.parametrize("own", [{}, {"timeout": None}, {"extensions": {"total_timeout_s": 9}}])
async def test_total_deadline_does_not_bound_a_stream(
    upstream: Upstream, own: dict[str, Any]
) -> None:
    """A stream whose chunks arrive in time may take longer than TOTAL_TIMEOUT_S."""
    async with (
        client_for(upstream, total_timeout_s=0.1, read_timeout_s=5) as client,
        client.stream("GET", "/drip", **own) as response,
    ):
        await asyncio.sleep(0.2)
        assert await anext(response.aiter_bytes(20)) == b"." * 20


async def test_broken_stream_is_closed(upstream: Upstream) -> None:
    """A body whose read failed is closed immediately, although its response still exists."""
    async with stack_for(upstream) as up:
        response = await up.client.send(up.client.build_request("GET", "/short"), stream=True)
        with pytest.raises(httpx.RemoteProtocolError):
            await response.aread()

        assert up.gauges()["in_flight"] == 0


async def test_stream_of_a_caller_who_left_is_closed(upstream: Upstream) -> None:
    """A body is closed when it is read on for a caller who left between two pieces."""
    async with stack_for(upstream) as up:
        response = await up.client.send(up.client.build_request("GET", "/drip"), stream=True)
        receive = asyncio.Queue[dict[str, Any]]().get
        caller = disconnect.Caller({"headers": []}, receive, math.inf)
        caller.left = True
        token = disconnect.caller.set(caller)
        with pytest.raises(disconnect.CallerLeft):
            await response.aread()
        disconnect.caller.reset(token)

        assert up.gauges()["in_flight"] == 0


async def test_abandoned_stream_is_closed(upstream: Upstream) -> None:
    """A body that nobody closes is closed when it is garbage."""
    async with stack_for(upstream) as up, asyncio.timeout(5):
        await up.client.send(up.client.build_request("GET", "/drip"), stream=True)
        gc.collect()
        await up.scope.wait_until_idle()


async def test_stream_that_is_kept_is_closed() -> None:
    """A body that nobody closes is closed soon after its deadline, if something still holds it."""
    ended = asyncio.Event()
    call = Call("up", deadline=asyncio.get_running_loop().time() - 1, streamed=True)
    call.on_end(lambda _: ended.set())
    request, response = httpx.Request("GET", "http://up"), httpx.Response(200, content=b"body")
    body = StreamedBody(request, response, call, SharedTimer())

    async with asyncio.timeout(5):
        await ended.wait()
    assert body is not None
