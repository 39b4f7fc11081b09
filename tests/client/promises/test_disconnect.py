"""Callers who leave end their calls, whatever server runs the service."""

import pytest

from support.generated import Generated


@pytest.mark.parametrize("server", ["h11", "httptools", "hypercorn"])
def test_calls_end_when_callers_leave(service: Generated, server: str) -> None:
    """All kinds of calls end long before their timeouts; a write that is still queued is not sent.

    An owner's middleware is in between, and nothing logs a traceback.
    """
    report = service.report("leaving.py", server)

    assert report.pop("tracebacks") == []
    assert report.pop("written") == ["/drip"]
    assert report == {
        "/external": 499,
        "/queued": 499,
        "/concurrent": 499,
        "/streamed": 499,
        "/relayed": 200,
        "/unread": 499,
    }
