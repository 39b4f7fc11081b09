"""Every engine tells a fault in the same words, and never that nothing was sent when it was."""

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
    told = {fault: kind for fault, (kind, _) in reports[name]["told"].items()}

    assert NEVER_SENT | MAY_HAVE_BEEN_RECEIVED == told


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
    """aiohttp's own tell whole URLs when the connection breaks while a body is sent."""

    assert [] == [report for report in reports.values() if "secret" in json.dumps(report["told"])]


def test_the_engines_agree(reports: dict[str, Any]) -> None:
    """The same exceptions with the same messages, whichever engine is chosen."""
    told = {
        fault: {tuple(report["told"][fault]) for report in reports.values()}
        for fault in NEVER_SENT | MAY_HAVE_BEEN_RECEIVED
    }
    # A write that comes after the reset is told in other words than one that meets it.
    del told["closed while sending"]

    assert {} == {fault: words for fault, words in told.items() if len(words) > 1}
