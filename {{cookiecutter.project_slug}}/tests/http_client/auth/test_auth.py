from collections.abc import Generator

import {{ cookiecutter.__httpx }}
import pytest

from {{ cookiecutter.package_name }}.http_client.auth import AUTH
from {{ cookiecutter.package_name }}.http_client.clients import open_clients
from {{ cookiecutter.package_name }}.settings import Settings, UpstreamSettings

from ...upstream import Upstream


class Numbered(httpx.Auth):
    """An auth that counts the calls it signs."""

    def __init__(self, settings: UpstreamSettings) -> None:
        assert settings.bearer_token is not None
        self._key = settings.bearer_token.get_secret_value()
        self._calls = 0

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response]:
        self._calls += 1
        request.headers["Authorization"] = f"{self._key} {self._calls}"
        yield request


async def test_auth_of_an_upstream(upstream: Upstream, monkeypatch: pytest.MonkeyPatch) -> None:
    """AUTH gives an ``httpx.Auth`` to one upstream's client only; a call may replace it."""
    monkeypatch.setitem(AUTH, "signed", Numbered)
    there = {"base_url": upstream.url, "bearer_token": "key"}
    settings = Settings.model_validate({"upstreams": {"signed": there, "other": there}})
    async with open_clients(settings) as clients:
        signed = clients.upstreams["signed"].client
        await signed.get("/")
        await signed.get("/")
        await signed.get("/", auth=None)
        await clients.upstreams["other"].client.get("/")

    sent = [request.headers["authorization"] for request in upstream.seen]
    assert sent == ["key 1", "key 2", "Bearer key", "Bearer key"]
