"""Joins the rest: the application, and what lives as long as it does."""

import gc
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import TypedDict

from fastapi import FastAPI

from . import docs, problems{{ ", telemetry" if cookiecutter.telemetry }}, workers
from .http_client.clients import Clients, open_clients
from .request_id import RequestID
from .routes import external, health
from .settings import Settings


class State(TypedDict):
    """What requests find in ``request.state``."""

    clients: Clients


def create_app(settings: Settings | None = None) -> FastAPI:
    """The application; settings that are not given are read from the environment.

    A factory and not a global, so that importing reads nothing and opens nothing, and each
    test has an application of its own.
    """
    settings = settings or Settings()

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncGenerator[State]:
        async with open_clients(settings) as clients:
            yield {"clients": clients}
{% if cookiecutter.telemetry %}
        await telemetry.flush()
{% endif %}

    app = FastAPI(
        title={{ cookiecutter.project_name | python_string }},
        description={{ cookiecutter.description | python_string }},
        lifespan=lifespan,
        docs_url=None,  # see docs.py
        redoc_url=None,
{% if cookiecutter.telemetry %}
        telemetry=telemetry.config(),
{% endif %}
    )
    app.include_router(external.router)
    app.include_router(health.router)
    app.add_middleware(RequestID)
    problems.install(app)
    docs.install(app)
{% if cookiecutter.telemetry %}
    telemetry.install(app)
{% endif %}
    return app


def create_served_app() -> FastAPI:
    """The application of a process that does nothing else, as the server makes it."""
    workers.end_with_parent()
    app = create_app()
    # What is made at the start is never garbage, and calls leave few cycles: to skip the one and
    # to look for the other less often saves 7% of a call's processor time.
    gc.freeze()
    gc.set_threshold(7000)
    return app
