"""Fixtures that render the template: `bake` in this process, `cookiecutter` as a command."""

import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from answers.questions import add_defaults
from support.generated import COMBINATIONS, EACH_ONCE, Generated
from support.redis import Redis
from support.rendering import EVERYTHING, Bake, Cookiecutter, Project, copy_template, render
from support.repository import ROOT

Once = Callable[[str, Callable[[Path], object]], Path]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Spread the longest tests, which mostly wait, over the run: others use the processor."""
    long = [
        item for item in items if "combinations.py::test_it_passes_its_own_tests" in item.nodeid
    ]
    others = [item for item in items if item not in long]
    for number, item in enumerate(long):
        others.insert(number * len(items) // len(long), item)
    items[:] = others


@pytest.fixture(scope="session", autouse=True)
def _mypy_cache() -> None:
    """One mypy cache for all projects: most of mypy's time goes into their libraries."""
    own = Path(os.environ.get("MYPY_CACHE_DIR", ROOT / ".mypy_cache"))
    os.environ["MYPY_CACHE_DIR"] = str(own / "projects")


@pytest.fixture(scope="session")
def once(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Once:
    """Build a directory once for all processes of a test run: `once(name, build)`."""
    own = tmp_path_factory.getbasetemp()
    shared = (own if worker_id == "master" else own.parent) / "shared"
    shared.mkdir(exist_ok=True)

    def once(name: str, build: Callable[[Path], object]) -> Path:
        directory, done = shared / name, shared / f"{name}.done"
        with (shared / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not done.exists():
                shutil.rmtree(directory, ignore_errors=True)
                directory.mkdir()
                build(directory)
                done.touch()
        return directory

    return once


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The template without the rest of the repository."""
    return copy_template(tmp_path_factory.mktemp("template") / "fastapi-template")


@pytest.fixture(scope="session")
def bake(template: Path, once: Once, tmp_path_factory: pytest.TempPathFactory) -> Bake:
    """Render each set of answers once per test run; each call returns a copy of its own."""

    def bake(**answers: object) -> Project:
        key = hashlib.sha256(json.dumps(answers, sort_keys=True).encode()).hexdigest()[:16]
        complete = add_defaults(answers)
        slug = str(complete["project_slug"])
        rendered = once(f"rendered-{key}", lambda output: render(template, output, answers))
        path = tmp_path_factory.mktemp("baked") / slug
        shutil.copytree(rendered / slug, path, symlinks=True)
        return Project(path, complete)

    return bake


@pytest.fixture(scope="session")
def report_once(bake: Bake, once: Once) -> Callable[..., Any]:
    """Run a program in a generated service once per test run; each call returns its report."""

    def report_once(program: str, **answers: object) -> Any:
        def run(directory: Path) -> None:
            report = Generated(bake(upstreams="", **answers)).report(program)
            (directory / "report.json").write_text(json.dumps(report), encoding="utf-8")

        directory = once("-".join([program, *map(str, answers.values())]), run)
        return json.loads((directory / "report.json").read_text(encoding="utf-8"))

    return report_once


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[Redis]:
    """A real Redis; a test may stop, kill and start it."""
    redis = Redis(tmp_path)
    redis.start()
    yield redis
    redis.kill()


@pytest.fixture
def cookiecutter(tmp_path: Path) -> Cookiecutter:
    """Run the real command in an empty directory, with a home of its own."""
    command = Cookiecutter(tmp_path / "home", tmp_path / "work", tmp_path / "temporary")
    for directory in (command.home, command.cwd, command.temporary):
        directory.mkdir()
    return command


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def every_service(bake: Bake) -> dict[str, Generated]:
    """The service on each combination of client library and connection pool."""
    return {
        name: Generated(bake(upstreams="", **answers)) for name, answers in COMBINATIONS.items()
    }


@pytest.fixture(scope="session")
def everything(bake: Bake) -> Generated:
    """The service with every part that can be chosen."""
    return Generated(bake(**EVERYTHING, upstreams=""))


@pytest.fixture(scope="session", params=EACH_ONCE)
def service(request: pytest.FixtureRequest, every_service: dict[str, Generated]) -> Generated:
    """The service on each client library and connection pool."""
    return every_service[request.param]
