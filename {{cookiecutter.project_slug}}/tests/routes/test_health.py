import {{ cookiecutter.__httpx }}
import pytest
from fastapi import FastAPI, Request

from {{ cookiecutter.package_name }}.http_client.dependencies import clients_of

from ..service import client_of, serve, service_for
from ..upstream import Upstream


async def test_ready(service: httpx.AsyncClient) -> None:
    """``/readyz`` reports what each upstream's layers measure; ``/livez`` only answers."""
    await service.get("/external")
    live, ready = await service.get("/livez"), await service.get("/readyz")

    assert (live.status_code, ready.status_code) == (200, 200)
    assert ready.json()["status"] == "ready"
    assert ready.json()["upstreams"]["up"] == {
        "in_flight": 0,
        "waiting": 0,
{% if "circuit_breaker" in cookiecutter.features %}
        "breaker": "closed",
{% endif %}
        "open_connections": 1,
    }


async def test_outage_of_an_upstream(upstream: Upstream) -> None:
    """A service whose upstream is down still takes traffic."""
    upstream.url = "http://127.0.0.1:1"
    async with service_for(upstream) as service:
        answer, ready = await service.get("/external"), await service.get("/readyz")

    assert (answer.status_code, ready.status_code) == (502, 200)


async def test_not_ready_before_and_after(app: FastAPI) -> None:
    """A service that is starting or draining answers 503."""

    @app.get("/drain")
    async def drain(request: Request) -> None:
        await clients_of(request).drain(1)

    async with client_of(app) as service:
        starting = await service.get("/readyz")
    async with serve(app) as service:
        await service.get("/drain")
        draining = await service.get("/readyz")

    assert (starting.status_code, starting.json()["status"]) == (503, "starting")
    assert (draining.status_code, draining.json()["status"]) == (503, "draining")


@pytest.mark.parametrize("name", ["default", "up"])
async def test_not_ready_with_a_closed_client(
    app: FastAPI, service: httpx.AsyncClient, name: str
) -> None:
    """A client that was closed despite its protection makes the service unready."""

    @app.get("/close")
    async def close(request: Request) -> None:
        clients = clients_of(request)
        stack = {"default": clients.default, **clients.upstreams}[name]
        await httpx.AsyncClient.aclose(stack.client)

    await service.get("/close")
    closed = await service.get("/readyz")

    assert (closed.status_code, closed.json()["status"]) == (503, "closed")
