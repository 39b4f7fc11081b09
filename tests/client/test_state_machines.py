"""All layers of a client together, under random schedules of calls, cancellations and waits.

The connection pool is a fake, because the layers' logic is explored here. To see how many schedules
reach each event: ``pytest --hypothesis-show-statistics``.
"""

import asyncio
import gc
import importlib
import logging
import math
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from support.rendering import Bake
from support.scripted_transport import (
    BROKEN,
    NEVER_SENT,
    Answer,
    ScriptedCall,
    ScriptedTransport,
    chunk,
    pause,
)
from support.virtual_time import VirtualTimeLoop

# A few values that floats represent exactly, so that many events happen at the same instant.
TIMES = st.sampled_from([0, 0.5, 1, 2, 4])
# Longer than scripts, timeouts and the closing of abandoned streams take together.
LONG_S = 500


@dataclass(frozen=True)
class Request:
    """How a call is made, and whether it may be repeated."""

    method: str = "GET"
    has_key: bool = False
    from_generator: bool = False
    retry: bool | None = None

    @property
    def once(self) -> bool:
        """Whether it must not be repeated after the upstream may have received it."""
        safe = self.has_key or self.method != "POST" if self.retry is None else self.retry
        return self.from_generator or not safe


@dataclass(frozen=True)
class Arrive:
    """Make some calls."""

    calls: int
    request: Request
    reader: str
    """How the caller treats the response."""
    pace_s: float
    """How long the caller works after each chunk."""
    answers: tuple[Answer, ...]


@dataclass(frozen=True)
class Cancel:
    """Cancel one of the pending calls; a second time while it cleans up after the first."""

    which: int
    turns_until_again: int | None


@dataclass(frozen=True)
class Turn:
    """Run the event loop some turns while no time passes."""

    turns: int


@dataclass(frozen=True)
class Wait:
    """Let time pass; optionally collect garbage first."""

    seconds: float
    collect: bool


Step = Arrive | Cancel | Turn | Wait

SETTINGS = st.fixed_dictionaries(
    {
        "max_connections": st.integers(1, 2),
        "pool_timeout_s": st.sampled_from([0.5, 2, 8]),
        "attempt_timeout_s": st.sampled_from([1, 2, None]),
        "total_timeout_s": st.sampled_from([1, 4, 16]),
        "stream_timeout_s": st.sampled_from([1, 8]),
        "max_attempts": st.integers(1, 4),
        "backoff_base_s": st.sampled_from([0.5, 2]),
        "retry_budget": st.sampled_from([1, 0.2, 0]),
        "retry_statuses": st.sampled_from([(429, 502, 503, 504), (429,), (404, 503), ()]),
        "retry_after_max_s": st.sampled_from([None, 1, 8, 60]),
        "breaker_failure_ratio": st.sampled_from([None, 0.5, 1]),
        "breaker_min_calls": st.integers(1, 5),
        "breaker_open_s": st.sampled_from([2, 4]),
    }
)
ANSWERS = st.one_of(
    st.sampled_from(
        [
            Answer(),
            Answer(pauses_s=(0, 0, 0)),
            Answer(503),
            Answer(429, retry_after="1"),
            Answer(503, retry_after="4"),
            Answer("ConnectError"),
            Answer("RemoteProtocolError"),
        ]
    ),
    st.builds(
        Answer,
        result=st.sampled_from([200, 404, 429, 503, *NEVER_SENT, *BROKEN, "LocalProtocolError"]),
        after_s=st.one_of(TIMES, st.just(100)),
        retry_after=st.sampled_from([None, "0", "1", "4", "9999", "soon"]),
        pauses_s=st.lists(TIMES, max_size=3).map(tuple),
        breaks=st.booleans(),
    ),
)
ARRIVALS = st.builds(
    Arrive,
    calls=st.integers(1, 4),
    request=st.builds(
        Request,
        method=st.sampled_from(["GET", "POST", "PUT"]),
        has_key=st.booleans(),
        from_generator=st.sampled_from([False, False, True]),
        retry=st.sampled_from([None, None, True, False]),
    ),
    reader=st.sampled_from(["reads", "streams", "stops", "fails", "abandons", "keeps"]),
    pace_s=TIMES,
    answers=st.lists(ANSWERS, min_size=1, max_size=3).map(tuple),
)
INTERRUPTIONS = st.one_of(
    st.builds(
        Cancel,
        which=st.integers(0, 9),
        turns_until_again=st.sampled_from([None, 0, 1, 2]),
    ),
    st.builds(Turn, turns=st.integers(1, 4)),
    st.builds(Wait, seconds=st.sampled_from([0.25, 0.5, 1, 2, 8]), collect=st.booleans()),
)
# In rounds that begin with an arrival, so that interruptions meet calls in flight.
SCHEDULES = st.lists(
    st.tuples(ARRIVALS, st.lists(INTERRUPTIONS, max_size=3)), min_size=3, max_size=9
).map(lambda rounds: [step for arrival, others in rounds for step in (arrival, *others)])


@dataclass(frozen=True)
class ExploredService:
    """The modules of a rendered service that are explored."""

    httpx: Any
    pipeline: Any
    settings: Any
    circuit_breaker: Any
    logged: list[int] = field(default_factory=list)
    """The numbers of the calls in its call log."""


@dataclass
class Made:
    """A call that was made, and the task that makes it."""

    call: ScriptedCall
    task: asyncio.Task[bytes | None]
    pace_s: float
    streamed: bool
    cancelled_at: float | None = None
    ended_at: float | None = None


class CallerError(Exception):
    """A caller's own error while it reads a response."""


class Exploration:
    """A client on a scripted transport, and the calls made with it."""

    def __init__(self, service: ExploredService, chosen: dict[str, Any], closing_s: float) -> None:
        self.loop = VirtualTimeLoop()
        self.unhandled: list[dict[str, Any]] = []
        self.loop.set_exception_handler(lambda _, context: self.unhandled.append(context))
        self.service = service
        service.logged.clear()
        upstream = {"base_url": "http://upstream.invalid", **chosen}
        self._all_settings = service.settings.Settings(upstreams={"upstream": upstream})
        self.settings = self._all_settings.upstreams["upstream"]
        self.transport = ScriptedTransport(
            service.httpx,
            chosen["max_connections"],
            chosen["max_attempts"],
            chosen["retry_statuses"],
            chosen["retry_after_max_s"],
            closing_s,
        )
        self.stack = self.loop.run_until_complete(self._build())
        self.transport.breaker_state = lambda: str(self.gauge("breaker"))
        self.made: list[Made] = []
        self.was_held = False
        self.kept: list[Any] = []

    async def _build(self) -> Any:
        return self.service.pipeline.build("upstream", self._all_settings, lambda _: self.transport)

    def gauge(self, name: str) -> int | str:
        """Return one of the gauges that ``/readyz`` reports."""
        value: int | str = self.stack.gauges().get(name, 0)
        return value

    def do(self, step: Step) -> None:
        match step:
            case Arrive(calls, request, reader, pace_s, answers):
                for _ in range(calls):
                    self.make(request, *answers, reader=reader, pace_s=pace_s)
            case Cancel(which, turns):
                self.cancel(which, turns)
            case Turn(turns):
                for _ in range(turns):
                    self.loop.turn()
            case Wait(seconds, collect):
                if collect:
                    gc.collect(0)
                self.loop.advance(seconds)
        self.check_invariants()

    def make(
        self, request: Request, *answers: Answer, reader: str = "reads", pace_s: float = 0
    ) -> Made:
        """Begin a call; it takes its first step when the loop runs next."""
        call = ScriptedCall(len(self.transport.calls), answers, request.once)
        call.never = request.retry is False
        self.transport.calls.append(call)
        task = self.loop.create_task(self._perform(call, request, reader, pace_s))
        made = Made(call, task, pace_s, streamed=reader != "reads")
        task.add_done_callback(lambda _: setattr(made, "ended_at", self.loop.time()))
        self.made.append(made)
        return made

    async def _perform(
        self, call: ScriptedCall, request: Request, reader: str, pace_s: float
    ) -> bytes | None:
        call.deadline = self.loop.time() + self.settings.total_timeout_s
        client = self.stack.client
        built = client.build_request(
            request.method,
            f"/{call.number}",
            headers={"Idempotency-Key": "1"} if request.has_key else {},
            content=one_piece() if request.from_generator else None,
            extensions={"retry": request.retry},
        )
        response = await client.send(built, stream=reader != "reads")
        if reader == "reads":
            whole: bytes = response.content
            return whole
        if reader == "keeps":
            self.kept.append(response)
        if reader in {"abandons", "keeps"}:
            return None
        try:
            async for _ in response.aiter_raw():
                if reader == "fails":
                    raise CallerError
                if reader == "stops":
                    break
                await pause(pace_s)
        finally:
            await response.aclose()
        return None

    def cancel(self, which: int, turns_until_again: int | None) -> None:
        pending = [made for made in self.made if not made.task.done()]
        if not pending:
            return
        made = pending[which % len(pending)]
        if made.cancelled_at is None:
            made.cancelled_at = self.loop.time()
        made.task.cancel()
        if turns_until_again is not None:
            for _ in range(turns_until_again):
                self.loop.turn()
            made.task.cancel()

    def check_invariants(self) -> None:
        """Check the promises that apply at every moment."""
        in_flight, waiting = self.gauge("in_flight"), self.gauge("waiting")
        self.was_held |= self.gauge("held") != 0
        assert self.transport.broken_promises == []
        assert self.unhandled == []
        assert self.transport.in_flight <= int(in_flight) <= self.settings.max_connections
        assert waiting == 0 or in_flight == self.settings.max_connections
        retries = sum(max(0, made.call.attempts - 1) for made in self.made)
        earned = self.settings.retry_budget * len(self.made) + self.loop.time()
        assert retries <= 10 + earned

    def check_ends(self) -> None:
        """Check that each call ended in time, exactly once, and left nothing behind."""
        self.loop.advance(LONG_S)
        self.check_invariants()
        for made in self.made:
            assert made.task.done()
            self.check_end(made)
        begun = [made.call.number for made in self.made if made.call.deadline < math.inf]
        assert sorted(self.service.logged) == begun
        assert self.transport.in_flight == 0
        for gauge in ("in_flight", "waiting", "held"):
            assert self.gauge(gauge) == 0

    def check_end(self, made: Made) -> None:
        cancelled = made.cancelled_at is not None
        assert made.task.cancelled() == cancelled, "a cancellation was lost, or invented"
        due = made.call.deadline + (self.settings.stream_timeout_s if made.streamed else 0)
        due = due if made.cancelled_at is None else made.cancelled_at
        assert made.ended_at is not None
        assert made.ended_at <= due + made.pace_s + self.transport.closing_s
        if cancelled:
            return
        failure = made.task.exception()
        assert failure is None or isinstance(failure, (self.service.httpx.HTTPError, CallerError))
        if failure is None and (content := made.task.result()) is not None:
            answer = made.call.answer
            assert content == chunk(made.call.number) * len(answer.pauses_s)
            assert not answer.breaks

    def check_recovery(self) -> None:
        """Check that with a healthy upstream every slot works, after a single probe."""
        self.loop.advance(self.settings.breaker_open_s)
        probe = self.make(Request(), Answer())
        self.loop.advance(0)
        probe.task.result()
        calls = [
            self.make(Request(), Answer(after_s=0.5)) for _ in range(self.settings.max_connections)
        ]
        self.loop.advance(0.25)
        assert self.transport.in_flight == self.settings.max_connections
        self.loop.advance(0.25)
        for made in calls:
            made.task.result()

    def check_breaker(self) -> None:
        """Check that failures open the breaker, and that after a while a probe decides."""
        self.loop.advance(self.settings.breaker_window_s + 1)
        before = self.transport.attempts
        for _ in range(self.settings.breaker_min_calls + 1):
            rejected = self.make(Request("POST"), Answer("ReadError"))
            self.loop.advance(0)
        assert isinstance(rejected.task.exception(), self.service.circuit_breaker.CircuitOpen)
        assert self.transport.attempts == before + self.settings.breaker_min_calls
        self.loop.advance(self.settings.breaker_open_s)
        states = []
        for answer in (Answer(), Answer("ReadError")):
            self.make(Request("POST"), answer)
            self.loop.advance(0)
            states.append(self.gauge("breaker"))
        # A closed breaker has forgotten the failures that opened it.
        assert states == ["closed", "open" if self.settings.breaker_min_calls == 1 else "closed"]

    def report_events(self) -> None:
        """Report to hypothesis which kinds of events the schedule reached."""
        ended = [made.task for made in self.made if not made.task.cancelled()]
        reached = {type(task.exception()).__name__ for task in ended if task.exception()}
        reached |= {"cancelled" for made in self.made if made.task.cancelled()}
        reached |= {"held"} if self.was_held else set()
        reached |= {"retried" for made in self.made if made.call.attempts > 1}
        for name in sorted(reached):
            event(name)
        event(f"{min(len(self.made) // 5 * 5, 20)} or more calls")

    def close(self) -> None:
        self.loop.run_until_complete(self.loop.shutdown_asyncgens())
        self.loop.close()


async def one_piece() -> AsyncIterator[bytes]:
    yield b"order"


@pytest.fixture(scope="module", params=["httpx", "httpx2"])
def service(request: pytest.FixtureRequest, bake: Bake) -> Iterator[ExploredService]:
    """A service's own modules, imported into this process under a name of their own."""
    package = f"explored_with_{request.param}"
    project = bake(
        http_library=request.param, package_name=package, features="retry, circuit_breaker"
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(project.path / "src")
        service = ExploredService(
            httpx=importlib.import_module(request.param),
            pipeline=importlib.import_module(f"{package}.http_client.pipeline"),
            settings=importlib.import_module(f"{package}.settings"),
            circuit_breaker=importlib.import_module(
                f"{package}.http_client.layers.circuit_breaker"
            ),
        )
        log = logging.getLogger(f"{package}.http_client.layers.call_log")
        log.setLevel(logging.INFO)

        def record(line: logging.LogRecord) -> bool:
            service.logged.append(int(vars(line)["path"].removeprefix("/")))
            return False  # there are thousands

        log.addFilter(record)
        yield service


@pytest.fixture(scope="module")
def garbage_on_demand() -> Iterator[None]:
    """Collect only the test's own garbage, and only where a schedule says so."""
    gc.collect()
    gc.freeze()
    gc.disable()
    yield
    gc.enable()
    gc.unfreeze()


@pytest.mark.usefixtures("garbage_on_demand")
@given(chosen=SETTINGS, closing_s=st.sampled_from([0, 0.25]), schedule=SCHEDULES)
@settings(
    max_examples=700,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
def test_no_schedule_breaks_a_promise(
    service: ExploredService, chosen: dict[str, Any], closing_s: float, schedule: list[Step]
) -> None:
    """Limits apply at every moment, each call ends once and in time, and no slot is lost."""
    explored = Exploration(service, chosen, closing_s)
    try:
        for step in schedule:
            explored.do(step)
        explored.check_ends()
        explored.report_events()
        explored.check_recovery()
        if explored.settings.breaker_failure_ratio is not None:
            explored.check_breaker()
        explored.check_invariants()
    finally:
        explored.close()
