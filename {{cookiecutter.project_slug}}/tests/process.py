"""The service as a process of its own, and the lines it logs."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from {{ cookiecutter.package_name }}.settings import BASE_URLS

COMMAND = ("-m", "{{ cookiecutter.package_name }}")
SOURCE = Path(__file__).parents[1] / "src"
# guard.py does not see another process, so its default upstreams are closed ports.
UPSTREAMS = {f"APP_UPSTREAMS__{name.upper()}__BASE_URL": "http://127.0.0.1:1" for name in BASE_URLS}


class ServiceProcess(subprocess.Popen[bytes]):
    """The service on a free port; ``lines`` are the log lines read so far."""

    def __init__(self, *command: str, **environment: str) -> None:
        defaults = {"APP_PORT": "0", "PYTHONPATH": str(SOURCE)} | UPSTREAMS
        arguments = [sys.executable, *(command or COMMAND)]
        super().__init__(arguments, env=os.environ | defaults | environment, stdout=subprocess.PIPE)
        self.lines: list[dict[str, Any]] = []

    def read(self, start: str | None = None, count: int = 1) -> list[str]:
        """Read until ``count`` messages begin with ``start``, or the output ends; return them."""
        assert self.stdout is not None
        found: list[str] = []
        for line in self.stdout:
            self.lines.append(json.loads(line))
            messages = [each["message"] for each in self.lines]
            found = [message for message in messages if message.startswith(start or "")]
            if start and len(found) == count:
                break
        return found

    def __exit__(self, *error: Any) -> None:
        self.kill()  # a test that failed left it running
        super().__exit__(*error)
