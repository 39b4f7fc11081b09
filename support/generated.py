"""Each combination of client library and pool, run as a process."""

import importlib.util
import sys
from typing import Any

from support.loopback import Service
from support.rendering import Project
from support.repository import ROOT

PROGRAMS = ROOT / "tests/client/promises/programs"
COMBINATIONS = {
    f"{library}-on-{transport}": {"http_library": library, "http_transport": transport}
    for library in ("httpx", "httpx2")
    for transport in ("aiohttp", "httpcore")
}


class Generated:
    """A generated service, without upstreams of its own: tests name theirs when it starts."""

    def __init__(self, project: Project) -> None:
        self.path = project.path
        self.project = project
        for program in PROGRAMS.glob("*.py"):
            text = program.read_text(encoding="utf-8")
            if project.answers["http_library"] == "httpx2":
                text = text.replace("import httpx\n", "import httpx2 as httpx\n")
            (self.path / program.name).write_text(text, encoding="utf-8")
        spec = importlib.util.spec_from_file_location("upstream", self.path / "tests/upstream.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        # The real server that misbehaves on request, which comes with each project.
        self.Upstream: Any = module.Upstream

    def start(self, program: str = "", /, **settings: object) -> Service:
        """The service itself, or one of the programs around it, as a process."""
        command = [program] if program else ["-m", "my_service"]
        environment = {f"APP_{name.upper()}": str(value) for name, value in settings.items()}
        return Service([sys.executable, *command], self.path, PYTHONPATH="src", **environment)

    def report(self, program: str, *args: str) -> Any:
        """What a program prints, as JSON; it finds the service's code and its tests'."""
        return self.project.report(program.removesuffix(".py"), *args)
