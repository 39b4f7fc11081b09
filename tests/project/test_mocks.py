"""Mocks: the examples in docs/testing.md with their packages, and a test that forgets its mock."""

import re
import sys

import pytest

from support.generated import EACH_ONCE
from support.process import in_turn_with_mypy, run, succeed
from support.rendering import Bake
from support.tour import apply_tour

on_each_client = pytest.mark.parametrize("answers", EACH_ONCE.values(), ids=EACH_ONCE)
PACKAGES = {"httpx": ("respx", "pytest-httpx"), "httpx2": ("pytest-httpx2",)}

PYTEST_HTTPX = """\
import httpx
from pytest_httpx import HTTPXMock

from my_service.app import create_app

from .service import Logged, serve


async def test_external(httpx_mock: HTTPXMock, logged: Logged) -> None:
    for status in (503, 503, 200):
        httpx_mock.add_response(status_code=status)
    async with serve(create_app(transport=lambda _: httpx.AsyncHTTPTransport())) as service:
        answer = await service.get("/external")

    assert answer.json()["status"] == 200
    assert [call["attempts"] for call in logged("upstream call")] == [3]
"""

FORGETS = """\
import asyncio
import socket

import {library} as httpx

from my_service.app import create_app

from .service import serve


async def test_in_a_handler() -> None:
    async with serve(create_app()) as service:
        assert (await service.get("/external")).status_code == 502


async def test_with_a_client_of_its_own() -> None:
    async with httpx.AsyncClient(trust_env=False) as client:
        await asyncio.gather(client.get("http://name.example"), return_exceptions=True)


async def test_on_the_event_loop() -> None:
    await asyncio.gather(asyncio.open_connection("192.0.2.1", 80), return_exceptions=True)


def test_with_a_socket() -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as opened:
        try:
            opened.sendto(b"", ("192.0.2.2", 53))
        except OSError:
            pass
"""


@on_each_client
def test_mocks_of_the_readme(bake: Bake, answers: dict[str, str]) -> None:
    """The page's tests pass, and its checks, with the packages that it names."""
    project = bake(**answers)
    apply_tour(project)
    packages = PACKAGES[answers["http_library"]]
    for package in packages:
        assert package in project.read("docs/testing.md")
    if "pytest-httpx" in packages:
        (project.path / "tests/test_github_httpx.py").write_text(PYTEST_HTTPX, encoding="utf-8")

    with_packages = [part for name in packages for part in ("--with", name)]
    succeed(project.path, "uv", "sync", UV_PYTHON_DOWNLOADS="never")
    for command in ("mypy", "ruff check .", "ruff format --check .", "pytest -k github -rA"):
        with in_turn_with_mypy():
            done = run(project.path, "uv", "run", *with_packages, "python", "-m", *command.split())
        assert done.returncode == 0, done.stdout

    assert f"{3 + len(packages)} passed" in done.stdout


@on_each_client
def test_test_that_forgets_its_mock_fails(bake: Bake, answers: dict[str, str]) -> None:
    """Whatever a test or the service connects with, the test fails, even if all else passes."""
    project = bake(**answers)
    test = project.path / "tests/test_forgets.py"
    test.write_text(FORGETS.format(library=answers["http_library"]), encoding="utf-8")
    done = run(
        project.path, sys.executable, "-m", "pytest", "-rf", test, PYTHONPATH="src", COLUMNS="200"
    )

    assert re.findall(r"FAILED \S+::(\w+) - Failed: (called \S+):", done.stdout) == [
        ("test_in_a_handler", "called httpbin.org"),
        ("test_with_a_client_of_its_own", "called name.example"),
        ("test_on_the_event_loop", "called 192.0.2.1"),
        ("test_with_a_socket", "called 192.0.2.2"),
    ]
