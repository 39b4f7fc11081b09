"""Every transport reports a fault by the same exception, by which retries are decided."""

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
    "TLS handshake hangs": "ConnectTimeout",
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
    "/hang-in-body": "ReadTimeout",
    "cut on reuse": "StaleConnection",
    "reset while sending": "ReadError",
    "closed at once": "ReadError",
    "closed while sending": "ReadError",
    "body not taken": "WriteTimeout",
}


@pytest.fixture(scope="module")
def reports(every_service: dict[str, Generated]) -> dict[str, Any]:
    """The report of each transport on each fault."""
    return {name: service.report("transport_faults.py") for name, service in every_service.items()}


@pytest.mark.parametrize("name", COMBINATIONS)
def test_each_fault_has_its_exception(reports: dict[str, Any], name: str) -> None:
    """Deeper than test_faults.py: the exception of each fault, which decides about a retry."""
    kinds = {fault: kind for fault, (kind, _) in reports[name]["outcomes"].items()}

    assert kinds == NEVER_SENT | MAY_HAVE_BEEN_RECEIVED


@pytest.mark.parametrize("name", COMBINATIONS)
def test_a_transport_sends_once(reports: dict[str, Any], name: str) -> None:
    """Deeper than test_repeats.py: a bare transport sends once, or reports that it sent nothing."""
    sent = sorted(fault for fault in MAY_HAVE_BEEN_RECEIVED if fault.startswith("/"))

    assert sorted(reports[name]["seen"]) == sent
    assert reports[name]["requests to the silent"] == 0


@pytest.mark.parametrize("name", COMBINATIONS)
def test_idle_connections_are_probed(reports: dict[str, Any], name: str) -> None:
    """TCP keep-alive is on, so that the kernel detects a peer that vanished."""
    assert reports[name]["keep-alive"] == [True]


def test_no_message_contains_a_query(reports: dict[str, Any]) -> None:
    """Messages contain no URL; aiohttp's own do when a connection breaks while sending a body."""
    assert [
        report for report in reports.values() if "secret" in json.dumps(report["outcomes"])
    ] == []


def test_transports_agree(reports: dict[str, Any]) -> None:
    """Exceptions and their messages are the same on every transport."""
    reported = {
        fault: {tuple(report["outcomes"][fault]) for report in reports.values()}
        for fault in NEVER_SENT | MAY_HAVE_BEEN_RECEIVED
    }
    # The message depends on whether the write comes before or after the reset.
    del reported["closed while sending"]

    assert {fault: texts for fault, texts in reported.items() if len(texts) > 1} == {}


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_a_response_before_its_request_was_read(service: Generated, loop: str) -> None:
    """A body reaches the server whole, though the connection closes after it."""
    assert service.report("early_response.py", loop) == [[201, 0], [201, 0]]
