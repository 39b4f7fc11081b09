"""What tests use to render the template: `bake` in this process, `cookiecutter` as a command."""

import contextlib
import hashlib
import json
import shutil
import tempfile
from pathlib import Path

import pytest

from answers.questions import completed
from support.generated import COMBINATIONS, Generated
from support.rendering import EVERYTHING, Bake, Cookiecutter, Project, copy_template, render


@pytest.fixture(scope="session")
def shared_directory(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """One directory for all processes of a test run."""
    own = tmp_path_factory.getbasetemp()
    directory = (own if worker_id == "master" else own.parent) / "shared"
    directory.mkdir(exist_ok=True)
    return directory


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The template without the rest of the repository."""
    return copy_template(tmp_path_factory.mktemp("template") / "fastapi-template")


@pytest.fixture(scope="session")
def bake(template: Path, shared_directory: Path, tmp_path_factory: pytest.TempPathFactory) -> Bake:
    """Render each set of answers once per test run; each call returns a copy of its own."""

    def bake(**answers: object) -> Project:
        name = hashlib.sha256(json.dumps(answers, sort_keys=True).encode()).hexdigest()[:16]
        rendered = shared_directory / f"project-{name}"
        if not rendered.exists():
            building = Path(tempfile.mkdtemp(dir=shared_directory))
            render(template, building, answers).rename(building / "project")
            with contextlib.suppress(OSError):  # another process was faster
                (building / "project").rename(rendered)
        complete = completed(answers)
        path = tmp_path_factory.mktemp("baked") / str(complete["project_slug"])
        shutil.copytree(rendered, path, symlinks=True)
        return Project(path, complete)

    return bake


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


@pytest.fixture(scope="session", params=COMBINATIONS)
def service(request: pytest.FixtureRequest, every_service: dict[str, Generated]) -> Generated:
    """The service on one of the combinations."""
    return every_service[request.param]
