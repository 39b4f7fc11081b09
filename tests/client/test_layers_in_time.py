"""The layers' promises about time and counts, each alone on a virtual clock.

test_state_machines.py checks for any schedule what must never happen; these tests check for chosen
schedules how long and how often.
"""

import asyncio
import importlib
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from itertools import pairwise
from typing import Any

import httpx
import pytest

from support.rendering import Bake
from support.scripted_engine import Answer, Call, ScriptedEngine
from support.virtual_time import VirtualTimeLoop

HOUR = timedelta(hours=1)


class Client:
    """A managed client on a scripted engine, with no short limits but the chosen ones."""

    def __init__(
        self, clients: Any, loop: VirtualTimeLoop, name: str | None = "upstream", **chosen: Any
    ) -> None:
        plain = {
            "attempt_timeout_s": None,
            "total_timeout_s": 10_000,
            "breaker_failure_ratio": None,
        }
        settings = clients.UpstreamSettings(base_url="http://upstream.invalid", **plain | chosen)
        self._loop = loop
        self.engine = ScriptedEngine(httpx, settings.max_connections, settings.max_attempts)
        self.managed = loop.run_until_complete(self._build(clients, name, settings))

    async def _build(self, clients: Any, name: str | None, settings: Any) -> Any:
        return clients.build(name, settings, self.engine)

    def begin(self, *answers: Answer, method: str = "GET", **own: Any) -> asyncio.Task[Any]:
        """Begin a call; it takes its first step when the loop runs next."""
        call = Call(len(self.engine.calls), answers)
        self.engine.calls.append(call)
        return self._loop.create_task(self.managed.client.request(method, f"/{call.number}", **own))

    def end(self, *tasks: asyncio.Task[Any]) -> list[Any]:
        """Let calls end: the response of each, or what it raised."""
        return self._loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))

    def call(self, *answers: Answer, method: str = "GET") -> Call:
        """Make a call, whatever comes of it."""
        self.end(self.begin(*answers, method=method))
        return self.engine.calls[-1]


def waits_s(call: Call) -> list[float]:
    """How long a call waited before each of its retries."""
    return [later - earlier for earlier, later in pairwise(call.begun)]


def header(said: str | timedelta) -> str:
    """A ``Retry-After``: the date that is so far from now, or as it is, in an hour's form."""
    if isinstance(said, timedelta):
        return format_datetime(datetime.now(UTC) + said, usegmt=True)
    return (datetime.now(UTC) + HOUR).strftime(said)


@pytest.fixture(scope="module")
def clients(bake: Bake) -> Iterator[Any]:
    """A service's own module that builds the clients, imported into this process."""
    project = bake(package_name="run_by_virtual_time")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(project.path / "src")
        yield importlib.import_module("run_by_virtual_time.http_client.clients")


@pytest.fixture
def loop() -> Iterator[VirtualTimeLoop]:
    loop = VirtualTimeLoop()
    yield loop
    loop.advance(100)  # what a test has left ends
    loop.close()


def test_waits_are_random_below_a_bound_that_doubles(clients: Any, loop: VirtualTimeLoop) -> None:
    """Waits are spread over all of 0 to BACKOFF_BASE_S, then to twice that, to BACKOFF_MAX_S."""
    bounds_s = (0.5, 1, 2, 2)
    # Of a hundred waits, one quarter stays without any once in 10**11 runs.
    calls = [
        Client(clients, loop, max_attempts=5, backoff_base_s=0.5, backoff_max_s=2).call(Answer(503))
        for _ in range(100)
    ]

    quarters = [
        {int(4 * wait_s / bound_s) for wait_s in waits}
        for bound_s, *waits in zip(bounds_s, *map(waits_s, calls), strict=True)
    ]
    assert [{0, 1, 2, 3}] * 4 == quarters


@pytest.mark.parametrize(
    ("said", "expected_s"),
    [
        pytest.param("1800", 1800, id="a number"),
        pytest.param(HOUR, 3600, id="a date"),
        pytest.param(-HOUR, 0, id="a date that is past"),
        pytest.param("%a %b %d %H:%M:%S %Y", 3600, id="a date as C's asctime writes it"),
        pytest.param("soon", 0, id="nonsense"),
        pytest.param("-1800", 0, id="a negative number"),
        pytest.param(f"Mon, 01 Jan 2029 00:00:00 +{'9' * 20}", 0, id="a date beyond all clocks"),
    ],
)
def test_retry_after_is_waited_for(
    clients: Any, loop: VirtualTimeLoop, said: str | timedelta, expected_s: float
) -> None:
    """A retry begins when the upstream said, in seconds or as a date of the wall clock."""
    client = Client(clients, loop, backoff_base_s=0.2)
    call = client.call(Answer(503, retry_after=header(said)), Answer())

    # Roughly: a date has no fractions, and the wall clock goes on.
    assert [expected_s] == [round(wait_s, -2) for wait_s in waits_s(call)]


@pytest.mark.parametrize("said", ["1800", HOUR], ids=["a number", "a date"])
def test_retry_after_past_the_deadline_is_not_waited_for(
    clients: Any, loop: VirtualTimeLoop, said: str | timedelta
) -> None:
    """If there is no time left at the time that the upstream said, its answer stands, at once."""
    client = Client(clients, loop, total_timeout_s=1800)
    [response] = client.end(client.begin(Answer(503, retry_after=header(said)), Answer()))

    assert (503, 0) == (response.status_code, loop.time())


@pytest.mark.parametrize("good", [0, 1000], ids=["from the start", "after a long good time"])
def test_retries_are_earned_by_calls(clients: Any, loop: VirtualTimeLoop, good: int) -> None:
    """Ten retries are there without any call, and never more; then four calls earn one."""
    client = Client(clients, loop, max_attempts=2, retry_budget=0.25, backoff_base_s=1e-6)
    for _ in range(good):
        client.call(Answer())
    # The first earns nothing, for ten is all that can be saved.
    retries = sum(client.call(Answer(503)).attempts - 1 for _ in range(1 + 40))

    assert 10 + 40 / 4 == retries


@pytest.mark.parametrize(
    ("quiet_s", "expected"),
    [pytest.param(0.9, 0, id="a moment"), (1, 1), (4, 4), pytest.param(3600, 10, id="an hour")],
)
def test_retries_are_earned_by_time(
    clients: Any, loop: VirtualTimeLoop, quiet_s: float, expected: int
) -> None:
    """After an outage that used them up, a quiet client has a retry more each second, to ten."""
    client = Client(clients, loop, max_attempts=2, retry_budget=0, backoff_base_s=1e-6)
    outage = sum(client.call(Answer(503)).attempts - 1 for _ in range(20))
    loop.advance(quiet_s)
    again = sum(client.call(Answer(503)).attempts - 1 for _ in range(20))

    assert (10, expected) == (outage, again)


def test_no_attempt_begins_after_the_deadline(clients: Any, loop: VirtualTimeLoop) -> None:
    """A call that comes to its first attempt too late is not sent, though nothing then waits."""

    class LogInSlowly(httpx.Auth):
        async def async_auth_flow(
            self, request: httpx.Request
        ) -> AsyncGenerator[httpx.Request, httpx.Response]:
            await asyncio.sleep(5)
            yield request

    client = Client(clients, loop, total_timeout_s=5)
    [failure] = client.end(client.begin(Answer(), auth=LogInSlowly()))

    assert ("DeadlineExceeded", 0) == (type(failure).__name__, client.engine.attempts)


@pytest.mark.parametrize(
    ("lasted_s", "expected_s"),
    [
        pytest.param(0.25, [1, 1, 1], id="short calls"),
        pytest.param(60, [90, 60, 30], id="long calls"),
    ],
)
def test_saturation_has_retry_after(
    clients: Any, loop: VirtualTimeLoop, lasted_s: float, expected_s: list[int]
) -> None:
    """That is when all who wait will have had a place, if calls take as long as they did."""
    client = Client(clients, loop, max_connections=2, pool_timeout_s=1)
    for _ in range(100):
        client.call(Answer(after_s=lasted_s))
    _, _, *failures = client.end(*(client.begin(Answer(after_s=60)) for _ in range(2 + 3)))

    assert expected_s == [failure.retry_after_s for failure in failures]


def test_what_began_before_an_outage_is_not_counted_after_it(
    clients: Any, loop: VirtualTimeLoop
) -> None:
    """When the breaker has closed again, an attempt from before it opened says nothing new."""
    client = Client(clients, loop, breaker_failure_ratio=1, breaker_min_calls=1, breaker_open_s=5)
    breaker = client.managed.breaker
    old = client.begin(Answer("ReadError", after_s=60), method="POST")
    loop.advance(1)
    states = []
    client.call(Answer(503), method="POST")
    states.append(breaker.state)
    loop.advance(5)
    client.call(Answer())
    states.append(breaker.state)
    client.end(old)
    states.append(breaker.state)

    assert ["open", "closed", "closed"] == states


@pytest.mark.parametrize(
    ("method", "answer"),
    [
        pytest.param("GET", Answer(503, pauses_s=(100,)), id="given up for a retry"),
        pytest.param("POST", Answer(503, pauses_s=(100,)), id="given up by its caller"),
        pytest.param("POST", Answer(503, pauses_s=(0,), breaks=True), id="cut"),
        pytest.param("POST", Answer(503, pauses_s=(0,) * 9), id="too large"),
    ],
)
def test_503_is_a_failure_however_its_body_ends(
    clients: Any, loop: VirtualTimeLoop, method: str, answer: Answer
) -> None:
    """It opens the breaker, and a probe that is answered by it opens the breaker again."""
    client = Client(
        clients,
        loop,
        max_response_bytes=10,
        breaker_failure_ratio=1,
        breaker_min_calls=1,
        breaker_open_s=5,
    )
    states = []
    for _ in range(2):
        task = client.begin(answer, method=method)
        loop.advance(1)
        task.cancel()
        client.end(task)
        states.append(client.managed.breaker.state)
        loop.advance(5)
        states.append(client.managed.breaker.state)

    assert ["open", "half-open"] * 2 == states


def test_drain_waits_for_the_default_client(clients: Any, loop: VirtualTimeLoop) -> None:
    """The client that has no upstream is closed no sooner than the others."""
    default = Client(clients, loop, name=None)
    default.begin(Answer(after_s=3))
    loop.advance(1)
    loop.run_until_complete(clients.Clients(default.managed, {}).drain(grace_s=60))

    assert 3 == loop.time()


def test_drain_waits_for_calls_that_begin_meanwhile(clients: Any, loop: VirtualTimeLoop) -> None:
    """Draining ends when no client has a call, also if one had none when it was looked at."""
    default, upstream = Client(clients, loop, name=None), Client(clients, loop)
    upstream.begin(Answer(after_s=3))
    opened = clients.Clients(default.managed, {"upstream": upstream.managed})
    draining = loop.create_task(opened.drain(grace_s=60))
    for client in (default, upstream, default):
        loop.advance(2)
        client.begin(Answer(after_s=3))
    loop.run_until_complete(draining)

    assert 9 == loop.time()


def test_authentication_is_within_the_deadline(clients: Any, loop: VirtualTimeLoop) -> None:
    """However many requests an ``httpx.Auth`` sends, they are one call."""

    class Endless(httpx.Auth):
        async def async_auth_flow(
            self, request: httpx.Request
        ) -> AsyncGenerator[httpx.Request, httpx.Response]:
            while True:
                yield httpx.Request("GET", request.url)

    client = Client(clients, loop, total_timeout_s=60)
    client.engine.calls.append(Call(0, (Answer(after_s=7),)))
    call = loop.create_task(client.managed.client.get("/0", auth=Endless()))
    [failure] = client.end(call)

    assert ("DeadlineExceeded", 60) == (type(failure).__name__, loop.time())


class LaxEngine(httpx.AsyncBaseTransport, httpx.AsyncByteStream):
    """Lets a length pass that is no number, as repeated headers are: some parsers do."""

    async def handle_async_request(self, _: httpx.Request) -> httpx.Response:
        return httpx.Response(200, headers={"Content-Length": "9, 9"}, stream=self)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield b"x" * 101

    async def aclose(self) -> None:
        pass


def test_a_length_that_is_no_number_is_not_believed(clients: Any, loop: VirtualTimeLoop) -> None:
    """Only an engine that has understood the length ends the body by it."""

    async def capped() -> Any:
        cap = clients.ResponseCap(LaxEngine(), max_bytes=100)
        response = await cap.handle_async_request(httpx.Request("GET", "http://upstream.invalid/"))
        return await asyncio.gather(response.aread(), return_exceptions=True)

    [failure] = loop.run_until_complete(capped())

    assert "ResponseTooLarge" == type(failure).__name__
