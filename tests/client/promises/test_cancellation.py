"""Callers who leave keep no slot, connection or task."""

import pytest

from support.generated import EACH_ONCE, Generated
from support.rendering import Bake

HTTP2 = {
    f"{library}-http2": {"http_library": library, "http_transport": "httpcore", "http2": True}
    for library in ("httpx", "httpx2")
}
PHASES = ("waiting", "connecting", "TLS handshake", "headers", "body")


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_a_thousand_cancellations_lose_nothing(service: Generated, loop: str) -> None:
    """After calls were cancelled once or twice, in any phase, every slot works immediately."""
    report = service.report("cancellations.py", loop)
    cancelled = report["cancelled"]

    assert cancelled.pop("any turn") > 60
    assert cancelled == dict.fromkeys(PHASES, 180) | {"sending": 20}
    assert (report["tasks"], report["descriptors"]) == ([], 0)


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
@pytest.mark.parametrize("combination", [*EACH_ONCE, *HTTP2])
def test_no_connection_is_forgotten(bake: Bake, combination: str, loop: str) -> None:
    """A call that leaves while connecting harms no other, and the pool closes all connections."""
    answers = (EACH_ONCE | HTTP2)[combination]
    report = Generated(bake(upstreams="", **answers)).report("shared_connection.py", loop)

    assert report["calls leave"] == {"forgotten": 0, "failures": []}
    assert report["client closes"] == {"forgotten": 0}
