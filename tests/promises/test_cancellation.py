"""Callers who leave take nothing with them."""

import pytest

from .conftest import Generated

PHASES = {"waiting", "connecting", "TLS handshake", "sending", "headers", "body"}


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_a_thousand_cancellations_lose_nothing(service: Generated, loop: str) -> None:
    """Cancelled once or twice, in any phase: every place works again, at once."""
    report = service.report("cancellations.py", loop)
    at_any_turn = report["cancelled"].pop("any turn")

    assert dict.fromkeys(PHASES, 160) == report["cancelled"]
    assert 1000 < 6 * 160 + at_any_turn
    assert ([], 0) == (report["tasks"], report["descriptors"])
