"""Callers who leave take nothing with them."""

import pytest

from support.generated import Generated

PHASES = ("waiting", "connecting", "TLS handshake", "headers", "body")


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_a_thousand_cancellations_lose_nothing(service: Generated, loop: str) -> None:
    """Cancelled once or twice, in any phase: every place works again, at once."""
    report = service.report("cancellations.py", loop)
    cancelled = report["cancelled"]

    assert 60 < cancelled.pop("any turn")
    assert dict.fromkeys(PHASES, 180) | {"sending": 20} == cancelled
    assert ([], 0) == (report["tasks"], report["descriptors"])
