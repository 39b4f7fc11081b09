"""The cache: RFC 9111's rules, one request for many calls, and a real Redis that may go away."""

import asyncio
import json
import signal
from typing import Any

import httpx
import pytest

from support.generated import EACH_ONCE, Generated
from support.loopback import HOST
from support.redis import PASSWORD, Redis
from support.rendering import Bake
from support.service import Service

pytestmark = pytest.mark.anyio

# RFC 9111 by section (others are named): what the first response and the first request contain,
# seconds until the second request and what it contains, and what becomes of that one. C is the
# value of Cache-Control.
LONG = {"C": "max-age=600"}
MINUTE = {"C": "max-age=60"}
TAGGED = {"ETag": '"1"'}
DATED = {"Last-Modified": "{-9999999}"}
BY_TAG = "validated if-none-match"
BY_DATE = "validated if-modified-since"
Headers = dict[str, str]
RULES: list[tuple[str, Headers, Headers, float, Headers, str]] = [
    ("3 no-store", {"C": "no-store, max-age=60"}, {}, 0, {}, "fetched"),
    ("3 nothing explicit", {}, {}, 0, {}, "fetched"),
    ("3 private", {"C": "private, max-age=60"}, {}, 1, {}, "reused 1"),
    ("3.5 Authorization", LONG, {"Authorization": "a"}, 0, {}, "fetched"),
    ("3.5 the same", LONG, {"Authorization": "a"}, 1, {"Authorization": "a"}, "reused 1"),
    ("4.1 Vary: *", LONG | {"Vary": "*"}, {}, 0, {}, "fetched"),
    ("4.1 differs", LONG | {"Vary": "Accept"}, {"Accept": "a"}, 0, {"Accept": "b"}, "fetched"),
    ("4.1 matches", LONG | {"Vary": "Accept"}, {"Accept": "a"}, 1, {"Accept": "a"}, "reused 1"),
    ("4.1 an id", LONG | {"Vary": "a, x-request-id"}, {}, 0, {}, "fetched"),
    ("4.2 fresh", MINUTE, {}, 59, {}, "reused 59"),
    ("4.2 stale", MINUTE, {}, 60, {}, "fetched"),
    ("4.2.1 before Expires", LONG | {"Expires": "{-60}"}, {}, 1, {}, "reused 1"),
    ("4.2.1 Expires", {"Expires": "{+60}", "Date": "{+0}"}, {}, 59, {}, "reused 59"),
    ("4.2.1 expired", {"Expires": "{+60}", "Date": "{+0}"}, {}, 60, {}, "fetched"),
    ("4.2.1 without Date", {"Expires": "{+60}"}, {}, 59, {}, "reused 59"),
    ("4.2.1 the first counts", {"C": "max-age=9, max-age=60"}, {}, 10, {}, "fetched"),
    ("4.2.1 invalid", {"C": "max-age=oops"}, {}, 0, {}, "fetched"),
    ("4.2.1 negative", {"C": "max-age=-60"}, {}, 0, {}, "fetched"),
    ("4.2.1 huge", {"C": "max-age=99999999999999999999"}, {}, 9, {}, "reused 9"),
    ("4.2.1 for shared caches", {"C": "s-maxage=60"}, {}, 0, {}, "fetched"),
    ("4.2.2 no heuristics", DATED, {}, 0, {}, BY_DATE),
    ("4.2.3 Age", MINUTE | {"Age": "50"}, {}, 9, {}, "reused 59"),
    ("4.2.3 Age, stale", MINUTE | {"Age": "50"}, {}, 10, {}, "fetched"),
    ("4.2.3 Date", MINUTE | {"Date": "{-50}"}, {}, 9, {}, "reused 59"),
    ("4.2.3 Date, stale", MINUTE | {"Date": "{-50}"}, {}, 10, {}, "fetched"),
    ("4.2.3 Date ahead", MINUTE | {"Date": "{+50}"}, {}, 59, {}, "reused 59"),
    ("4.3.1 ETag", {"C": "max-age=0"} | TAGGED, {}, 0, {}, BY_TAG),
    ("4.3.1 both", TAGGED | DATED, {}, 0, {}, f"{BY_DATE} if-none-match"),
    ("5.2 case", {"C": "MAX-AGE=60"}, {}, 59, {}, "reused 59"),
    ("5.2 quoted", {"C": 'max-age="60"'}, {}, 59, {}, "reused 59"),
    ("5.2.1.1 max-age", LONG, {}, 10, {"C": "max-age=10"}, "fetched"),
    ("5.2.1.1 younger", LONG, {}, 9, {"C": "max-age=10"}, "reused 9"),
    ("5.2.1.3 min-fresh", LONG, {}, 500, {"C": "min-fresh=100"}, "fetched"),
    ("5.2.1.3 enough", LONG, {}, 499, {"C": "min-fresh=100"}, "reused 499"),
    ("5.2.1.4 no-cache", LONG, {}, 0, {"C": "no-cache"}, "fetched"),
    ("5.2.1.4 with ETag", LONG | TAGGED, {}, 0, {"C": "no-cache"}, BY_TAG),
    ("5.2.1.5 no-store", LONG, {"C": "no-store"}, 0, {}, "fetched"),
    ("5.2.1.7 only-if-cached", LONG, {}, 1, {"C": "only-if-cached"}, "reused 1"),
    ("5.2.1.7 stale", LONG, {}, 600, {"C": "only-if-cached"}, "504"),
    ("5.2.2.4 no-cache", {"C": "no-cache, max-age=60"} | TAGGED, {}, 0, {}, BY_TAG),
    ("5.2.2.4 of a field", {"C": 'max-age=60, no-cache="A"'}, {}, 0, {}, "fetched"),
    ("5.2.3 extension", {"C": 'a="no-store, max-age=1", max-age=60'}, {}, 59, {}, "reused 59"),
    ("5.3 invalid Expires", {"Expires": "0"}, {}, 0, {}, "fetched"),
    ("5.4 Pragma", LONG, {}, 0, {"Pragma": "no-cache"}, "fetched"),
    ("7.3 Set-Cookie", LONG | {"Set-Cookie": "a=b"}, {}, 0, {}, "fetched"),
    ("9110, 13", LONG, {"If-Match": '"1"'}, 0, {"If-Match": '"1"'}, "validated if-match"),
    ("9110, 14.2", LONG, {"Range": "bytes=0-1"}, 0, {"Range": "bytes=0-1"}, "fetched"),
]


@pytest.fixture(scope="session")
def cached(bake: Bake) -> dict[str, Generated]:
    """The service with a cache, on each client library and connection pool."""
    features = "retry, circuit_breaker, cache"
    return {
        name: Generated(bake(upstreams="", features=features, **answers))
        for name, answers in EACH_ONCE.items()
    }


@pytest.fixture(params=EACH_ONCE)
def service(request: pytest.FixtureRequest, cached: dict[str, Generated]) -> Generated:
    return cached[request.param]


def run(service: Generated, scenario: str, redis: Redis | None = None) -> Any:
    """Return what a scenario saw; its event loop had nothing to complain of."""
    settings = {"shared_state_url": redis.url} if redis else {}
    report = service.report("caching.py", scenario, json.dumps(settings))
    assert report["problems"] == []
    return report["saw"]


def test_rules(service: Generated) -> None:
    """Responses are stored, reused and validated as RFC 9111 says for a private cache."""
    rows = [[200, *row[1:5]] for row in RULES]
    outcomes = service.report("cache_rules.py", json.dumps(rows))

    assert dict(zip([row[0] for row in RULES], outcomes, strict=True)) == {
        row[0]: row[5] for row in RULES
    }


def test_statuses(service: Generated) -> None:
    """Only responses that are good for later calls are stored, even if they are fresh."""
    statuses = [200, 201, 206, 302, 304, 403, 404, 410, 500, 503]
    rows = [[status, MINUTE, {}, 1, {}] for status in statuses]
    outcomes = service.report("cache_rules.py", json.dumps(rows))

    assert [
        status for status, outcome in zip(statuses, outcomes, strict=True) if outcome == "reused 1"
    ] == [200, 302, 404, 410]


@pytest.mark.parametrize("with_redis", [False, True])
def test_identical_calls_are_one_request(
    service: Generated, redis: Redis, with_redis: bool
) -> None:
    """100 concurrent calls are 1 request in 1 slot; callers who leave harm no other."""
    saw = run(service, "hundred", redis if with_redis else None)

    assert saw == [{"CancelledError": 10, "Response": 90}, 1, 1, 1]


def test_a_late_response_is_shared(service: Generated) -> None:
    """Those who waited share it, even if it expired on its way; later calls validate it."""
    assert run(service, "late") == ["GET /late", "GET /late if valid"]


def test_an_error_reaches_all_who_wait(service: Generated) -> None:
    """Each has an exception of its own, with its own request; the next call asks again."""
    assert run(service, "errors") == [50, 50, 1, 2]


def test_what_is_for_one_call_delays_no_other(service: Generated) -> None:
    """Calls wait once for a response that cannot be shared, and then not for each other."""
    bodies, requests, first_s, second_s = run(service, "unshared")

    assert (bodies, requests) == (40, 40)
    assert first_s < 1.5
    assert second_s < 0.8 * first_s


def test_bounds_of_a_call_are_its_own(service: Generated) -> None:
    """A call with a short timeout fails alone, and is answered if the response is stored."""
    assert run(service, "bounds") == ["DeadlineExceeded", "Response", "ReadTimeout", 200, 3]


def test_calls_with_little_time_left_share_nothing(service: Generated) -> None:
    """Otherwise the deadline of a redirected call would end those that have all their time."""
    status, seen = run(service, "redirected")
    assert (status, seen.count("GET /slow")) == (200, 2)


def test_cancelled_groups_leave_nothing(service: Generated) -> None:
    """1000 calls in groups, cancelled once or twice at any turn: no slot and no task is lost."""
    assert run(service, "leaving") == [0, [200] * 3, 0]


def test_closing_waits(service: Generated) -> None:
    """Calls that wait for one response receive it, although the clients close meanwhile."""
    assert run(service, "draining") == [200] * 5


def test_an_open_breaker_leaves_the_last_response(service: Generated) -> None:
    """It is served with its age, unless it says must-revalidate; nothing is sent."""
    saw = ["open", True, True, 200, *["CircuitOpen"] * 3, 0]
    assert run(service, "outage") == saw


def test_a_hit_needs_no_slot(service: Generated) -> None:
    """It is served while all slots are busy."""
    assert run(service, "busy") == 200


def test_a_read_before_a_write_is_not_kept(service: Generated, redis: Redis) -> None:
    """A response from before a write answers only the call that asked for it."""
    for shared in (None, redis):
        assert run(service, "write_during_a_read", shared) == ["/slow 2", "/slow 3", "/slow 3"]


def test_clients_share_through_redis(service: Generated, redis: Redis) -> None:
    """One's response answers the other, and one's write invalidates it for both."""
    assert run(service, "writes", redis) == ["/document 1"] * 2 + ["/document 3"] * 3
    keys = redis.ask("keys", "*")
    assert all(key.startswith("my_service:cache:up:") for key in keys)
    assert all(int(redis.ask("pttl", key)[0]) > 0 for key in keys)


def test_a_shared_request_belongs_to_no_caller(service: Generated) -> None:
    """It runs in a context of its own: nothing that it does is cancelled or logged for a caller."""
    assert run(service, "context") == [None]


def test_a_write_leaves_little_in_redis(cached: dict[str, Generated], redis: Redis) -> None:
    """What was never stored is remembered only as long as a read may take."""
    assert run(cached["httpx-on-aiohttp"], "written", redis) == 200
    (key,) = redis.ask("keys", "*")
    assert 0 < int(redis.ask("pttl", key)[0]) <= 600_000


def test_other_credentials_find_nothing(service: Generated, redis: Redis) -> None:
    """Deployments with other settings or certificates do not share, even if they use one Redis."""
    saw = run(service, "identities", redis)
    assert saw == ["/document 1", "/document 2", "/document 3", "/document 4"]


def test_a_corrupt_entry_is_a_miss(service: Generated, redis: Redis) -> None:
    """Whatever Redis holds, the caller gets a response of the upstream, and it is stored again."""
    saw = run(service, "spoiled", redis)
    assert saw == [[f"/document {number}"] * 2 for number in range(1, 7)]


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "hanging"])
async def test_processes_share_until_redis_goes(
    cached: dict[str, Generated], redis: Redis, how: signal.Signals
) -> None:
    """Two processes make one request; without Redis each asks the upstream, and no call fails."""
    service = cached["httpx-on-aiohttp"]
    async with service.Upstream() as upstream, httpx.AsyncClient(timeout=30) as caller:
        settings = {
            "shared_state_url": redis.url,
            "http__cache_max_bytes": 1_000_000,
            "upstreams__up__base_url": upstream.url,
        }

        async def call(process: Service) -> int:
            params = {"url": f"{upstream.url}/?cache-control=max-age=600"}
            url = f"http://{HOST}:{process.port}/external"
            return (await caller.get(url, params=params)).status_code

        with service.start(**settings) as one, service.start(**settings) as two:
            shared = [await call(process) for process in (one, two, one, two)]
            seen = len(upstream.seen)
            redis.send(how)
            alone = await asyncio.gather(*(call(process) for process in (one, two) * 20))
            await asyncio.to_thread(one.stop)
            await asyncio.to_thread(two.stop)

    assert (set(shared), seen, set(alone)) == ({200}, 1, {200})
    results = [event["cache"] for event in two.events if event["message"] == "upstream call"]
    assert results[:2] == ["hit", "hit"]
    assert set(results[2:]) <= {"miss", "shared"}
    assert not any(PASSWORD in line for process in (one, two) for line in process.out)
