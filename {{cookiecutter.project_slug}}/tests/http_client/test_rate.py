import asyncio
import contextlib

import {{ cookiecutter.__httpx }}
import pytest

from {{ cookiecutter.package_name }}.http_client.clients import open_clients
from {{ cookiecutter.package_name }}.http_client.errors import RateLimited

from ..service import client_for, managed_for, service_for, settings_for
from ..upstream import Upstream


async def test_calls_over_the_limit_are_refused(upstream: Upstream) -> None:
    """What would wait too long is a 503 with Retry-After at once, and is not sent."""
    async with service_for(upstream, rate_limit="2/minute", pool_timeout_s=30) as service:
        answers = [await service.get("/external") for _ in range(4)]

    assert [answer.status_code for answer in answers] == [200, 200, 503, 503]
    assert answers[-1].json()["type"] == "urn:problem-type:upstream-rate-limited"
    assert 30 < int(answers[-1].headers["Retry-After"]) <= 60
    assert len(upstream.seen) == 2


async def test_waiting_ends(upstream: Upstream) -> None:
    """First come, first served; too long a queue refuses its end, and who leaves holds up nobody."""
    async with client_for(upstream, rate_limit="1/second", pool_timeout_s=1.9) as client:
        calls = [asyncio.create_task(client.get("/")) for _ in range(8)]
        await asyncio.sleep(0.1)
        calls[1].cancel()
        outcomes = await asyncio.gather(*calls, return_exceptions=True)

    kinds = [getattr(outcome, "status_code", type(outcome)) for outcome in outcomes]
    assert kinds == [200, asyncio.CancelledError, 200, *[RateLimited] * 5]


async def test_every_attempt_counts(upstream: Upstream, caplog: pytest.LogCaptureFixture) -> None:
    """The upstream counts retries, and so does the limit; being refused breaks no circuit."""
    caplog.set_level("INFO")
    limited = settings_for(upstream, rate_limit="1/minute", breaker_min_calls=2)
    async with open_clients(limited) as clients:
        up = clients.upstreams["up"]
        with pytest.raises(RateLimited):
            await up.client.get("/flaky/1")
        assert [vars(each)["attempts"] for each in caplog.records if "call" in each.msg] == [1]
        assert up.status()["breaker"] == "closed"
        assert (await clients.default.client.get(upstream.url)).status_code == 200

    assert len(upstream.seen) == 2


async def test_waiting_is_no_failure_of_the_upstream(upstream: Upstream) -> None:
    """Who would wait past the total deadline is refused as well, and no circuit is broken."""
    patient = {"pool_timeout_s": 30, "total_timeout_s": 1.5, "breaker_min_calls": 1}
    async with managed_for(upstream, rate_limit="1/second", **patient) as up:
        calls = (up.client.get("/") for _ in range(8))
        outcomes = await asyncio.gather(*calls, return_exceptions=True)

        assert {type(outcome) for outcome in outcomes} == {httpx.Response, RateLimited}
        assert up.status()["breaker"] == "closed"


async def test_limit_holds_without_redis(
    upstream: Upstream, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Where Redis cannot be reached, the process counts for itself and says so once."""
    monkeypatch.setenv("APP_SHARED_STATE_URL", "redis://:s3cret@redis.invalid")
    async with client_for(upstream, rate_limit="2/minute") as client:
        for _ in range(2):
            assert (await client.get("/")).status_code == 200
        with pytest.raises(RateLimited):
            await client.get("/")

    warnings = [record.message for record in caplog.records if record.name.endswith("counts")]
    assert len(warnings) == 1
    assert "s3cret" not in caplog.text


async def test_callers_who_leave_see_that_redis_hangs(
    upstream: Upstream, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Also where none stays as long as Redis is given: the next call does not wait for it."""
    silent = upstream.url.replace("http", "redis")  # waits for the end of a request
    monkeypatch.setenv("APP_SHARED_STATE_URL", silent)
    async with client_for(upstream, rate_limit="5/minute") as client:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.2):
                await client.get("/")
        warnings = [record.message for record in caplog.records if record.name.endswith("counts")]
        assert len(warnings) == 1
        assert (await client.get("/")).status_code == 200
