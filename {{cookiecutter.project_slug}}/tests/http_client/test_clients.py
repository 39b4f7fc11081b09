import asyncio
import gzip
import ssl
from pathlib import Path

import {{ cookiecutter.__httpx }}
import pytest

from {{ cookiecutter.package_name }}.http_client.clients import open_clients
from {{ cookiecutter.package_name }}.http_client.layers import response_limit
from {{ cookiecutter.package_name }}.settings import HTTPSettings, Settings

from ..mock_upstream import MockUpstream
from ..service import Logged, client_for, service_for, settings_for
from ..upstream import Upstream


async def test_opening_is_all_or_nothing(upstream: Upstream, logged: Logged) -> None:
    """If one client fails to open, those opened before it are closed again."""
    good = settings_for(upstream).upstreams["up"]
    bad = good.model_copy(update={"ca_bundle": Path(__file__)})  # broken since it was checked
    settings = Settings.model_construct(upstreams={"good": good, "bad": bad})
    with pytest.raises(ssl.SSLError):
        async with open_clients(settings):
            pass

    assert [line["upstream"] for line in logged("client opened")] == ["default", "good"]
    assert [line["upstream"] for line in logged("client closed")] == ["good", "default"]


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


async def test_grace_period_bounds_the_closing(upstream: Upstream, logged: Logged) -> None:
    """A call that outlasts SHUTDOWN_GRACE_S is cut, and that is logged."""
    settings = settings_for(upstream).model_copy(update={"shutdown_grace_s": 0.05})
    async with asyncio.timeout(5), open_clients(settings) as clients:
        call = asyncio.create_task(clients.upstreams["up"].client.get("/hang"))
        await upstream.wait_for_calls()

    assert len(logged("closing clients with calls in flight")) == 1
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


async def test_transport_replaces_the_pool_of_each_client(mock_upstream: MockUpstream) -> None:
    """The factory is called once for each client, with its settings; gauges count no connections."""
    settings, given = settings_for(mock_upstream, read_timeout_s=7), list[HTTPSettings]()

    def transport(http: HTTPSettings) -> httpx.AsyncBaseTransport:
        given.append(http)
        return mock_upstream.transport(http)

    async with open_clients(settings, transport) as clients:
        gauges = clients.upstreams["up"].gauges()

    assert given == [settings.http, settings.upstreams["up"]]
    assert gauges["open_connections"] == 0


async def test_mock_is_below_the_layers(mock_upstream: MockUpstream, logged: Logged) -> None:
    """A mock's exception is a problem and a line in the log, as the pool's is."""
    mock_upstream.answers = [httpx.ReadTimeout("mocked")]
    async with service_for(mock_upstream) as service:
        answer = await service.get("/external")

    assert (answer.status_code, answer.json()["upstream"]) == (504, "up")
    assert [call["error"] for call in logged("upstream call")] == ["ReadTimeout: mocked"]


async def test_mock_may_return_one_response_again(mock_upstream: MockUpstream) -> None:
    """A response that was read is decoded and limited each time, and can be streamed."""
    gzipped = httpx.Response(
        200, headers={"Content-Encoding": "gzip"}, content=gzip.compress(b"x" * 99)
    )
    mock_upstream.answers = [gzipped, gzipped, gzipped]
    async with client_for(mock_upstream, max_response_bytes=99) as client:
        bodies = [(await client.get("/")).content for _ in range(2)]
        async with client.stream("GET", "/", extensions={"max_response_bytes": 98}) as response:
            with pytest.raises(response_limit.ResponseTooLarge):
                await response.aread()

    assert bodies == [b"x" * 99] * 2


async def test_mock_receives_only_valid_requests(mock_upstream: MockUpstream) -> None:
    """A request that the pool would reject does not reach a mock either."""
    async with client_for(mock_upstream) as client:
        with pytest.raises(httpx.LocalProtocolError):
            await client.get("/", headers={"Content-Length": "5"})

    assert mock_upstream.seen == []
