"""The fixtures: a clean environment, a real upstream, and clients with the default settings."""

import logging
import os
import sys
from collections.abc import AsyncIterator, Generator
from pathlib import Path

import {{ cookiecutter.__httpx }}
import pytest
from fastapi import FastAPI

from {{ cookiecutter.package_name }}.app import create_app

from . import guard
from .mock_upstream import MockUpstream
from .service import Logged, client_for, serve, settings_for
from .upstream import Upstream


@pytest.fixture(scope="session")
def anyio_backend() -> tuple[str, dict[str, bool]]:
    """The event loop that the service runs on: its timers and sockets differ from asyncio's."""
    return "asyncio", {"use_uvloop": sys.platform != "win32"}


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Hide the settings of the machine that runs the tests, and its .env file."""
    for name in os.environ:
        if name.startswith("APP_") or name.upper().endswith("_PROXY"):
            monkeypatch.delenv(name)
{% if cookiecutter.telemetry %}
        if name.startswith("OTEL_"):
            monkeypatch.delenv(name)
{% endif %}
    monkeypatch.chdir(tmp_path)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Generator[None]:
    """Fail a test that calls another machine, even if the service has answered with a 502."""
    try:
        yield
    finally:
        hosts, guard.blocked = guard.blocked, set()
        if hosts:
            what = ", ".join(sorted(hosts))
            pytest.fail(f"called {what}: use a mock, or an upstream on loopback", pytrace=False)


pytest_runtest_teardown = pytest_runtest_call


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture) -> Logged:
    """A function that returns the fields of every line with the given message."""
    caplog.set_level(logging.INFO)
    return lambda message: [vars(line) for line in caplog.records if line.message == message]


@pytest.fixture
async def upstream() -> AsyncIterator[Upstream]:
    """A server that misbehaves on request."""
    async with Upstream() as upstream:
        yield upstream


@pytest.fixture
def mock_upstream() -> MockUpstream:
    """A mock below the layers: ``mock_upstream.answers = [503, 200]`` answers two attempts."""
    return MockUpstream()


@pytest.fixture
async def client(upstream: Upstream) -> AsyncIterator[httpx.AsyncClient]:
    """The managed client of this upstream."""
    async with client_for(upstream) as client:
        yield client


@pytest.fixture
def app(upstream: Upstream) -> FastAPI:
    """The service, which has this one upstream."""
    return create_app(settings_for(upstream))


@pytest.fixture
async def service(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the service; a test can still add routes to ``app``."""
    async with serve(app) as service:
        yield service
