"""Every engine sends the same bytes and has the same outcome for the same response."""

import errno
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from conftest import Bake, Project
from loopback import clean_environment

from . import CASES
from .case import NEW, NOTHING_SENT, UNREAD, VARIES, Case, shorten

HERE = Path(__file__).parent
LIBRARIES = ("httpx", "httpx2")
COMBINATIONS = {
    f"{library}-on-{transport}": {"http_library": library, "http_transport": transport}
    for library in LIBRARIES
    for transport in ("aiohttp", "httpcore")
}
# Each combination, each pool on both loops, and the development mode in which aiohttp's parser,
# which is not used here, is stricter.
RUNS: dict[str, tuple[str, tuple[str, ...], tuple[str, ...]]] = {
    "httpx-on-aiohttp": ("httpx-on-aiohttp", (), ()),
    "httpx2-on-aiohttp, uvloop": ("httpx2-on-aiohttp", (), ("uvloop",)),
    "httpx-on-httpcore, uvloop": ("httpx-on-httpcore", (), ("uvloop",)),
    "httpx2-on-httpcore": ("httpx2-on-httpcore", (), ()),
    "httpx-on-aiohttp, development mode": ("httpx-on-aiohttp", ("-X", "dev"), ()),
}
# One message for each exception, whichever engine raises it.
RESET = f"the connection broke: {os.strerror(errno.ECONNRESET)}"
MESSAGES = {
    "ConnectTimeout": "no connection in time",
    "ReadTimeout": "silence for too long",
    "WriteTimeout": "the request's body is not taken",
    "ReadError": RESET,
    "RemoteProtocolError": "the response is not whole, or not HTTP",
}


class Reports(dict[str, Any]):
    """The report of each run, made on first use."""

    def __init__(self, bake: Bake) -> None:
        super().__init__()
        self._bake = bake
        self._projects: dict[str, Project] = {}

    def __missing__(self, run: str) -> Any:
        self[run] = self.play(*RUNS[run])
        return self[run]

    def project(self, name: str) -> Project:
        """Generate a service, and copy this package into it."""
        if name not in self._projects:
            project = self._bake(upstreams="", **COMBINATIONS[name])
            inside = project.path / HERE.name
            shutil.copytree(HERE, inside, ignore=shutil.ignore_patterns("test_*", "__pycache__"))
            if project.answers["http_library"] == "httpx2":
                for module in inside.glob("*.py"):
                    text = module.read_text(encoding="utf-8")
                    text = text.replace("import httpx\n", "import httpx2 as httpx\n")
                    module.write_text(text, encoding="utf-8")
            self._projects[name] = project
        return self._projects[name]

    def play(self, name: str, flags: tuple[str, ...], arguments: tuple[str, ...]) -> Any:
        """Run the program in a service, and return its report."""
        done = subprocess.run(
            [sys.executable, *flags, "-W", "error", "-m", "conformance.program", *arguments],
            cwd=self.project(name).path,
            env=clean_environment() | {"PYTHONPATH": "src"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert done.stderr == ""
        return json.loads(done.stdout)


@pytest.fixture(scope="module")
def reports(bake: Bake) -> Reports:
    """The report of each run."""
    return Reports(bake)


def find_case(play: str) -> tuple[Case, str]:
    """Find the case and the mode of a report's key."""
    name, _, mode = play.rpartition(": ")
    return CASES[name], mode


def find_faults(case: Case, mode: str, entry: dict[str, Any]) -> list[str]:
    """List what is not as the case says."""
    found = []
    if mode != UNREAD and entry["outcome"] != shorten(case.expected):
        message = f" ({entry['message']})" if entry["message"] else ""
        found.append(f"expected {shorten(case.expected)!r}, got {entry['outcome']!r}{message}")
    elif entry["message"] != MESSAGES.get(entry["outcome"], entry["message"]):
        found.append(f"the message was {entry['message']!r}")
    if entry["next"]:
        found.append(f"the next caller: {entry['next']}")
    if mode != UNREAD and case.reused is not None and entry["reused"] != case.reused:
        found.append("the connection was " + ("reused" if entry["reused"] else "not reused"))
    # An engine may repeat a request if a kept connection ended without a single byte.
    silent = mode != NEW and not any(isinstance(step, bytes) for step in case.script)
    if not silent and not case.expected.endswith("Timeout"):
        requests = 0 if case.expected == NOTHING_SENT else 1
        if entry["requests"] != requests:
            found.append(f"{entry['requests']} requests arrived")
    return found


@pytest.mark.parametrize("run", RUNS)
def test_each_case_has_its_outcome(reports: Reports, run: str) -> None:
    """The outcome is the table's, each request arrives once, and the next call gets its own.

    Nor does the event loop report an exception that nobody retrieved, or a forgotten task.
    """
    report = reports[run]
    wrong = {
        play: found
        for play, entry in report["cases"].items()
        if (found := find_faults(*find_case(play), entry))
    }

    assert not wrong, "\n".join(f"{play}: {'; '.join(found)}" for play, found in wrong.items())
    assert [] == report["unexpected"]


def test_the_table_is_true_of_plain_httpx(reports: Reports) -> None:
    """An outcome is plain httpx's, unless the table says what plain httpx does instead."""
    report = reports.play("httpx-on-httpcore", (), ("plain",))
    wrong = []
    for play, entry in report["cases"].items():
        case, mode = find_case(play)
        outcome = shorten(case.plain or case.expected)
        if mode != UNREAD and outcome not in {VARIES, entry["outcome"]}:
            wrong.append(f"{play}: the table says {outcome!r}, it was {entry['outcome']!r}")

    assert not wrong, "\n".join(wrong)


def test_its_types_are_right(reports: Reports) -> None:
    """mypy, as strict as the service's own configuration, finds nothing in this package."""
    done = reports.project("httpx-on-aiohttp").run("mypy", "conformance")

    assert "no issues found" in done.stdout
