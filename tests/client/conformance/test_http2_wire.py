"""With ``http2=true``, HTTP/2 exchanges have the table's outcomes with both client libraries."""

from typing import Any

import pytest

from .case import VARIES, shorten
from .conftest import Player
from .http2_case import HTTP2Case
from .http2_cases import HTTP2_CASES

LIBRARIES = ("httpx", "httpx2")


def play(player: Player, library: str, *arguments: str) -> Any:
    """The report of a run with this client library."""
    answers = {"http_library": library, "http_transport": "httpcore", "http2": True}
    return player.play(answers, "http2_program", *arguments)


def case_of(name: str) -> HTTP2Case:
    """The case that a report's key names."""
    return HTTP2_CASES[name.rpartition(": ")[0]]


def faults(case: HTTP2Case, entry: dict[str, Any]) -> list[str]:
    """Describe the differences from the case."""
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
def test_each_exchange_has_its_outcome(player: Player, library: str) -> None:
    """The outcome is the table's, and the next calls on the client get their own answers.

    The event loop reports no unretrieved exception and no forgotten task.
    """
    report = play(player, library)
    entries = report["cases"].items()
    wrong = {name: found for name, entry in entries if (found := faults(case_of(name), entry))}

    assert not wrong, "\n".join(f"{name}: {'; '.join(found)}" for name, found in wrong.items())
    assert report["unexpected"] == []


def blame_server(outcome: str) -> str:
    """Name what httpcore reports as the caller's error (500) though the server made it (502)."""
    return outcome.replace("LocalProtocolError, partly sent", "RemoteProtocolError")


@pytest.mark.parametrize("library", LIBRARIES)
def test_the_table_is_true_of_plain_httpx(player: Player, library: str) -> None:
    """An outcome is plain httpx's, unless the table says what plain httpx does instead."""
    wrong = []
    for name, entry in play(player, library, "plain")["cases"].items():
        case = case_of(name)
        outcome = shorten(case.plain or case.expected)
        if outcome not in {VARIES, blame_server(entry["outcome"])}:
            wrong.append(f"{name}: the table says {outcome!r}, it was {entry['outcome']!r}")

    assert not wrong, "\n".join(wrong)
