import asyncio
import gc
import logging
import traceback
from typing import Any

import {{ cookiecutter.__httpx }}
import pytest

from {{ cookiecutter.package_name }}.http_client.clients import open_clients
from {{ cookiecutter.package_name }}.log import request_id

from ..service import client_for, managed_for, settings_for
from ..upstream import Upstream


def calls(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    return [vars(record) for record in caplog.records if record.message == "upstream call"]


@pytest.fixture(autouse=True)
def log_everything(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)


async def test_each_outcome_is_one_line(
    upstream: Upstream, caplog: pytest.LogCaptureFixture
) -> None:
    """Success, failure, timeout, broken body and cancellation each give one line."""
    async with client_for(upstream, attempt_timeout_s=0.2, max_attempts=2) as client:
        cancelled = asyncio.create_task(client.get("/gate"))
        await upstream.busy()
        cancelled.cancel("s3cret")
        await asyncio.wait([cancelled])
        await client.get("/flaky/1")
        for path in ["/drop", "/hang", "/short"]:
            with pytest.raises(Exception, match=r"whole|response"):
                await client.get(path)

    told = [
        (call["path"], call["status"], call["attempts"], call.get("error", "").partition(":")[0])
        for call in calls(caplog)
    ]
    assert told == [
        ("/gate", None, 1, "CancelledError"),
        ("/flaky/1", 200, 2, ""),
        ("/drop", None, 2, "RemoteProtocolError"),
        ("/hang", None, 2, "ReadTimeout"),
        ("/short", 200, 1, "RemoteProtocolError"),
    ]
    assert calls(caplog)[0]["error"] == "CancelledError"  # without its message, not being httpx's
    assert all(call["upstream"] == "up" and call["duration_ms"] > 0 for call in calls(caplog))


async def test_stream_tells_whether_it_was_read(
    client: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    """One that its caller left is no success, though nothing was waiting when it was closed."""
    async with client.stream("GET", "/chunked/3") as response:
        await response.aread()
    async with client.stream("GET", "/drip") as response:
        await anext(response.aiter_bytes())
    async with client.stream("HEAD", "/"):
        pass  # there is nothing to be read

    told = [(call["path"], call["status"], call.get("error")) for call in calls(caplog)]
    assert told == [("/chunked/3", 200, None), ("/drip", 200, "CancelledError"), ("/", 200, None)]


async def test_each_redirect_is_a_call_of_its_own(
    upstream: Upstream, caplog: pytest.LogCaptureFixture
) -> None:
    """One that is refused tells nothing of the one before."""
    async with client_for(upstream, follow_redirects=True) as client:
        with pytest.raises(httpx.TransportError):
            await client.get("/status/302?location=http://elsewhere/")

    told = [(call["status"], call["attempts"]) for call in calls(caplog)]
    assert told == [(302, 1), (None, 0)]


async def test_secrets_are_not_logged(upstream: Upstream, caplog: pytest.LogCaptureFixture) -> None:
    """Neither queries nor credentials reach the log, of whatever logger."""
    async with open_clients(settings_for(upstream)) as clients:
        for path in ("drop", "garbage", "short"):
            secret = upstream.url.replace("//", "//user:s3cret@") + f"/{path}?token=s3cret"
            with pytest.raises(httpx.TransportError) as failure:
                await clients.default.client.get(secret)
            assert "s3cret" not in "".join(traceback.format_exception(failure.value))

    own = [record for record in caplog.records if record.name not in {"httpx", "httpx2"}]
    assert own
    assert not [record for record in own if "s3cret" in str(vars(record))]


async def test_request_id_goes_along(client: httpx.AsyncClient) -> None:
    """The request's id is sent to the upstream, unless the call has one of its own."""
    token = request_id.set("the-request")
    passed = (await client.get("/echo")).json()
    own = (await client.get("/echo", headers={"X-Request-ID": "own"})).json()
    request_id.reset(token)

    assert (passed["x-request-id"], own["x-request-id"]) == ("the-request", "own")


@pytest.mark.parametrize("kept", [False, True])
async def test_stream_that_nobody_closes_is_closed(upstream: Upstream, kept: bool) -> None:
    """When it is garbage, and after its deadline if somebody keeps it."""
    async with managed_for(upstream, total_timeout_s=0.1 if kept else 30) as up:
        held = [await up.client.send(up.client.build_request("GET", "/drip"), stream=True)]
        assert up.limit.in_flight == 1
        if not kept:
            held.clear()
            gc.collect()
        async with asyncio.timeout(5):
            await up.limit.idle()
