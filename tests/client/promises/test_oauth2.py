"""Access tokens: one request for all calls, renewed in time, and no secret anywhere else."""

from typing import Any

import pytest

from support.generated import EACH_ONCE, Generated
from support.rendering import Bake

SLOW = {"endless", "hang", "drip"}


@pytest.fixture(scope="module", params=EACH_ONCE)
def protected(request: pytest.FixtureRequest, bake: Bake) -> Generated:
    """The service with OAuth2 on each client library and connection pool."""
    features = "retry, circuit_breaker, rate_limit, oauth2"
    return Generated(bake(upstreams="", features=features, **EACH_ONCE[request.param]))


def observe(protected: Generated, *scenarios: str, loop: str = "uvloop") -> Any:
    """Run scenarios of programs/tokens.py, none of which may log or raise a secret."""
    report = protected.report("tokens.py", loop, *scenarios)
    assert (report["secrets"], report["unhandled"]) == ([], [])
    return report


def test_one_request_for_all_calls(protected: Generated) -> None:
    """500 first calls make one token request; upstreams have tokens of their own."""
    report = observe(protected, "first_calls", "separate", "odd_lifetimes", "replaced")

    assert report["first_calls"] == {"statuses": {"200": 500}, "requests": 1}
    assert report["separate"] == {"statuses": {"200": 100}, "requests": [1, 1]}
    assert set(report["odd_lifetimes"]) == {1}
    assert report["replaced"] == {
        "hosts": ["login.example", "up.example"],
        "given": ["None", "https://login.example/", "https://up.example/"],
    }


def test_renewal_before_the_end(protected: Generated) -> None:
    """Tokens that live a second fail no call; nor does an endpoint that fails to renew one."""
    report = observe(protected, "ahead", "failing_ahead")

    assert report["ahead"] == {"failed": 0, "renewed": True}
    assert report["failing_ahead"] == {"statuses": {"200": 100}, "few requests": True}


def test_renewal_after_a_401(protected: Generated) -> None:
    """100 rejected POSTs renew the token once, and each is sent once more."""
    report = observe(protected, "rejected", "broken_renewal")

    assert report["rejected"] == {
        "statuses": {"200": 100},
        "tokens": 2,
        "no repeat": [401, 200],
        "endless": 200,
    }
    assert report["broken_renewal"] == {"failed": ["TokenUnavailable", 502], "after": 200}


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_a_thousand_cancellations(protected: Generated, loop: str) -> None:
    """Cancelled calls fail no other call, and closing leaves no task."""
    report = observe(protected, "cancelled", loop=loop)

    assert report["cancelled"] == {
        "done": {"cancelled": 1000, "200": 100},
        "issued": 50,
        "in_flight": 0,
        "left": 0,
    }


def test_the_caller_who_fetches_the_token_disconnects(protected: Generated) -> None:
    """The token request ends with no caller, and the others get the token."""
    report = observe(protected, "leaving")

    assert report["leaving"] == {"other": [200], "requests": 1, "request ids": [False]}


def test_every_fault_of_the_token_endpoint(protected: Generated) -> None:
    """Without a token nothing is sent; the exception names the endpoint. Its breaker is its own."""
    report = observe(protected, "faults", "breaker")
    found = report["faults"].pop("found")

    assert len(found) == 26
    assert found == {
        path: ["TokenUnavailable", 504 if path in SLOW else 502, True, True] for path in found
    }
    assert report["faults"] == {"sent": 0}
    assert report["breaker"] == {
        "status": [502, 503],
        "retry_after_s": 5,
        "breaker": "closed",
        "requests": 2,
        "own": 401,
    }


def test_credentials_go_to_their_own_origins(protected: Generated) -> None:
    """The token goes to the upstream only, the upstream's headers not to the token endpoint."""
    report = observe(protected, "origins", "service")

    assert report["origins"] == {
        "statuses": [200, 200],
        "tokens": True,
        "stranger": "URLNotAllowed",
        "endpoint got": [False],
    }
    assert report["service"] == {
        "sizes": [1000, 1000],
        "ready": "valid",
        "foreign": 400,
        "failed": [502, "up", "urn:problem-type:token-unavailable"],
        "reason": True,
        "requests": 3,
    }
