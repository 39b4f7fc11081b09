"""The service under test: its settings, and itself inside its lifespan."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import {{ cookiecutter.__httpx }}
from fastapi import FastAPI
from starlette.types import ASGIApp, Receive, Scope, Send

from {{ cookiecutter.package_name }}.app import create_app
from {{ cookiecutter.package_name }}.http_client.clients import Managed, open_clients
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

        async with calling(with_state) as client:
            yield client


def calling(app: ASGIApp) -> httpx.AsyncClient:
    """A client of the application as it is, outside its lifespan."""
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://service")


@asynccontextmanager
async def managed_for(upstream: Upstream, **http: Any) -> AsyncGenerator[Managed]:
    """The managed client of this upstream, and those of its layers that can be asked."""
    async with open_clients(settings_for(upstream, **http)) as clients:
        yield clients.upstreams["up"]


@asynccontextmanager
async def client_for(upstream: Upstream, **http: Any) -> AsyncGenerator[httpx.AsyncClient]:
    """The managed client of this upstream alone."""
    async with managed_for(upstream, **http) as managed:
        yield managed.client


async def streamed(*chunks: bytes) -> AsyncIterator[bytes]:
    """A request's body that comes in pieces."""
    for chunk in chunks:
        yield chunk
