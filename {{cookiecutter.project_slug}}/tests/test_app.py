"""What the well-known answer to "how do I reuse an AsyncClient in FastAPI?" does, kept here."""

import logging
from typing import Annotated

import {{ cookiecutter.__httpx }}
import pytest
from fastapi import Depends, FastAPI

from {{ cookiecutter.package_name }}.app import create_app
from {{ cookiecutter.package_name }}.http_client import HTTPClient
from {{ cookiecutter.package_name }}.http_client import upstream as named

from .service import calling, client_for, service_for, serving, settings_for
from .upstream import Upstream

Up = Annotated[httpx.AsyncClient, Depends(named("up"))]


def with_identity(app: FastAPI) -> FastAPI:
    @app.get("/identity")
    async def identity(up: Up, default: HTTPClient) -> dict[str, object]:
        return {"up": id(up), "default": id(default), "is_closed": up.is_closed}

    return app


async def test_one_client_serves_every_request(upstream: Upstream) -> None:
    """Each request is given the same open client, and they all share one connection."""
    app = with_identity(create_app(settings_for(upstream)))
    async with serving(app) as service:
        identities = [(await service.get("/identity")).json() for _ in range(3)]
        answers = [(await service.get("/external")).json() for _ in range(50)]

    assert identities == [identities[0]] * 3
    assert identities[0]["is_closed"] is False
    assert identities[0]["up"] != identities[0]["default"]
    assert answers == [{"result": '{"hello": "world"}', "status": 200}] * 50
    assert upstream.connections == 1


async def test_clients_live_as_long_as_the_application(
    upstream: Upstream, caplog: pytest.LogCaptureFixture
) -> None:
    """Clients are opened in the lifespan and closed with it, once, and both are logged by id."""
    caplog.set_level(logging.INFO)
    app = with_identity(create_app(settings_for(upstream)))
    assert "client opened" not in caplog.messages

    async with serving(app) as service:
        client_id = (await service.get("/identity")).json()["up"]
        told = {record.message: vars(record) for record in caplog.records}
        assert told["client opened"]["client_id"] == client_id
        assert "client closed" not in caplog.messages

    closed = [vars(record) for record in caplog.records if record.message == "client closed"]
    assert [record["upstream"] for record in closed] == ["up", "default"]
    assert all(record["is_closed"] for record in closed)


async def test_client_outside_the_lifespan(
    upstream: Upstream, caplog: pytest.LogCaptureFixture
) -> None:
    """Before it, a client is an error that says what to do; after it, one that says closed."""
    app = with_identity(create_app(settings_for(upstream)))
    async with calling(app) as service:
        response = await service.get("/identity")
    assert response.status_code == 500
    assert "clients are not open" in caplog.text
    assert "enter `app.router.lifespan_context(app)` in a test" in caplog.text

    async with client_for(upstream) as client:
        pass
    with pytest.raises(RuntimeError, match="closed"):
        await client.get("/")


async def test_mounted_applications_share_the_clients(upstream: Upstream) -> None:
    """A sub-application's routes are given the same clients."""
    app = with_identity(create_app(settings_for(upstream)))
    app.mount("/sub", with_identity(FastAPI()))
    async with serving(app) as service:
        own, mounted = await service.get("/identity"), await service.get("/sub/identity")

    assert own.json() == mounted.json()


async def test_unknown_upstream_names_the_setting(
    upstream: Upstream, caplog: pytest.LogCaptureFixture
) -> None:
    """Asking for an upstream that is not configured says which variable would add it."""
    app = create_app(settings_for(upstream))

    @app.get("/other")
    async def other(_: Annotated[httpx.AsyncClient, Depends(named("other"))]) -> None: ...

    async with serving(app) as service:
        assert (await service.get("/other")).status_code == 500
    assert "APP_UPSTREAMS__OTHER__BASE_URL" in caplog.text


async def test_default_client_without_upstreams() -> None:
    """The shared client is there when no upstream is, and calls any URL of the code's own."""
    async with Upstream() as elsewhere:
        app = create_app(settings_for(elsewhere).model_copy(update={"upstreams": {}}))

        @app.get("/call")
        async def call(client: HTTPClient) -> int:
            return (await client.get(elsewhere.url)).status_code

        async with serving(app) as service:
            assert (await service.get("/call")).json() == 200


async def test_second_application_has_clients_of_its_own(upstream: Upstream) -> None:
    """Nothing is global: two applications in one process do not meet."""
    async with service_for(upstream) as one, service_for(upstream) as two:
        await one.get("/external")
        await two.get("/external")

    assert upstream.connections == 2
