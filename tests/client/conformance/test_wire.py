"""Every transport sends the same bytes and has the same outcome for the same response."""

import errno
import os
from typing import Any

import pytest

from . import CASES
from .case import NEW, NOTHING_SENT, UNREAD, VARIES, Case, shorten
from .conftest import Player

ON_AIOHTTP = {"http_library": "httpx", "http_transport": "aiohttp"}
ON_HTTPCORE = {"http_library": "httpx", "http_transport": "httpcore"}
# Each combination, each pool on both loops, and the development mode in which aiohttp's parser,
# which is not used here, is stricter: answers, arguments and flags.
RUNS: dict[str, tuple[dict[str, str], tuple[str, ...], tuple[str, ...]]] = {
    "httpx-on-aiohttp": (ON_AIOHTTP, (), ()),
    "httpx2-on-aiohttp, uvloop": (ON_AIOHTTP | {"http_library": "httpx2"}, ("uvloop",), ()),
    "httpx-on-httpcore, uvloop": (ON_HTTPCORE, ("uvloop",), ()),
    "httpx2-on-httpcore": (ON_HTTPCORE | {"http_library": "httpx2"}, (), ()),
    "httpx-on-aiohttp, development mode": (ON_AIOHTTP, (), ("-X", "dev")),
}
# One message for each exception, whichever transport raises it.
MESSAGES = {
    "ConnectTimeout": "connect timed out",
    "ReadTimeout": "read timed out",
    "WriteTimeout": "write timed out: the upstream stopped reading the request body",
    "ReadError": f"connection broken while reading: {os.strerror(errno.ECONNRESET)}",
    "RemoteProtocolError": "the response was truncated or is not valid HTTP",
}


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
    # A transport may repeat a request if a kept connection ended without a single byte.
    silent = mode != NEW and not any(isinstance(step, bytes) for step in case.script)
    if not silent and not case.expected.endswith("Timeout"):
        requests = 0 if case.expected == NOTHING_SENT else 1
        if entry["requests"] != requests:
            found.append(f"{entry['requests']} requests arrived")
    return found


@pytest.mark.parametrize("run", RUNS)
def test_each_case_has_its_outcome(player: Player, run: str) -> None:
    """The outcome is the table's, each request arrives once, and the next call gets its own.

    The event loop reports no unretrieved exception and no forgotten task.
    """
    answers, arguments, flags = RUNS[run]
    report = player.play(answers, "program", *arguments, flags=flags)
    wrong = {
        play: found
        for play, entry in report["cases"].items()
        if (found := find_faults(*find_case(play), entry))
    }

    assert not wrong, "\n".join(f"{play}: {'; '.join(found)}" for play, found in wrong.items())
    assert report["unexpected"] == []


def test_the_table_is_true_of_plain_httpx(player: Player) -> None:
    """An outcome is plain httpx's, unless the table says what plain httpx does instead."""
    report = player.play(ON_HTTPCORE, "program", "plain")
    wrong = []
    for play, entry in report["cases"].items():
        case, mode = find_case(play)
        outcome = shorten(case.plain or case.expected)
        if mode != UNREAD and outcome not in {VARIES, entry["outcome"]}:
            wrong.append(f"{play}: the table says {outcome!r}, it was {entry['outcome']!r}")

    assert not wrong, "\n".join(wrong)


def test_its_types_are_right(player: Player) -> None:
    """mypy, as strict as the service's own configuration, finds nothing in this package."""
    done = player.project(ON_AIOHTTP).run("mypy", "conformance")

    assert "no issues found" in done.stdout
