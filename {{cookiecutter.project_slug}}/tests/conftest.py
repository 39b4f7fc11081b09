"""The fixtures: a clean environment, and a real upstream."""

import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from .upstream import Upstream


@pytest.fixture(scope="session")
def anyio_backend() -> tuple[str, dict[str, bool]]:
    """The event loop that serves, where there is one: its timers and sockets are its own."""
    return "asyncio", {"use_uvloop": sys.platform != "win32"}


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Neither the settings of the machine that runs the tests, nor its .env file."""
    for name in os.environ:
        if name.startswith("APP_") or name.upper().endswith("_PROXY"):
            monkeypatch.delenv(name)
{% if cookiecutter.telemetry %}
        if name.startswith("OTEL_"):
            monkeypatch.delenv(name)
{% endif %}
    monkeypatch.chdir(tmp_path)


@pytest.fixture
async def upstream() -> AsyncIterator[Upstream]:
    """A server that misbehaves on request."""
    async with Upstream() as upstream:
        yield upstream
