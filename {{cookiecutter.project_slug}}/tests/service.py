"""The service under test: its settings, its clients, and itself inside its lifespan."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Annotated, Any

import {{ cookiecutter.__httpx }}
from fastapi import Depends, FastAPI
from starlette.types import ASGIApp, Receive, Scope, Send

from {{ cookiecutter.package_name }}.app import create_app
from {{ cookiecutter.package_name }}.http_client import HTTPClient
from {{ cookiecutter.package_name }}.http_client import upstream as upstream_dependency
from {{ cookiecutter.package_name }}.http_client.clients import open_clients
from {{ cookiecutter.package_name }}.http_client.layers.base import Layer
from {{ cookiecutter.package_name }}.http_client.pipeline import ClientStack
from {{ cookiecutter.package_name }}.settings import Settings

from .mock_upstream import MockUpstream
from .upstream import Upstream

AnyUpstream = Upstream | MockUpstream
Up = Annotated[httpx.AsyncClient, Depends(upstream_dependency("up"))]
Logged = Callable[[str], list[dict[str, Any]]]


def settings_for(upstream: AnyUpstream, **http: Any) -> Settings:
    """Return settings with one upstream, named ``up``; ``http`` sets fields of every client."""
{% if "retry" in cookiecutter.features %}
    http.setdefault("max_attempts", 1)  # a test that needs retries asks for them
{% endif %}
    return Settings.model_validate({"upstreams": {"up": {"base_url": upstream.url}}, "http": http})


@asynccontextmanager
async def service_for(upstream: AnyUpstream, **http: Any) -> AsyncGenerator[httpx.AsyncClient]:
    """Run the service with this one upstream; yield a client that calls the service."""
    app = create_app(settings_for(upstream, **http), transport=upstream.transport)
    async with serve(app) as client:
        yield client


@asynccontextmanager
async def serve(app: FastAPI) -> AsyncGenerator[httpx.AsyncClient]:
    """Enter the application's lifespan; yield a client that calls the application."""
    async with app.router.lifespan_context(app) as state:

        async def with_state(scope: Scope, receive: Receive, send: Send) -> None:
            await app({**scope, "state": dict(state or {})}, receive, send)

        async with client_of(with_state) as client:
            yield client


def client_of(app: ASGIApp) -> httpx.AsyncClient:
    """Return a client that calls the application outside its lifespan."""
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://service")


@asynccontextmanager
async def stack_for(upstream: AnyUpstream, **http: Any) -> AsyncGenerator[ClientStack]:
    """Open the managed client of this upstream; yield it with its layers."""
    settings = settings_for(upstream, **http)
    async with open_clients(settings, upstream.transport) as clients:
        yield clients.upstreams["up"]


@asynccontextmanager
async def client_for(upstream: AnyUpstream, **http: Any) -> AsyncGenerator[httpx.AsyncClient]:
    """Open the managed client of this upstream, and yield only the client."""
    async with stack_for(upstream, **http) as stack:
        yield stack.client


def layers_of(stack: ClientStack) -> list[Layer]:
    """Return the layers that a call passes through, the outermost first."""
    layers = []
    outer: Any = stack.client._transport
    while (layer := getattr(outer, "inner", None)) is not None:
        layers.append(layer)
        outer = layer
    return layers


async def streamed(*chunks: bytes) -> AsyncIterator[bytes]:
    """A request body that arrives in pieces."""
    for chunk in chunks:
        yield chunk


def add_identity(app: FastAPI) -> FastAPI:
    """Add a route that returns the ids of the clients it was given."""

    @app.get("/identity")
    async def identity(up: Up, default: HTTPClient) -> dict[str, object]:
        return {"up": id(up), "default": id(default), "is_closed": up.is_closed}

    return app
