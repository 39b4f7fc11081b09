"""The service under test: its settings, and itself inside its lifespan."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import {{ cookiecutter.__httpx }}
from fastapi import FastAPI
from starlette.types import Receive, Scope, Send

from {{ cookiecutter.package_name }}.app import create_app
from {{ cookiecutter.package_name }}.http_client.clients import Clients, open_clients
from {{ cookiecutter.package_name }}.settings import Settings

from .upstream import Upstream

# Retries without the waiting, in time for a test.
QUICK = {"backoff_base_s": 0.001, "backoff_max_s": 0.001}


def settings_for(upstream: Upstream, **http: Any) -> Settings:
    """Settings with this one upstream, named ``up``, whose client has these settings."""
    return Settings.model_validate(
        {"upstreams": {"up": {"base_url": upstream.url}}, "http": QUICK | http}
    )


@asynccontextmanager
async def service_for(upstream: Upstream, **http: Any) -> AsyncGenerator[httpx.AsyncClient]:
    """A client of the service itself, with this one upstream."""
    async with serving(create_app(settings_for(upstream, **http))) as client:
        yield client


@asynccontextmanager
async def serving(app: FastAPI) -> AsyncGenerator[httpx.AsyncClient]:
    """A client of the application, inside its lifespan and with its state."""
    async with app.router.lifespan_context(app) as state:

        async def with_state(scope: Scope, receive: Receive, send: Send) -> None:
            await app({**scope, "state": dict(state or {})}, receive, send)

        transport = httpx.ASGITransport(with_state)
        async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
            yield client


@asynccontextmanager
async def clients_for(upstream: Upstream, **http: Any) -> AsyncGenerator[Clients]:
    """The managed clients alone, with this one upstream."""
    async with open_clients(settings_for(upstream, **http)) as clients:
        yield clients


@asynccontextmanager
async def client_for(upstream: Upstream, **http: Any) -> AsyncGenerator[httpx.AsyncClient]:
    """The managed client of this upstream."""
    async with clients_for(upstream, **http) as clients:
        yield clients.upstreams["up"].client
