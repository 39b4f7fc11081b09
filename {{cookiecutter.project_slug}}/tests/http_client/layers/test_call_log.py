import asyncio
import traceback

import {{ cookiecutter.__httpx }}
import pytest

from {{ cookiecutter.package_name }}.http_client.clients import open_clients

from ...service import Logged, client_for, settings_for
from ...upstream import Upstream


async def test_each_outcome_is_one_line(upstream: Upstream, logged: Logged) -> None:
    """Success, failure, timeout, truncated body and cancellation are one line each."""
    async with client_for(upstream, read_timeout_s=0.05) as client:
        cancelled = asyncio.create_task(client.get("/gate"))
        await upstream.wait_for_calls()
        cancelled.cancel("s3cret")
        for path in ["/status/404?secret=1", "/garbage", "/hang", "/short"]:
            await asyncio.gather(client.get(path), return_exceptions=True)

    calls = logged("upstream call")
    assert [(call["path"], call["status"], call.get("error")) for call in calls] == [
        ("/gate", None, "CancelledError"),  # without its message
        ("/status/404", 404, None),
        ("/garbage", None, "RemoteProtocolError: the response was truncated or is not valid HTTP"),
        ("/hang", None, "ReadTimeout: read timed out"),
        ("/short", 200, "RemoteProtocolError: the response was truncated or is not valid HTTP"),
    ]
    assert [(call["upstream"], call["attempts"]) for call in calls] == [("up", 1)] * 5
    assert [call["duration_ms"] > 0 for call in calls] == [True] * 5


@pytest.mark.parametrize(
    ("called", "path"),
    [
        ("me?x=1", "/me"),
        ("", "/"),
        ("%01/", "/%01/"),
        ("{url}/file/bot:s3cret/me", "/file/me"),
        ("{url}/bot%3As3cret/me", "/me"),
    ],
)
async def test_path_of_the_base_url_is_not_logged(
    upstream: Upstream, logged: Logged, called: str, path: str
) -> None:
    """The path is the one below the base URL, whose own may be a key."""
    url, upstream.url = upstream.url, f"{upstream.url}/bot:s3cret"
    async with client_for(upstream) as client:
        await client.get(called.format(url=url))

    assert [call["path"] for call in logged("upstream call")] == [path]


async def test_each_redirect_is_a_call(upstream: Upstream, logged: Logged) -> None:
    """A redirect that is rejected does not log the status of the response before it."""
    async with client_for(upstream, follow_redirects=True) as client:
        with pytest.raises(httpx.TransportError):
            await client.get("/status/302?location=http://elsewhere/")

    calls = logged("upstream call")
    assert [(call["status"], call["attempts"]) for call in calls] == [(302, 1), (None, 0)]


async def test_secrets_are_not_logged(upstream: Upstream, caplog: pytest.LogCaptureFixture) -> None:
    """Neither queries nor credentials reach any logger, or the traceback of an error."""
    caplog.set_level("INFO")
    async with open_clients(settings_for(upstream)) as clients:
        for path in ("drop", "garbage", "short"):
            secret = upstream.url.replace("//", "//user:s3cret@") + f"/{path}?token=s3cret"
            with pytest.raises(httpx.TransportError) as failure:
                await clients.default.client.get(secret)
            assert "s3cret" not in "".join(traceback.format_exception(failure.value))

    # In the service, httpx's own loggers log warnings only.
    lines = [str(vars(each)) for each in caplog.records if not each.name.startswith("httpx")]
    assert len(lines) > 3
    assert [line for line in lines if "s3cret" in line] == []
