"""What tests use to render the template: `bake` in this process, `cookiecutter` as a command."""

import json
import os
import shutil
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol
from unittest.mock import patch

import pytest
from cookiecutter.main import cookiecutter as render  # type: ignore[import-untyped]
from loopback import Service, clean_environment

from answers.features import FEATURES
from answers.questions import PROJECT_DIRECTORY, completed

ROOT = Path(__file__).parent.parent
# Every part that can be chosen, except one of the two pipelines; and none.
EVERYTHING: dict[str, object] = {
    "features": ", ".join(FEATURES),
    "http_library": "httpx2",
    "http_transport": "httpcore",
    "http2": True,
    "telemetry": True,
    "deployment": "kubernetes",
}
NOTHING: dict[str, object] = {
    "features": "",
    "http2": False,
    "telemetry": False,
    "deployment": "none",
    "ci": "none",
}
PARTS = ("answers", "cookiecutter.json", "hooks", PROJECT_DIRECTORY)


@dataclass(frozen=True)
class Project:
    """A rendered project."""

    path: Path
    answers: dict[str, object]

    @property
    def package(self) -> Path:
        """The directory of the service's modules."""
        return self.path / "src" / str(self.answers["package_name"])

    def files(self) -> set[str]:
        """The path of every file, relative to the project, with slashes."""
        files = (path for path in self.path.rglob("*") if path.is_file())
        return {path.relative_to(self.path).as_posix() for path in files}

    def has_file(self, name: str) -> bool:
        """Whether there is a file of this relative path."""
        return (self.path / name).is_file()

    def read(self, name: str) -> str:
        """The text of a file, line endings as they are."""
        return (self.path / name).read_bytes().decode()

    def toml(self, name: str) -> dict[str, Any]:
        """The content of a TOML file."""
        return tomllib.loads(self.read(name))

    def start(self, **environment: str) -> Service:
        """The service, as a process."""
        command = [sys.executable, "-m", str(self.answers["package_name"])]
        return Service(command, self.path, PYTHONPATH="src", **environment)

    def run(
        self, tool: str, *args: str, flags: tuple[str, ...] = ()
    ) -> subprocess.CompletedProcess[str]:
        """Run a tool of the tests' own environment, which has every project's dependencies."""
        done = subprocess.run(
            [sys.executable, *flags, "-m", tool, *args],
            cwd=self.path,
            env=clean_environment() | {"PYTHONPATH": "src"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, f"{tool} {' '.join(args)}\n{done.stdout}\n{done.stderr}"
        return done

    def report(self, program: str, *args: str, flags: tuple[str, ...] = ()) -> Any:
        """What a module in the project's directory prints, as JSON; warnings are errors."""
        done = self.run(program, *args, flags=("-W", "error", *flags))
        assert done.stderr == ""
        return json.loads(done.stdout)


class Bake(Protocol):
    """Renders the template with these answers, the others being the defaults."""

    def __call__(self, **answers: object) -> Project: ...


@dataclass(frozen=True)
class Cookiecutter:
    """The `cookiecutter` command, of a person who has neither configuration nor history."""

    home: Path
    cwd: Path
    temporary: Path

    def __call__(
        self,
        *args: str | Path,
        input: str | None = None,  # noqa: A002 - as subprocess names it
        env: dict[str, str] | None = None,
        cwd: Path | None = None,
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [Path(sys.executable).with_name("cookiecutter"), *args],
            cwd=cwd or self.cwd,
            env=self.environment() | (env or {}),
            input=input or "",
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def environment(self) -> dict[str, str]:
        """This environment with another home, no configuration, and neither uv nor git."""
        environment = {**clean_environment(), "HOME": str(self.home), "USERPROFILE": str(self.home)}
        return environment | {"TMPDIR": str(self.temporary), "PATH": ""}

    def written(self) -> set[str]:
        """What is in the working directory and at home, directories too."""
        places = (self.cwd, self.home)
        return {str(path.relative_to(place)) for place in places for path in place.rglob("*")}


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
        return Project(Path(written), completed(answers))

    return bake


@pytest.fixture
def cookiecutter(tmp_path: Path) -> Cookiecutter:
    """Run the real command in an empty directory, with a home of its own."""
    command = Cookiecutter(tmp_path / "home", tmp_path / "work", tmp_path / "temporary")
    for directory in (command.home, command.cwd, command.temporary):
        directory.mkdir()
    return command
