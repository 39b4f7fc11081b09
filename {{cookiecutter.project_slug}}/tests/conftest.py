"""The fixtures: a clean environment, and a real upstream."""

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from .upstream import Upstream


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No setting of the machine that runs the tests, and no .env file of its."""
    for name in os.environ:
        if name.startswith("APP_") or name.upper().endswith("_PROXY"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
async def upstream() -> AsyncIterator[Upstream]:
    """A server that misbehaves on request."""
    async with Upstream() as upstream:
        yield upstream
