"""A name that moves is called at its new address, even while the old one still answers."""

from collections.abc import Callable
from typing import Any

import pytest

from support.generated import EACH_ONCE

HTTP2 = {"http_library": "httpx2", "http_transport": "httpcore", "http2": True}


@pytest.fixture(scope="module", params=[*EACH_ONCE, "http2"])
def report(request: pytest.FixtureRequest, report_once: Callable[..., Any]) -> Any:
    return report_once("moving_names.py", **EACH_ONCE.get(request.param, HTTP2))


def test_busy_connections_move(report: Any) -> None:
    """Within DNS_TTL_S, here 1 s, all calls go to the new address, and none fails."""
    found = report["moves_while_busy"]

    assert found["failures"] == []
    assert found["new"] > 0
    assert found["after_s"] < 1.5
    assert found["look_ups"] <= 12


def test_calls_after_a_pause_move(report: Any) -> None:
    """After the TTL no call, of many together, uses the old address; one in flight ends there."""
    found = report["moves_while_idle"]

    assert (found["failures"], found["stale"], found["old"], found["new"]) == ([], 0, 2, 21)


def test_refusal_looks_up_again(report: Any) -> None:
    """The attempt after a refused connection uses the new address, however long the TTL is."""
    found = report["moves_and_refuses"]

    assert (len(found["failures"]), found["new"]) == (1, 1)


def test_alternating_answers_keep_the_connection(report: Any) -> None:
    """1,000 calls use one connection while each answer has another one of two addresses."""
    found = report["alternates"]

    assert (found["failures"], found["connections"]) == ([], 1)
    assert found["look_ups"] >= 3


def test_calls_work_while_dns_is_down(report: Any) -> None:
    """Kept connections stay in use, and new ones are opened to the address that is known."""
    found = report["dns_is_down"]

    assert (found["failures"], found["kept"], found["old"]) == ([], 1, 61)


def test_connections_share_a_look_up(report: Any) -> None:
    """100 concurrent calls look the name up once, and a caller who leaves harms no other."""
    found = report["connections_share_a_look_up"]

    assert (found["failures"], found["look_ups"]) == ([], 1)
    assert found["old"] >= 99


def test_look_ups_end_with_the_client(report: Any) -> None:
    """A client that closes during a look-up ends the call that waits for it."""
    assert report["closes_during_a_look_up"] == {"tasks": 0, "done": True}
