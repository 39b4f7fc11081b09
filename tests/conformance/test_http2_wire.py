"""With ``http2=true``, HTTP/2 exchanges have the table's outcomes with both client libraries."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from conftest import Bake, Project
from loopback import clean_environment

from .case import VARIES, shorten
from .http2_case import HTTP2Case
from .http2_cases import HTTP2_CASES

HERE = Path(__file__).parent
LIBRARIES = ("httpx", "httpx2")


class Reports(dict[tuple[str, ...], Any]):
    """The report of each library's project and of each library alone, made when first asked for."""

    def __init__(self, bake: Bake) -> None:
        super().__init__()
        self._bake = bake
        self._projects: dict[str, Project] = {}

    def __missing__(self, run: tuple[str, ...]) -> Any:
        library, *arguments = run
        done = subprocess.run(
            [sys.executable, "-W", "error", "-m", "conformance.http2_program", *arguments],
            cwd=self.project(library).path,
            env=clean_environment() | {"PYTHONPATH": "src"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert done.stderr == ""
        self[run] = json.loads(done.stdout)
        return self[run]

    def project(self, library: str) -> Project:
        """A service with this package inside."""
        if library not in self._projects:
            project = self._bake(
                upstreams="", http_library=library, http_transport="httpcore", http2=True
            )
            inside = project.path / HERE.name
            shutil.copytree(HERE, inside, ignore=shutil.ignore_patterns("test_*", "__pycache__"))
            if library == "httpx2":
                for program in inside.glob("*program.py"):
                    text = program.read_text(encoding="utf-8")
                    program.write_text(text.replace("import httpx\n", "import httpx2 as httpx\n"))
            self._projects[library] = project
        return self._projects[library]


@pytest.fixture(scope="module")
def reports(bake: Bake) -> Reports:
    """The report of each run."""
    return Reports(bake)


def case_of(play: str) -> HTTP2Case:
    """The case that a report's key names."""
    return HTTP2_CASES[play.rpartition(": ")[0]]


def faults(case: HTTP2Case, entry: dict[str, Any]) -> list[str]:
    """What is not as the case says, if anything."""
    found = []
    if entry["outcome"] != shorten(case.expected):
        message = f" ({entry['message']})" if entry["message"] else ""
        found.append(f"expected {shorten(case.expected)!r}, got {entry['outcome']!r}{message}")
    if entry["next"]:
        found.append(f"the next caller: {entry['next']}")
    if case.reused is not None and entry["reused"] != case.reused:
        found.append("the connection was " + ("reused" if entry["reused"] else "not reused"))
    if case.requests is not None and entry["requests"] != case.requests:
        found.append(f"{entry['requests']} requests arrived")
    return found


@pytest.mark.parametrize("library", LIBRARIES)
def test_each_exchange_has_its_outcome(reports: Reports, library: str) -> None:
    """The outcome is the table's, and the next calls on the client get their own answers."""
    entries = reports[library,]["cases"].items()
    wrong = {play: found for play, entry in entries if (found := faults(case_of(play), entry))}

    assert not wrong, "\n".join(f"{play}: {'; '.join(found)}" for play, found in wrong.items())


@pytest.mark.parametrize("library", LIBRARIES)
def test_nothing_is_left_behind(reports: Reports, library: str) -> None:
    """The event loop reports no exception that nobody retrieved and no forgotten task."""

    assert [] == reports[library,]["unexpected"]


def blame_server(outcome: str) -> str:
    """Name what httpcore reports as the caller's error (500) though the server made it (502)."""
    return outcome.replace("LocalProtocolError, partly sent", "RemoteProtocolError")


@pytest.mark.parametrize("library", LIBRARIES)
def test_the_table_is_true_of_plain_httpx(reports: Reports, library: str) -> None:
    """An outcome is plain httpx's, unless the table says what plain httpx does instead."""
    wrong = []
    for play, entry in reports[library, "plain"]["cases"].items():
        case = case_of(play)
        outcome = shorten(case.plain or case.expected)
        if outcome not in {VARIES, blame_server(entry["outcome"])}:
            wrong.append(f"{play}: the table says {outcome!r}, it was {entry['outcome']!r}")

    assert not wrong, "\n".join(wrong)
