"""What the well-known answer to "how do I reuse an AsyncClient in FastAPI?" does, this does too."""

import logging

import pytest

from {{ cookiecutter.package_name }}.app import create_app

from .service import add_identity, service_for, serving, settings_for
from .upstream import Upstream


async def test_one_client_serves_every_request(upstream: Upstream) -> None:
    """Every request receives the same open client, and all share one connection."""
    async with serving(add_identity(create_app(settings_for(upstream)))) as service:
        identities = [(await service.get("/identity")).json() for _ in range(3)]
        answers = [(await service.get("/external")).json() for _ in range(20)]

    assert identities == [identities[0]] * 3
    assert identities[0]["is_closed"] is False
    assert identities[0]["up"] != identities[0]["default"]
    assert answers == [{"result": '{"hello": "world"}', "status": 200}] * 20
    assert upstream.connections == 1


async def test_clients_live_as_long_as_the_application(
    upstream: Upstream, caplog: pytest.LogCaptureFixture
) -> None:
    """The lifespan opens and closes each client once; both are logged with the client's id."""
    caplog.set_level(logging.INFO)
    app = add_identity(create_app(settings_for(upstream)))
    assert caplog.messages == []
    async with serving(app) as service:
        up = (await service.get("/identity")).json()["up"]

    logged = [vars(line) for line in caplog.records if line.message.startswith("client ")]
    assert [(line["message"], line["upstream"]) for line in logged] == [
        ("client opened", "default"),
        ("client opened", "up"),
        ("client closed", "up"),
        ("client closed", "default"),
    ]
    assert [line["client_id"] for line in logged if line["upstream"] == "up"] == [up, up]
    assert [line["is_closed"] for line in logged[2:]] == [True, True]


async def test_second_application_has_clients_of_its_own(upstream: Upstream) -> None:
    """Clients are not global: two applications in one process share none."""
    async with service_for(upstream) as one, service_for(upstream) as two:
        await one.get("/external")
        await two.get("/external")

    assert upstream.connections == 2
