"""A generated service with its own misbehaving upstream, on each client combination."""

import importlib.util
import sys
from pathlib import Path
from typing import Any

from support.rendering import Project
from support.repository import ROOT
from support.service import Service

PROGRAMS = ROOT / "tests/client/promises/programs"
COMBINATIONS = {
    f"{library}-on-{transport}": {"http_library": library, "http_transport": transport}
    for library in ("httpx", "httpx2")
    for transport in ("aiohttp", "httpcore")
}
# Each library and each pool once: no module depends on both. What the wire carries, whose answer a
# caller gets, and the installed projects are tested on all four.
EACH_ONCE = {name: COMBINATIONS[name] for name in ("httpx-on-aiohttp", "httpx2-on-httpcore")}


class Generated:
    """A generated service without upstreams of its own; each start adds those of a test."""

    def __init__(self, project: Project) -> None:
        self.path = project.path
        self.project = project
        for program in PROGRAMS.glob("*.py"):
            copy_program(program, self.path / program.name, str(project.answers["http_library"]))
        self.Upstream = misbehaving_upstream(project.path)

    def start(self, program: str = "", /, **settings: object) -> Service:
        """Return the service, or one of the programs around it, as a process to enter."""
        command = [program] if program else ["-m", "my_service"]
        environment = {f"APP_{name.upper()}": str(value) for name, value in settings.items()}
        return Service([sys.executable, *command], self.path, PYTHONPATH="src", **environment)

    def report(self, program: str, *args: str) -> Any:
        """Return the JSON that a program prints; it can import the service and its tests."""
        return self.project.report(program.removesuffix(".py"), *args)


def copy_program(source: Path, target: Path, library: str) -> None:
    """Copy a program, so that it imports the client library of its project."""
    text = source.read_text(encoding="utf-8")
    if library == "httpx2":
        text = text.replace("import httpx\n", "import httpx2 as httpx\n")
    target.write_text(text, encoding="utf-8")


def misbehaving_upstream(project: Path) -> Any:
    """Return the class `Upstream` of a project's tests: a real server that fails on request."""
    spec = importlib.util.spec_from_file_location("upstream", project / "tests/upstream.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.Upstream
