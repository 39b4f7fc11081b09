"""The layers' promises about time and about counting, each alone on a virtual clock.

test_state_machines.py checks on random schedules what must never happen; here chosen calls show
how long and how often something happens.
"""

import asyncio
import gc
import importlib
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from itertools import pairwise
from typing import Any

import httpx
import pytest

from support.rendering import Bake
from support.scripted_transport import Answer, ScriptedCall, ScriptedTransport
from support.virtual_time import VirtualTimeLoop

PACKAGE = "layers_in_time"
URL = "http://upstream.invalid"
HOUR = timedelta(hours=1)
LogLine = tuple[int | None, int, str, float]
"""Of a call: status, attempts, error, and when it was logged."""


@dataclass(frozen=True)
class ServiceModules:
    """The modules of a rendered service that the tests use."""

    clients: Any
    pipeline: Any
    settings: Any


class Client:
    """A client on a scripted transport; every limit that was not chosen is generous."""

    def __init__(
        self,
        service: ServiceModules,
        loop: VirtualTimeLoop,
        name: str | None = "upstream",
        transport: httpx.AsyncBaseTransport | None = None,
        **chosen: Any,
    ) -> None:
        generous = {
            "attempt_timeout_s": None,
            "total_timeout_s": 10_000,
            "breaker_failure_ratio": None,
        }
        http = generous | chosen
        upstreams = {name: {"base_url": URL, **http}} if name else {}
        settings = service.settings.Settings(http=http, upstreams=upstreams)
        self._loop = loop
        self.transport = ScriptedTransport(
            httpx, settings.http.max_connections, settings.http.max_attempts
        )
        self.stack = loop.run_until_complete(
            self._build(service, name, settings, transport or self.transport)
        )

    async def _build(
        self, service: ServiceModules, name: str | None, settings: Any, transport: Any
    ) -> Any:
        return service.pipeline.build(name, settings, lambda _: transport)

    @property
    def breaker(self) -> str:
        """The breaker's state, as ``/readyz`` reports it."""
        return str(self.stack.gauges()["breaker"])

    @property
    def in_flight(self) -> int:
        return int(self.stack.gauges()["in_flight"])

    def script(self, *answers: Answer) -> str:
        """Return the URL of a call that is answered so."""
        call = ScriptedCall(len(self.transport.calls), answers)
        self.transport.calls.append(call)
        return f"{URL}/{call.number}"

    def begin(self, *answers: Answer, method: str = "GET", **own: Any) -> asyncio.Task[Any]:
        """Begin a call; it takes its first step when the loop runs next."""
        url = self.script(*answers)
        return self._loop.create_task(self.stack.client.request(method, url, **own))

    def end(self, *tasks: asyncio.Task[Any]) -> list[Any]:
        """Run calls to their end; return the response or the exception of each."""
        return self._loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))

    def call(self, *answers: Answer, method: str = "GET") -> ScriptedCall:
        """Make a call and ignore its result."""
        self.end(self.begin(*answers, method=method))
        return self.transport.calls[-1]


def waits_s(call: ScriptedCall) -> list[float]:
    """Return how long a call waited before each of its retries."""
    return [later - earlier for earlier, later in pairwise(call.begun)]


def header(retry_after: str | timedelta) -> str:
    """Return a ``Retry-After``: a date relative to now, or an hour from now in a given format."""
    if isinstance(retry_after, timedelta):
        return format_datetime(datetime.now(UTC) + retry_after, usegmt=True)
    return (datetime.now(UTC) + HOUR).strftime(retry_after)


@pytest.fixture(scope="module")
def service(bake: Bake) -> Iterator[ServiceModules]:
    """A service's own modules, imported into this process."""
    project = bake(package_name=PACKAGE, features="retry, circuit_breaker")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(project.path / "src")
        yield ServiceModules(
            clients=importlib.import_module(f"{PACKAGE}.http_client.clients"),
            pipeline=importlib.import_module(f"{PACKAGE}.http_client.pipeline"),
            settings=importlib.import_module(f"{PACKAGE}.settings"),
        )


@pytest.fixture
def loop() -> Iterator[VirtualTimeLoop]:
    loop = VirtualTimeLoop()
    yield loop
    loop.advance(100)  # ends the calls that a test has left in flight
    loop.close()


@pytest.fixture
def logged(loop: VirtualTimeLoop, caplog: pytest.LogCaptureFixture) -> Iterator[list[LogLine]]:
    """The lines of the call log."""
    lines: list[LogLine] = []

    def record(line: logging.LogRecord) -> bool:
        call = vars(line)
        error = call.get("error", "").partition(":")[0]
        lines.append((call["status"], call["attempts"], error, round(loop.time(), 1)))
        return True

    log = logging.getLogger(f"{PACKAGE}.http_client.layers.call_log")
    caplog.set_level(logging.INFO, log.name)
    log.addFilter(record)
    yield lines
    log.removeFilter(record)


def test_waits_are_random_below_a_bound_that_doubles(
    service: ServiceModules, loop: VirtualTimeLoop
) -> None:
    """Waits are uniform up to BACKOFF_BASE_S, then up to twice that, at most BACKOFF_MAX_S."""
    bounds_s = (0.5, 1, 2, 2)
    # A quarter without any of a hundred waits occurs once in 10**11 runs.
    calls = [
        Client(service, loop, max_attempts=5, backoff_base_s=0.5, backoff_max_s=2).call(Answer(503))
        for _ in range(100)
    ]

    quarters = [
        {int(4 * wait_s / bound_s) for wait_s in waits}
        for bound_s, *waits in zip(bounds_s, *map(waits_s, calls), strict=True)
    ]
    assert quarters == [{0, 1, 2, 3}] * 4


@pytest.mark.parametrize(
    ("retry_after", "expected_s"),
    [
        pytest.param("1800", 1800, id="a number"),
        pytest.param(HOUR, 3600, id="a date"),
        pytest.param(-HOUR, 0, id="a date in the past"),
        pytest.param("%a %b %d %H:%M:%S %Y", 3600, id="a date as C's asctime writes it"),
        pytest.param("soon", 0, id="nonsense"),
        pytest.param("-1800", 0, id="a negative number"),
        pytest.param(f"Mon, 01 Jan 2029 00:00:00 +{'9' * 20}", 0, id="a date beyond all clocks"),
    ],
)
@pytest.mark.parametrize("hold_max_s", [None, 10_000], ids=["retry", "hold"])
def test_retry_after_is_honoured(
    service: ServiceModules,
    loop: VirtualTimeLoop,
    retry_after: str | timedelta,
    expected_s: float,
    hold_max_s: float | None,
) -> None:
    """A retry begins when ``Retry-After`` says, in seconds or as a date of the wall clock."""
    client = Client(service, loop, backoff_base_s=0.2, retry_after_max_s=hold_max_s)
    call = client.call(Answer(503, retry_after=header(retry_after)), Answer())

    # Rounded, because a date has no fractions and the wall clock continues.
    assert [round(wait_s, -2) for wait_s in waits_s(call)] == [expected_s]


@pytest.mark.parametrize("retry_after", ["1800", HOUR], ids=["a number", "a date"])
def test_retry_after_beyond_the_deadline_ends_the_call(
    service: ServiceModules, loop: VirtualTimeLoop, retry_after: str | timedelta
) -> None:
    """The caller gets the response immediately if the retry would come after the deadline."""
    client = Client(service, loop, total_timeout_s=1800)
    [response] = client.end(
        client.begin(Answer(503, retry_after=header(retry_after)), Answer()),
    )

    assert (response.status_code, loop.time()) == (503, 0)


PUSHBACK = Answer(429, retry_after="10")


def begun(client: Client) -> list[float]:
    """Return when attempts began, in order."""
    return sorted(time for call in client.transport.calls for time in call.begun)


@pytest.mark.parametrize("own", [{}, {"method": "POST"}], ids=["GET", "POST"])
@pytest.mark.parametrize("chosen", [{}, {"max_attempts": 1}, {"retry_statuses": ()}])
def test_no_attempt_begins_before_the_time_named(
    service: ServiceModules, loop: VirtualTimeLoop, chosen: dict[str, Any], own: dict[str, str]
) -> None:
    """100 calls wait 10 s, without a slot; one goes first, the others after its answer."""
    client = Client(service, loop, **chosen)
    client.end(client.begin(PUSHBACK, method="POST"))
    calls = [client.begin(Answer(after_s=0.01), **own) for _ in range(100)]
    loop.advance(5)
    gauges = client.stack.gauges()
    answers = client.end(*calls)

    assert (gauges["held"], gauges["hold_s"], gauges["in_flight"]) == (100, 5, 0)
    assert {answer.status_code for answer in answers} == {200}
    _, first, *others = begun(client)
    assert first >= 10
    assert min(others) >= first + 0.01
    assert len({round(time, 3) for time in others}) > 50


def test_calls_that_wait_inside_are_held(service: ServiceModules, loop: VirtualTimeLoop) -> None:
    """Calls that wait for a slot or in a back-off when the 429 arrives leave and wait, too."""
    client = Client(service, loop, max_connections=2, pool_timeout_s=20, backoff_base_s=20)
    calls = [
        client.begin(Answer(503), Answer()),  # in its back-off until then
        client.begin(Answer(429, after_s=0.001, retry_after="30"), method="POST"),
        *(client.begin(Answer(), method="POST") for _ in range(5)),
    ]
    loop.advance(29)
    early = begun(client)
    client.end(*calls)

    assert early == [0, 0]
    assert len(begun(client)) == 2 + 1 + 5


def test_calls_with_too_early_a_deadline_do_not_wait(
    service: ServiceModules, loop: VirtualTimeLoop
) -> None:
    """They fail in the same instant; others wait."""
    client = Client(service, loop, max_connections=1, pool_timeout_s=60)
    client.end(client.begin(PUSHBACK, method="POST"))
    loop.advance(4)
    short = client.begin(Answer(), extensions={"total_timeout_s": 6})
    long = client.begin(Answer(), extensions={"total_timeout_s": 7})
    loop.advance(0)

    failure = short.exception()
    assert type(failure).__name__ == "UpstreamBackingOff"
    assert getattr(failure, "retry_after_s", None) == 6
    assert not long.done()
    assert [answer.status_code for answer in client.end(long)] == [200]


def test_a_hold_is_never_shortened(service: ServiceModules, loop: VirtualTimeLoop) -> None:
    """Answers to attempts in flight may extend a hold; neither a shorter one nor a 200 ends it."""
    client = Client(service, loop)
    later = [(1, 200, None), (2, 429, "30"), (3, 429, "1"), (4, 503, None), (40, 200, None)]
    in_flight = [
        client.begin(Answer(status, after_s=after_s, retry_after=named), method="POST")
        for after_s, status, named in [(0.1, 429, "10"), *later]
    ]
    loop.advance(0.5)
    held = client.begin(Answer())
    client.end(held, *in_flight)

    assert client.transport.calls[-1].begun[0] >= 32


def test_hold_goes_on_while_the_first_attempt_is_rejected(
    service: ServiceModules, loop: VirtualTimeLoop
) -> None:
    """As long as the upstream answers 429, it receives one attempt in each period it names."""
    client = Client(service, loop, total_timeout_s=100, max_attempts=1)
    client.end(*(client.begin(Answer(429, after_s=0.1, retry_after="10")) for _ in range(20)))
    client.end(*(client.begin(Answer(429, after_s=0.1, retry_after="10")) for _ in range(5)))
    gaps = [later - earlier for earlier, later in pairwise(begun(client)[19:])]

    assert len(gaps) == 5
    assert min(gaps) >= 10


def test_first_attempt_without_an_answer(service: ServiceModules, loop: VirtualTimeLoop) -> None:
    """A slow or broken first attempt delays the others by half a second, and so does the next."""
    client = Client(service, loop, max_attempts=1)
    client.end(client.begin(PUSHBACK))
    client.end(*(client.begin(Answer(after_s=2)) for _ in range(50)))
    _, *times = begun(client)
    alone = [time for time in times if time < times[0] + 2]

    assert 3 <= len(alone) <= 5
    assert all(later - earlier >= 0.5 for earlier, later in pairwise(alone))
    assert times[-1] < 13


def test_holds_occupy_little_memory(service: ServiceModules, loop: VirtualTimeLoop) -> None:
    """The default client remembers the holds of the thousand origins that answered last."""
    client = Client(service, loop, name=None)
    client.script(*[PUSHBACK] * 1200)
    client.transport.max_attempts = 1200
    for number in range(1200):
        get = client.stack.client.post(f"http://host-{number}.invalid/0")
        loop.run_until_complete(get)
    held = [
        loop.create_task(client.stack.client.post(f"http://host-{number}.invalid/0", timeout=1))
        for number in (1199, 200, 199)
    ]
    loop.advance(0)

    assert [task.done() for task in held] == [False, False, True]


@pytest.mark.parametrize("healthy", [0, 1000], ids=["from the start", "after many good calls"])
def test_calls_earn_retries(service: ServiceModules, loop: VirtualTimeLoop, healthy: int) -> None:
    """A client starts with ten retries, the maximum; after that four calls earn one."""
    client = Client(service, loop, max_attempts=2, retry_budget=0.25, backoff_base_s=1e-6)
    for _ in range(healthy):
        client.call(Answer())
    # The first call earns nothing, because the budget is full.
    retries = sum(client.call(Answer(503)).attempts - 1 for _ in range(1 + 40))

    assert retries == 10 + 40 / 4


@pytest.mark.parametrize(
    ("quiet_s", "expected"),
    [pytest.param(0.9, 0, id="a moment"), (1, 1), (4, 4), pytest.param(3600, 10, id="an hour")],
)
def test_time_earns_retries(
    service: ServiceModules, loop: VirtualTimeLoop, quiet_s: float, expected: int
) -> None:
    """After an outage that used up the budget, a quiet client earns one retry a second, to ten."""
    client = Client(service, loop, max_attempts=2, retry_budget=0, backoff_base_s=1e-6)
    outage = sum(client.call(Answer(503)).attempts - 1 for _ in range(20))
    loop.advance(quiet_s)
    later = sum(client.call(Answer(503)).attempts - 1 for _ in range(20))

    assert (outage, later) == (10, expected)


def test_no_attempt_begins_after_the_deadline(
    service: ServiceModules, loop: VirtualTimeLoop
) -> None:
    """A call whose deadline passes before its first attempt is not sent."""

    class LogInSlowly(httpx.Auth):
        async def async_auth_flow(
            self, request: httpx.Request
        ) -> AsyncGenerator[httpx.Request, httpx.Response]:
            await asyncio.sleep(5)
            yield request

    client = Client(service, loop, total_timeout_s=5)
    [failure] = client.end(client.begin(Answer(), auth=LogInSlowly()))

    assert (type(failure).__name__, client.transport.attempts) == ("DeadlineExceeded", 0)


@pytest.mark.parametrize(
    ("duration_s", "expected_s"),
    [
        pytest.param(0.25, [1, 1, 1], id="short calls"),
        pytest.param(60, [90, 60, 30], id="long calls"),
    ],
)
def test_rejections_estimate_when_a_slot_is_free(
    service: ServiceModules, loop: VirtualTimeLoop, duration_s: float, expected_s: list[int]
) -> None:
    """The estimate assumes that all waiting calls go first, and take as long as recent ones."""
    client = Client(service, loop, max_connections=2, pool_timeout_s=1)
    for _ in range(100):
        client.call(Answer(after_s=duration_s))
    _, _, *failures = client.end(*(client.begin(Answer(after_s=60)) for _ in range(2 + 3)))

    # They end at the same time, in any order.
    assert sorted((failure.retry_after_s for failure in failures), reverse=True) == expected_s


def test_breaker_ignores_attempts_from_before_an_outage(
    service: ServiceModules, loop: VirtualTimeLoop
) -> None:
    """Once the breaker has closed, failures of attempts from before the outage do not count."""
    client = Client(service, loop, breaker_failure_ratio=1, breaker_min_calls=1, breaker_open_s=5)
    old = client.begin(Answer("ReadError", after_s=60), method="POST")
    loop.advance(1)
    states = []
    client.call(Answer(503), method="POST")
    states.append(client.breaker)
    loop.advance(5)
    client.call(Answer())
    states.append(client.breaker)
    client.end(old)
    states.append(client.breaker)

    assert states == ["open", "closed", "closed"]


@pytest.mark.parametrize(
    ("method", "answer"),
    [
        pytest.param("GET", Answer(503, pauses_s=(100,)), id="discarded by a retry"),
        pytest.param("POST", Answer(503, pauses_s=(100,)), id="abandoned by its caller"),
        pytest.param("POST", Answer(503, pauses_s=(0,), breaks=True), id="truncated"),
        pytest.param("POST", Answer(503, pauses_s=(0,) * 9), id="too large"),
    ],
)
def test_503_is_a_failure_however_its_body_ends(
    service: ServiceModules, loop: VirtualTimeLoop, method: str, answer: Answer
) -> None:
    """A 503 opens the breaker, and as the response to a probe opens it again."""
    client = Client(
        service,
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
        states.append(client.breaker)
        loop.advance(5)
        states.append(client.breaker)

    assert states == ["open", "half-open"] * 2


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(Answer(503), id="a response"),
        pytest.param(Answer(503, pauses_s=(1,)), id="a response that is slow to read"),
        pytest.param(Answer(503, pauses_s=(0,) * 9000), id="a response that is long to read"),
        pytest.param(Answer(503, pauses_s=(0,), breaks=True), id="a truncated response"),
        pytest.param(Answer("RemoteProtocolError"), id="an exception"),
        pytest.param(Answer(after_s=100), id="an attempt that timed out"),
    ],
)
def test_breaker_records_each_discarded_attempt_once(
    service: ServiceModules, loop: VirtualTimeLoop, answer: Answer
) -> None:
    """Every attempt counts, also if a retry follows it, and none counts twice."""
    client = Client(
        service,
        loop,
        attempt_timeout_s=1,
        max_attempts=3,
        backoff_base_s=1e-6,
        breaker_failure_ratio=1,
        breaker_min_calls=7,
        breaker_open_s=600,
    )
    attempts = [client.call(answer).attempts for _ in range(4)]

    assert (attempts, client.breaker) == ([3, 3, 1, 0], "open")


def test_breaker_counts_failures_that_a_retry_hides(
    service: ServiceModules, loop: VirtualTimeLoop
) -> None:
    """Half of the attempts fail while every caller gets a 200, until the breaker opens."""
    client = Client(
        service,
        loop,
        backoff_base_s=1e-6,
        breaker_failure_ratio=0.5,
        breaker_min_calls=6,
        breaker_open_s=600,
    )
    results = client.end(*(client.begin(Answer(503), Answer()) for _ in range(3)))
    before = client.breaker
    client.call(Answer(503), method="POST")

    assert [response.status_code for response in results] == [200] * 3
    assert (before, client.breaker) == ("closed", "open")


def test_stream_timeout_cuts_a_body(service: ServiceModules, loop: VirtualTimeLoop) -> None:
    """A stream ends at STREAM_TIMEOUT_S, whether it waits or its caller works."""
    client = Client(service, loop, total_timeout_s=5, stream_timeout_s=10)

    async def read(url: str, pace_s: float) -> tuple[str, int, float]:
        chunks = 0
        try:
            async with client.stack.client.stream("GET", url) as response:
                async for _ in response.aiter_raw():
                    chunks += 1
                    await asyncio.sleep(pace_s)
        except httpx.TimeoutException as failure:
            return type(failure).__name__, chunks, loop.time()
        return "no exception", chunks, loop.time()

    slow_upstream = read(client.script(Answer(pauses_s=(4,) * 9)), pace_s=0)
    slow_caller = read(client.script(Answer(pauses_s=(0,) * 9)), pace_s=4)
    ends = client.end(loop.create_task(slow_upstream), loop.create_task(slow_caller))

    # The caller's own work is not interrupted: it sees the deadline when it asks for more.
    assert ends == [("DeadlineExceeded", 2, 10), ("DeadlineExceeded", 3, 12)]
    assert (client.in_flight, client.transport.in_flight) == (0, 0)


async def get(client: httpx.AsyncClient, url: str) -> None:
    await client.get(url)


async def post(client: httpx.AsyncClient, url: str) -> None:
    await client.post(url)


async def cancel(client: httpx.AsyncClient, url: str) -> None:
    call = asyncio.create_task(client.get(url))
    await asyncio.sleep(3)
    call.cancel("s3cret")
    await call


async def stream(client: httpx.AsyncClient, url: str) -> None:
    async with client.stream("GET", url) as response:
        await response.aread()


async def close_early(client: httpx.AsyncClient, url: str) -> None:
    async with client.stream("GET", url) as response:
        await anext(response.aiter_raw())


async def abandon(client: httpx.AsyncClient, url: str) -> None:
    await client.send(client.build_request("GET", url), stream=True)


async def keep_open(client: httpx.AsyncClient, url: str) -> httpx.Response:
    return await client.send(client.build_request("GET", url), stream=True)


Caller = Callable[[httpx.AsyncClient, str], Coroutine[Any, Any, httpx.Response | None]]


@dataclass(frozen=True)
class CallEnd:
    """A way in which a call ends, and its line in the log."""

    caller: Caller
    answers: tuple[Answer, ...]
    logged: LogLine


ONE_S, STALLS, TRUNCATED = Answer(after_s=1), Answer(pauses_s=(1, 100)), Answer(breaks=True)
UNAVAILABLE, BROKEN = Answer(503, after_s=1), Answer("ReadError", after_s=1)
CALL_ENDS = {
    "success": CallEnd(get, (ONE_S,), (200, 1, "", 1)),
    "success after a retry": CallEnd(get, (UNAVAILABLE, ONE_S), (200, 2, "", 2)),
    "an error status": CallEnd(post, (UNAVAILABLE,), (503, 1, "", 1)),
    "an error": CallEnd(post, (BROKEN,), (None, 1, "ReadError", 1)),
    "an error after a retry": CallEnd(get, (BROKEN,), (None, 2, "ReadError", 2)),
    "an error in the body": CallEnd(get, (TRUNCATED,), (200, 1, "RemoteProtocolError", 0)),
    "attempt timeout": CallEnd(post, (Answer(after_s=100),), (None, 1, "ReadTimeout", 5)),
    "deadline in the body": CallEnd(get, (STALLS,), (200, 1, "DeadlineExceeded", 10)),
    "cancellation": CallEnd(cancel, (Answer(after_s=4),), (None, 1, "CancelledError", 3)),
    "cancellation in the body": CallEnd(cancel, (STALLS,), (200, 1, "CancelledError", 3)),
    "stream": CallEnd(stream, (Answer(pauses_s=(1, 1)),), (200, 1, "", 2)),
    "truncated stream": CallEnd(stream, (TRUNCATED,), (200, 1, "RemoteProtocolError", 0)),
    "deadline in a stream": CallEnd(stream, (STALLS,), (200, 1, "DeadlineExceeded", 20)),
    "stream closed early": CallEnd(close_early, (STALLS,), (200, 1, "CancelledError", 1)),
    "abandoned stream": CallEnd(abandon, (STALLS,), (200, 1, "CancelledError", 0)),
    "stream kept open": CallEnd(keep_open, (STALLS,), (200, 1, "CancelledError", 21)),
}


@pytest.mark.parametrize("end", CALL_ENDS.values(), ids=CALL_ENDS)
def test_each_call_is_logged_once(
    service: ServiceModules, loop: VirtualTimeLoop, logged: list[LogLine], end: CallEnd
) -> None:
    """A call leaves one line, when it ends, with its status, its attempts and its error."""
    client = Client(
        service,
        loop,
        max_attempts=2,
        backoff_base_s=1e-6,
        attempt_timeout_s=5,
        total_timeout_s=10,
        stream_timeout_s=20,
    )

    url = client.script(*end.answers)
    results = client.end(loop.create_task(end.caller(client.stack.client, url)))
    gc.collect()
    loop.advance(0.01)  # an abandoned stream is closed now
    loop.advance(100)

    assert len(results) == 1  # a stream kept open is referenced until here
    assert logged == [end.logged]


def test_drain_waits_for_the_default_client(service: ServiceModules, loop: VirtualTimeLoop) -> None:
    """Draining includes the calls of the client without an upstream."""
    default = Client(service, loop, name=None)
    default.begin(Answer(after_s=3))
    loop.advance(1)
    loop.run_until_complete(service.clients.Clients(default.stack, {}).drain(grace_s=60))

    assert loop.time() == 3


def test_drain_waits_for_calls_that_begin_meanwhile(
    service: ServiceModules, loop: VirtualTimeLoop
) -> None:
    """Draining ends when no client has a call, even if one was idle when draining began."""
    default, upstream = Client(service, loop, name=None), Client(service, loop)
    upstream.begin(Answer(after_s=3))
    clients = service.clients.Clients(default.stack, {"upstream": upstream.stack})
    draining = loop.create_task(clients.drain(grace_s=60))
    for client in (default, upstream, default):
        loop.advance(2)
        client.begin(Answer(after_s=3))
    loop.run_until_complete(draining)

    assert loop.time() == 9


def test_deadline_includes_authentication(service: ServiceModules, loop: VirtualTimeLoop) -> None:
    """All requests that an ``httpx.Auth`` sends share the deadline of one call."""

    class Endless(httpx.Auth):
        async def async_auth_flow(
            self, request: httpx.Request
        ) -> AsyncGenerator[httpx.Request, httpx.Response]:
            while True:
                yield httpx.Request("GET", request.url)

    # The script answers each of them, so the transport counts all as attempts of one call.
    client = Client(service, loop, total_timeout_s=60, max_attempts=100)
    [failure] = client.end(client.begin(Answer(after_s=7), auth=Endless()))

    assert (type(failure).__name__, loop.time()) == ("DeadlineExceeded", 60)


class LaxTransport(httpx.AsyncBaseTransport, httpx.AsyncByteStream):
    """Accepts a Content-Length that is not a number, as some parsers do for repeated headers."""

    async def handle_async_request(self, _: httpx.Request) -> httpx.Response:
        return httpx.Response(200, headers={"Content-Length": "9, 9"}, stream=self)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield b"x" * 101

    async def aclose(self) -> None:
        pass


def test_response_limit_ignores_an_invalid_length(
    service: ServiceModules, loop: VirtualTimeLoop
) -> None:
    """A body is counted unless its Content-Length is a number, by which the transport ends it."""
    client = Client(service, loop, transport=LaxTransport(), max_response_bytes=100)
    [failure] = client.end(client.begin())

    assert type(failure).__name__ == "ResponseTooLarge"
