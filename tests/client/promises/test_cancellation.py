"""Callers who leave keep no slot, connection or task."""

import pytest

from support.generated import Generated

PHASES = ("waiting", "connecting", "TLS handshake", "headers", "body")


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_a_thousand_cancellations_lose_nothing(service: Generated, loop: str) -> None:
    """After calls were cancelled once or twice, in any phase, every slot works immediately."""
    report = service.report("cancellations.py", loop)
    cancelled = report["cancelled"]

    assert cancelled.pop("any turn") > 60
    assert cancelled == dict.fromkeys(PHASES, 180) | {"sending": 20}
    assert (report["tasks"], report["descriptors"]) == ([], 0)
