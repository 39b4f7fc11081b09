"""Cancelled calls leave nothing behind."""

import pytest

from support.generated import Generated

PHASES = ("waiting", "connecting", "TLS handshake", "headers", "body")


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_a_thousand_cancellations_lose_nothing(service: Generated, loop: str) -> None:
    """After a thousand single and double cancellations in any phase, every slot works again."""
    report = service.report("cancellations.py", loop)
    cancelled = report["cancelled"]

    assert 60 < cancelled.pop("any turn")
    assert dict.fromkeys(PHASES, 180) | {"sending": 20} == cancelled
    assert ([], 0) == (report["tasks"], report["descriptors"])
