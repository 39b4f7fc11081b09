"""Every engine raises the same exception for a fault, and never claims that nothing was sent."""

import json
from typing import Any

import pytest

from support.generated import COMBINATIONS, Generated

NEVER_SENT = {
    "refused": "ConnectError",
    "unknown host": "ConnectError",
    "untrusted certificate": "ConnectError",
    "plain text for TLS": "ConnectError",
    "no room to connect": "ConnectTimeout",
    "silence for TLS": "ConnectTimeout",
}
MAY_HAVE_BEEN_RECEIVED = {
    "/drop": "RemoteProtocolError",
    "/garbage": "RemoteProtocolError",
    "/headers": "RemoteProtocolError",
    "/short": "RemoteProtocolError",
    "/short-of-chunks": "RemoteProtocolError",
    "/not-chunks": "RemoteProtocolError",
    "/garbage-in-body": "RemoteProtocolError",
    "/reset": "ReadError",
    "/reset-in-body": "ReadError",
    "/hang": "ReadTimeout",
    "/silence-in-body": "ReadTimeout",
    "cut on reuse": "RemoteProtocolError",
    "reset while sending": "ReadError",
    "closed at once": "ReadError",
    "closed while sending": "ReadError",
    "body not taken": "WriteTimeout",
}


@pytest.fixture(scope="module")
def reports(every_service: dict[str, Generated]) -> dict[str, Any]:
    """What each engine made of each fault."""
    return {name: service.report("engine_faults.py") for name, service in every_service.items()}


@pytest.mark.parametrize("name", COMBINATIONS)
def test_each_fault_has_its_exception(reports: dict[str, Any], name: str) -> None:
    """Deeper than test_faults.py: the exception of each fault, which decides about a retry."""
    found = {fault: kind for fault, (kind, _) in reports[name]["outcomes"].items()}

    assert NEVER_SENT | MAY_HAVE_BEEN_RECEIVED == found


@pytest.mark.parametrize("name", COMBINATIONS)
def test_an_engine_sends_once(reports: dict[str, Any], name: str) -> None:
    """Deeper than test_repeats.py: the bare engine sends once, or reports that it sent nothing."""
    sent = sorted(fault for fault in MAY_HAVE_BEEN_RECEIVED if fault.startswith("/"))

    assert sent == sorted(reports[name]["seen"])
    assert 0 == reports[name]["requests to the silent"]


@pytest.mark.parametrize("name", COMBINATIONS)
def test_idle_connections_are_probed(reports: dict[str, Any], name: str) -> None:
    """TCP's keep-alive is on, so that a peer that is gone without a word is noticed."""

    assert [True] == reports[name]["keep-alive"]


def test_no_message_holds_a_query(reports: dict[str, Any]) -> None:
    """No message contains a query; aiohttp's own contain whole URLs if a sent body breaks off."""

    assert [] == [
        report for report in reports.values() if "secret" in json.dumps(report["outcomes"])
    ]


def test_the_engines_agree(reports: dict[str, Any]) -> None:
    """The same exceptions with the same messages, whichever engine is chosen."""
    found = {
        fault: {tuple(report["outcomes"][fault]) for report in reports.values()}
        for fault in NEVER_SENT | MAY_HAVE_BEEN_RECEIVED
    }
    # A write that comes after the reset has another message than one that meets it.
    del found["closed while sending"]

    assert {} == {fault: words for fault, words in found.items() if len(words) > 1}
