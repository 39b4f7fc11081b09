import {{ cookiecutter.__httpx }}
import pytest
from fastapi import FastAPI

from {{ cookiecutter.package_name }}.app import create_app
from {{ cookiecutter.package_name }}.http_client import HTTPClient
from {{ cookiecutter.package_name }}.http_client import upstream as upstream_dependency
from {{ cookiecutter.package_name }}.settings import Settings

from ..service import add_identity, client_of, serve
from ..upstream import Upstream


async def test_client_before_the_lifespan(app: FastAPI, caplog: pytest.LogCaptureFixture) -> None:
    """Outside the lifespan, the dependency raises an error that says what to do."""
    async with client_of(add_identity(app)) as service:
        response = await service.get("/identity")

    assert response.status_code == 500
    assert "clients are not open" in caplog.text
    assert "enter `app.router.lifespan_context(app)` in a test" in caplog.text


async def test_mounted_applications_share_the_clients(
    app: FastAPI, service: httpx.AsyncClient
) -> None:
    """The routes of a mounted application receive the same clients."""
    add_identity(app).mount("/sub", add_identity(FastAPI()))
    own, mounted = await service.get("/identity"), await service.get("/sub/identity")

    assert own.json() == mounted.json()


async def test_unknown_upstream_names_the_setting(caplog: pytest.LogCaptureFixture) -> None:
    """The error for an upstream that is not configured names the variable that adds it."""
    async with serve(add_identity(create_app(Settings(upstreams={})))) as service:
        assert (await service.get("/identity")).status_code == 500
    assert "APP_UPSTREAMS__UP__BASE_URL" in caplog.text


async def test_default_client_without_upstreams(upstream: Upstream) -> None:
    """The default client exists without upstreams, and calls any URL."""
    app = create_app(Settings(upstreams={}))

    @app.get("/call")
    async def call(client: HTTPClient) -> int:
        return (await client.get(upstream.url)).status_code

    async with serve(app) as service:
        assert (await service.get("/call")).json() == 200


async def test_dependency_can_be_overridden(app: FastAPI, service: httpx.AsyncClient) -> None:
    """A test replaces an upstream's client, whose name may be in any case, by its dependency."""
    add_identity(app)
    async with httpx.AsyncClient() as fake:
        app.dependency_overrides[upstream_dependency("Up")] = lambda: fake
        answer = await service.get("/identity")

    assert answer.json()["up"] == id(fake)
