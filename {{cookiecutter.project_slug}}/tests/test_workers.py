import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
MAIN = [sys.executable, "-m", "{{ cookiecutter.package_name }}"]
COUNT = 2


class Running:
    """The service with its workers, and what it has logged so far."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        self.told: list[dict[str, Any]] = []

    def workers(self, message: str) -> list[int]:
        return [line["worker"] for line in self.told if line["message"] == message]

    def wait(self, message: str = "", count: int = 1) -> None:
        """Return when so many workers have said so; without a message, when all have ended."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.told.append(json.loads(line))
            if len(self.workers(message)) == count:
                return


@pytest.fixture
def service() -> Iterator[Running]:
    own = {"APP_PORT": "0", "APP_LOG_FORMAT": "json", "APP_LOG_LEVEL": "INFO"}
    environment = os.environ | own | {"APP_WORKERS": str(COUNT)}
    with subprocess.Popen(MAIN, cwd=ROOT, env=environment, stdout=subprocess.PIPE) as process:
        running = Running(process)
        running.wait("Application startup complete.", COUNT)
        yield running


def test_a_worker_that_ends_is_replaced_and_all_stop(service: Running) -> None:
    """Each worker opens clients of its own, and closes each of them once."""
    os.kill(service.workers("client opened")[0], signal.SIGTERM)
    service.wait("Application startup complete.", COUNT + 1)
    service.process.terminate()
    service.wait()

    opened, closed = (Counter(service.workers(f"client {what}")) for what in ("opened", "closed"))
    assert opened == closed
    assert len(opened) == COUNT + 1
    assert service.process.wait() == -signal.SIGTERM


def test_workers_stop_when_their_supervisor_is_killed(service: Running) -> None:
    """Nobody else would know of them; their output ends when they have."""
    service.process.kill()
    service.wait()

    assert len(service.workers("client closed")) == len(service.workers("client opened")) > 0
