"""Rendered projects, and the `cookiecutter` command."""

import contextlib
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

from cookiecutter.main import cookiecutter  # type: ignore[import-untyped]

from answers.features import FEATURES
from answers.questions import PROJECT_DIRECTORY
from support.process import clean_environment, execute, in_turn_with_mypy
from support.repository import ROOT
from support.service import Service

# Every part that can be chosen, with one of the two pipelines; and nothing.
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
        """Return the path of every file, relative to the project, with slashes."""
        files = (path for path in self.path.rglob("*") if path.is_file())
        return {path.relative_to(self.path).as_posix() for path in files}

    def has_file(self, name: str) -> bool:
        """Return whether the project has this file."""
        return (self.path / name).is_file()

    def read(self, name: str) -> str:
        """Return the text of a file with its line endings."""
        return (self.path / name).read_bytes().decode()

    def toml(self, name: str) -> dict[str, Any]:
        """Return the contents of a TOML file."""
        return tomllib.loads(self.read(name))

    def start(self, **environment: str) -> Service:
        """Return the service as a process to enter."""
        command = [sys.executable, "-m", str(self.answers["package_name"])]
        return Service(command, self.path, PYTHONPATH="src", **environment)

    def run(
        self, tool: str, *args: str, flags: tuple[str, ...] = ()
    ) -> subprocess.CompletedProcess[str]:
        """Run a tool of the tests' own environment, which must succeed."""
        command = [sys.executable, *flags, "-m", tool, *args]
        with in_turn_with_mypy() if tool == "mypy" else contextlib.nullcontext():
            done = execute(command, self.path, env=clean_environment() | {"PYTHONPATH": "src"})
        assert done.returncode == 0, f"{tool} {' '.join(args)}\n{done.stdout}\n{done.stderr}"
        return done

    def report(self, program: str, *args: str, flags: tuple[str, ...] = ()) -> Any:
        """Return the JSON that a module in the project's directory prints; warnings are errors."""
        done = self.run(program, *args, flags=("-W", "error", *flags))
        assert done.stderr == ""
        return json.loads(done.stdout)


def copy_template(directory: Path) -> Path:
    """Copy the template without the rest of the repository, as a clone without history has it."""
    directory.mkdir()
    ignored = shutil.ignore_patterns("__pycache__", ".*cache")
    for name in PARTS:
        part = ROOT / name
        if part.is_dir():
            shutil.copytree(part, directory / name, ignore=ignored)
        else:
            shutil.copy(part, directory)
    return directory


def render(template: Path, output: Path, answers: dict[str, object], *, hooks: bool = True) -> Path:
    """Render by cookiecutter's Python API, without a configuration; hooks find no uv or git."""
    output.mkdir(parents=True, exist_ok=True)
    config = output / "config.yaml"
    config.write_text(f"{{cookiecutters_dir: '{output}', replay_dir: '{output / 'replay'}'}}\n")
    with patch.dict(os.environ, PATH=""):
        project = cookiecutter(
            str(template),
            no_input=True,
            extra_context=answers,
            output_dir=str(output),
            config_file=str(config),
            accept_hooks=hooks,
        )
    return Path(project)


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
        command = [Path(sys.executable).with_name("cookiecutter"), *args]
        environment = self.environment() | (env or {})
        return execute(command, cwd or self.cwd, env=environment, input=input or "")

    def environment(self) -> dict[str, str]:
        """Return this environment with another home, no configuration, no uv and no git."""
        environment = {**clean_environment(), "HOME": str(self.home), "USERPROFILE": str(self.home)}
        return environment | {"TMPDIR": str(self.temporary), "PATH": ""}

    def written(self) -> set[str]:
        """Return every path in the working directory and at home, directories too."""
        roots = (self.cwd, self.home)
        return {str(path.relative_to(root)) for root in roots for path in root.rglob("*")}
