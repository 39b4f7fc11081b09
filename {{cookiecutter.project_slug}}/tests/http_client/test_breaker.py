import asyncio
from collections.abc import AsyncIterator

import {{ cookiecutter.__httpx }}
import pytest

from {{ cookiecutter.package_name }}.http_client.errors import CircuitOpen

from ..service import client_for, managed_for, service_for
from ..upstream import Upstream

BREAKER = {"max_attempts": 1, "breaker_min_calls": 4, "breaker_open_s": 0.2}


async def test_failing_upstream_is_left_alone(upstream: Upstream) -> None:
    """At the failure ratio the breaker opens: nothing more is sent, and readiness tells."""
    async with service_for(upstream, **BREAKER | {"breaker_open_s": 30}) as service:
        failing = {"url": f"{upstream.url}/status/503"}
        answers = [await service.get("/external", params=failing) for _ in range(6)]
        status = (await service.get("/readyz")).json()["upstreams"]["up"]

    assert [answer.status_code for answer in answers] == [200] * 4 + [503] * 2
    assert 25 <= int(answers[-1].headers["Retry-After"]) <= 30
    assert len(upstream.seen) == 4
    assert status["breaker"] == "open"


async def test_healthy_upstream_stays_connected(upstream: Upstream) -> None:
    """Below the ratio nothing happens, and answers such as 404 and 500 are no failures."""
    async with managed_for(upstream, **BREAKER) as up:
        for path in ["/status/404", "/status/500", "/", "/status/503", "/", "/status/503"] * 3:
            await up.client.get(path)

    assert up.status()["breaker"] == "closed"


async def test_failure_of_the_callers_own_body(upstream: Upstream) -> None:
    """What a relayed body raises, though it be httpx's, is no failure of this upstream."""

    async def relayed() -> AsyncIterator[bytes]:
        yield b"some"
        raise httpx.ReadError("of another upstream")

    async with managed_for(upstream, **BREAKER) as up:
        for _ in range(6):
            with pytest.raises(httpx.ReadError, match="another"):
                await up.client.post("/", content=relayed())

    assert up.status()["breaker"] == "closed"


async def test_one_probe_decides(upstream: Upstream) -> None:
    """After a while one call is let through; its success closes the breaker."""
    async with managed_for(upstream, **BREAKER) as up:
        for _ in range(4):
            await up.client.get("/status/503")
        await asyncio.sleep(0.25)
        assert up.status()["breaker"] == "half-open"

        probe = asyncio.create_task(up.client.get("/gate"))
        await upstream.busy()
        with pytest.raises(CircuitOpen):
            await up.client.get("/")
        upstream.gate.set()
        await probe

        assert up.status()["breaker"] == "closed"
        assert (await up.client.get("/")).status_code == 200


async def test_failed_or_cancelled_probe(upstream: Upstream) -> None:
    """A probe that fails opens the breaker again; one that is cancelled leaves it to the next."""
    async with managed_for(upstream, **BREAKER) as up:
        for _ in range(4):
            await up.client.get("/status/503")
        await asyncio.sleep(0.25)
        await up.client.get("/status/503")
        assert up.status()["breaker"] == "open"

        await asyncio.sleep(0.25)
        cancelled = asyncio.create_task(up.client.get("/hang"))
        await upstream.busy()
        cancelled.cancel()
        await asyncio.wait([cancelled])
        assert up.status()["breaker"] == "half-open"
        assert (await up.client.get("/")).status_code == 200


async def test_bodies_and_deadlines_count(upstream: Upstream) -> None:
    """An upstream that breaks off its bodies, or is cut by the total deadline, fails too."""
    async with client_for(upstream, **BREAKER, total_timeout_s=0.2) as client:
        for path in ["/short", "/drip", "/hang", "/short"]:
            with pytest.raises(Exception, match=r"whole|deadline"):
                await client.get(path)
        with pytest.raises(CircuitOpen):
            await client.get("/")


async def test_without_a_ratio_there_is_no_breaker(upstream: Upstream) -> None:
    """BREAKER_FAILURE_RATIO=none leaves the layer out."""
    async with managed_for(upstream, **BREAKER, breaker_failure_ratio=None) as up:
        statuses = [(await up.client.get("/status/503")).status_code for _ in range(8)]

    assert statuses == [503] * 8
    assert up.status()["breaker"] == "off"
