"""What tests use to render the template: `bake` in this process, `cookiecutter` as a command."""

import os
import shutil
from pathlib import Path
from unittest.mock import patch

import pytest
from cookiecutter.main import cookiecutter as render  # type: ignore[import-untyped]

import answer_rules
from support.generated import COMBINATIONS, Generated
from support.rendering import EVERYTHING, PARTS, Bake, Cookiecutter, Project
from support.repository import ROOT


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The template without the rest of the repository, as a clone without history would be."""
    copy = tmp_path_factory.mktemp("template") / "fastapi-template"
    copy.mkdir()
    for name in PARTS:
        part = ROOT / name
        if part.is_dir():
            shutil.copytree(
                part, copy / name, ignore=shutil.ignore_patterns("__pycache__", ".*cache")
            )
        else:
            shutil.copy(part, copy)
    return copy


@pytest.fixture(scope="session")
def bake(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Bake:
    """Render with cookiecutter's Python API, and hooks that find neither uv nor git."""
    config = tmp_path_factory.mktemp("cookiecutter") / "config.yaml"
    config.write_text(f"{{cookiecutters_dir: '{config.parent}', replay_dir: '{config.parent}'}}\n")

    def bake(**answers: object) -> Project:
        with patch.dict(os.environ, PATH=""):
            written = render(
                str(template),
                no_input=True,
                extra_context=answers,
                output_dir=str(tmp_path_factory.mktemp("baked")),
                config_file=str(config),
            )
        return Project(Path(written), answer_rules.completed(answers))

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
