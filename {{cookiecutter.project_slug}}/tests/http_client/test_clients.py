import asyncio
import logging
import ssl
from pathlib import Path

import {{ cookiecutter.__httpx }}
import pytest

from {{ cookiecutter.package_name }}.http_client.clients import open_clients
from {{ cookiecutter.package_name }}.settings import Settings

from ..service import client_for, settings_for
from ..upstream import Upstream


async def test_opening_is_all_or_nothing(
    upstream: Upstream, caplog: pytest.LogCaptureFixture
) -> None:
    """If one client fails to open, those opened before it are closed again."""
    caplog.set_level(logging.INFO)
    good = settings_for(upstream).upstreams["up"]
    bad = good.model_copy(update={"ca_bundle": Path(__file__)})  # broken since it was checked
    settings = Settings.model_construct(upstreams={"good": good, "bad": bad})
    with pytest.raises(ssl.SSLError):
        async with open_clients(settings):
            pass

    logged = [(record.message, vars(record)["upstream"]) for record in caplog.records]
    assert logged == [
        ("client opened", "default"),
        ("client opened", "good"),
        ("client closed", "good"),
        ("client closed", "default"),
    ]


@pytest.mark.parametrize("name", ["default", "up"])
async def test_closing_waits_for_calls_in_flight(upstream: Upstream, name: str) -> None:
    """A call in flight at shutdown succeeds."""
    async with open_clients(settings_for(upstream)) as clients:
        client = {"default": clients.default, **clients.upstreams}[name].client
        call = asyncio.create_task(client.get(f"{upstream.url}/gate"))
        await upstream.wait_for_calls()
        asyncio.get_running_loop().call_later(0.05, upstream.gate.set)

    assert call.done()
    assert call.result().status_code == 200


async def test_grace_period_bounds_the_closing(
    upstream: Upstream, caplog: pytest.LogCaptureFixture
) -> None:
    """A call that outlasts SHUTDOWN_GRACE_S is cut, and that is logged."""
    settings = settings_for(upstream).model_copy(update={"shutdown_grace_s": 0.05})
    async with asyncio.timeout(5), open_clients(settings) as clients:
        call = asyncio.create_task(clients.upstreams["up"].client.get("/hang"))
        await upstream.wait_for_calls()

    assert "closing clients with calls in flight" in caplog.messages
    call.cancel()
    await asyncio.wait([call])


async def test_body_cut_by_closing_is_not_a_success(upstream: Upstream) -> None:
    """A body without a length ends with its connection, unless this side closed it."""
    settings = settings_for(upstream).model_copy(update={"shutdown_grace_s": 0.05})
    async with open_clients(settings) as clients:

        async def read() -> bytes:
            async with clients.upstreams["up"].client.stream("GET", "/endless") as response:
                return await response.aread()

        call = asyncio.create_task(read())
        await upstream.wait_for_calls()
    with pytest.raises(httpx.ReadError):
        await call


async def test_timeouts_are_those_of_the_settings(upstream: Upstream) -> None:
    """Every timeout of the settings reaches the client, and so the transport."""
    given = {"connect": 1, "read": 2, "write": 3, "pool": 4}
    async with client_for(upstream, **{f"{name}_timeout_s": s for name, s in given.items()}) as up:
        assert up.timeout.as_dict() == given
