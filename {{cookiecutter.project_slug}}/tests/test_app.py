"""The service does what the usual answer to "how do I reuse an AsyncClient in FastAPI?" does."""

import gc
from contextlib import nullcontext

import {{ cookiecutter.__httpx }}
from fastapi import FastAPI
from fastapi.testclient import TestClient

from {{ cookiecutter.package_name }}.app import create_app

from .service import Logged, add_identity, serve, service_for
from .upstream import Upstream


async def test_one_client_serves_every_request(
    app: FastAPI, service: httpx.AsyncClient, upstream: Upstream
) -> None:
    """Every request receives the same open client, and all share one connection."""
    add_identity(app)
    identities = [(await service.get("/identity")).json() for _ in range(3)]
    answers = [(await service.get("/external")).json() for _ in range(20)]

    assert identities == [identities[0]] * 3
    assert identities[0]["is_closed"] is False
    assert identities[0]["up"] != identities[0]["default"]
    assert answers == [{"result": '{"hello": "world"}', "status": 200}] * 20
    assert upstream.connections == 1


async def test_clients_live_as_long_as_the_application(app: FastAPI, logged: Logged) -> None:
    """The lifespan opens and closes each client once; both are logged with the client's id."""
    assert logged("client opened") == []
    async with serve(add_identity(app)) as service:
        ids = (await service.get("/identity")).json()
        assert logged("client closed") == []

    opened, closed = logged("client opened"), logged("client closed")
    both = [("default", ids["default"]), ("up", ids["up"])]
    assert [(line["upstream"], line["client_id"]) for line in opened] == both
    assert [(line["upstream"], line["client_id"]) for line in closed] == both[::-1]
    assert [line["is_closed"] for line in closed] == [True, True]


async def test_second_application_has_clients_of_its_own(upstream: Upstream) -> None:
    """Clients are not global: two applications in one process share none."""
    async with service_for(upstream) as one, service_for(upstream) as two:
        await one.get("/external")
        await two.get("/external")

    assert upstream.connections == 2


async def test_garbage_is_collected_rarely_while_serving(upstream: Upstream) -> None:
    """The lifespan tunes garbage collection, whatever runs it, and restores it at its end."""
    tuned = []
    for service in (nullcontext(), service_for(upstream), nullcontext()):
        async with service:
            tuned.append((gc.get_freeze_count() > 0, gc.get_threshold()[0] == 7000))

    assert tuned == [(False, False), (True, True), (False, False)]


def test_client_of_the_tutorial() -> None:
    """FastAPI's own test client enters the lifespan, and the clients are open within it."""
    with TestClient(create_app()) as client:
        assert client.get("/livez").status_code == 200
        assert client.get("/readyz").json()["status"] == "ready"
