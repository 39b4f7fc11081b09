"""The service as a process of its own, and the lines it logs."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Self

SOURCE = Path(__file__).parents[1] / "src"


class ServiceProcess:
    """Start it with ``with``: it listens on a free port and logs JSON, which ``lines`` keeps."""

    def __init__(self, **environment: str) -> None:
        self._environment = {"APP_PORT": "0", "PYTHONPATH": str(SOURCE), **environment}
        self.lines: list[dict[str, Any]] = []

    def __enter__(self) -> Self:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "{{ cookiecutter.package_name }}"],
            env=os.environ | self._environment,
            stdout=subprocess.PIPE,
        )
        return self

    def __exit__(self, *_: object) -> None:
        with self.process:
            self.process.kill()

    @property
    def messages(self) -> list[str]:
        return [line["message"] for line in self.lines]

    def read_until(self, start: str, count: int = 1) -> str:
        """Return the message that starts so, once that many lines have; fail if the output ends."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(json.loads(line))
            found = [message for message in self.messages if message.startswith(start)]
            if len(found) == count:
                return found[-1]
        raise AssertionError(f"the service ended before {start!r}")

    def read_rest(self) -> int:
        """Read until the output ends; return the exit code."""
        assert self.process.stdout is not None
        self.lines += [json.loads(line) for line in self.process.stdout]
        return self.process.wait()
