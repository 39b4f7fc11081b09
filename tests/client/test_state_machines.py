"""Limit, deadline, retry, breaker and attempt timeout together, as a service stacks them: calls
arrive, are answered, fail, are cancelled and left open in every order that hypothesis thinks of.

The one place where the pool is a fake: it is the layers' logic that is explored here.
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
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from support.rendering import Bake
from support.scripted_engine import BROKEN, NEVER_SENT, Answer, Call, ScriptedEngine, chunk, pause
from support.virtual_time import VirtualTimeLoop

# Few, and fractions that binary numbers hold exactly: much then happens at the same instant.
TIMES = st.sampled_from([0, 0.5, 1, 2, 4])
# More than the scripts, the timeouts and the care for streams left open take together.
LONG_S = 500
# For each way to make a call: method, headers, and whether it must not be repeated.
REQUESTS: dict[str, tuple[str, dict[str, str], bool]] = {
    "GET": ("GET", {}, False),
    "POST": ("POST", {}, True),
    "POST with a key": ("POST", {"Idempotency-Key": "1"}, False),
    "PUT from a generator": ("PUT", {}, True),
}


@dataclass(frozen=True)
class Arrive:
    """Some calls are made."""

    calls: int
    request: str
    reader: str
    """How its caller treats the response."""
    pace_s: float
    """Time that the caller takes after each chunk."""
    answers: tuple[Answer, ...]


@dataclass(frozen=True)
class Cancel:
    """One of the pending calls is cancelled; the second time while it cleans up after the first."""

    which: int
    turns_until_again: int | None


@dataclass(frozen=True)
class Turn:
    """The event loop runs so often, and no time passes."""

    turns: int


@dataclass(frozen=True)
class Wait:
    """Time passes; before that what nobody holds any more may be collected."""

    seconds: float
    collect: bool


SETTINGS = st.fixed_dictionaries(
    {
        "max_connections": st.integers(1, 2),
        "pool_timeout_s": st.sampled_from([0.5, 2, 8]),
        "attempt_timeout_s": st.sampled_from([1, 2, None]),
        "total_timeout_s": st.sampled_from([1, 4, 16]),
        "max_attempts": st.integers(1, 4),
        "backoff_base_s": st.sampled_from([0.5, 2]),
        "retry_budget": st.sampled_from([1, 0.2, 0]),
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
            Answer("ConnectError"),
            Answer("RemoteProtocolError"),
        ]
    ),
    st.builds(
        Answer,
        result=st.sampled_from([200, 404, 429, 503, *NEVER_SENT, *BROKEN, "LocalProtocolError"]),
        after_s=st.one_of(TIMES, st.just(100)),
        retry_after=st.sampled_from([None, "0", "1", "9999", "soon"]),
        pauses_s=st.lists(TIMES, max_size=3).map(tuple),
        breaks=st.booleans(),
    ),
)
ARRIVALS = st.builds(
    Arrive,
    calls=st.integers(1, 4),
    request=st.sampled_from(list(REQUESTS)),
    reader=st.sampled_from(["reads", "streams", "stops", "fails", "abandons", "keeps"]),
    pace_s=TIMES,
    answers=st.lists(ANSWERS, min_size=1, max_size=3).map(tuple),
)
SCHEDULES = st.lists(
    st.one_of(
        ARRIVALS,
        ARRIVALS,  # twice, so that most of what else happens meets some
        st.builds(
            Cancel,
            which=st.integers(0, 9),
            turns_until_again=st.sampled_from([None, 0, 1, 2]),
        ),
        st.builds(Turn, turns=st.integers(1, 4)),
        st.builds(Wait, seconds=st.sampled_from([0.25, 0.5, 1, 2, 8]), collect=st.booleans()),
    ),
    min_size=8,
    max_size=24,
)


@dataclass(frozen=True)
class ExploredService:
    """What is explored of a rendered service."""

    httpx: Any
    clients: Any
    errors: Any
    settings: Any
    logged: list[int] = field(default_factory=list)
    """The numbers of the calls that it has logged."""


@dataclass
class Made:
    """A call that was made, and the task that makes it."""

    call: Call
    task: asyncio.Task[bytes | None]
    pace_s: float
    cancelled_at: float | None = None
    ended_at: float | None = None


class CallerError(Exception):
    """A caller's own mistake while it reads a response."""


class Exploration:
    """A managed client on a scripted engine, and the calls made with it."""

    def __init__(self, service: ExploredService, chosen: dict[str, Any], closing_s: float) -> None:
        self.loop = VirtualTimeLoop()
        self.unhandled: list[dict[str, Any]] = []
        self.loop.set_exception_handler(lambda _, context: self.unhandled.append(context))
        self.service = service
        service.logged.clear()
        self.settings = service.settings.UpstreamSettings(
            base_url="http://upstream.invalid", **chosen
        )
        self.engine = ScriptedEngine(
            service.httpx, chosen["max_connections"], chosen["max_attempts"], closing_s
        )
        self.managed = self.loop.run_until_complete(self._build())
        self.engine.breaker = self.managed.breaker
        self.made: list[Made] = []
        self.kept: list[Any] = []

    async def _build(self) -> Any:
        return self.service.clients.build("upstream", self.settings, self.engine)

    def do(self, step: Arrive | Cancel | Turn | Wait) -> None:
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
        self.nothing_forbidden_happened()

    def make(
        self, request: str, *answers: Answer, reader: str = "reads", pace_s: float = 0
    ) -> Made:
        """Begin a call; it takes its first step when the loop runs next."""
        call = Call(len(self.engine.calls), answers, once=REQUESTS[request][2])
        self.engine.calls.append(call)
        task = self.loop.create_task(self._perform(call, request, reader, pace_s))
        made = Made(call, task, pace_s)
        task.add_done_callback(lambda _: setattr(made, "ended_at", self.loop.time()))
        self.made.append(made)
        return made

    async def _perform(self, call: Call, request: str, reader: str, pace_s: float) -> bytes | None:
        call.deadline = self.loop.time() + self.settings.total_timeout_s
        method, headers, _ = REQUESTS[request]
        content = one_piece() if request == "PUT from a generator" else None
        client = self.managed.client
        built = client.build_request(method, f"/{call.number}", headers=headers, content=content)
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

    def nothing_forbidden_happened(self) -> None:
        """What holds at every moment."""
        limit = self.managed.limit
        assert self.engine.broken_promises == []
        assert self.unhandled == []
        assert self.engine.in_flight <= limit.in_flight <= self.settings.max_connections
        assert not limit.waiting or limit.in_flight == self.settings.max_connections
        retries = sum(max(0, made.call.attempts - 1) for made in self.made)
        earned = self.settings.retry_budget * len(self.made) + self.loop.time()
        assert retries <= 10 + earned

    def everything_ends(self) -> None:
        """Each call ends in time, in a way that its caller can know, and leaves nothing."""
        self.loop.advance(LONG_S)
        self.nothing_forbidden_happened()
        for made in self.made:
            assert made.task.done()
            self.ended_well(made)
        begun = [made.call.number for made in self.made if made.call.deadline < math.inf]
        assert sorted(self.service.logged) == begun
        assert self.engine.in_flight == 0
        assert (self.managed.limit.in_flight, self.managed.limit.waiting) == (0, 0)

    def ended_well(self, made: Made) -> None:
        cancelled = made.cancelled_at is not None
        assert made.task.cancelled() == cancelled, "a cancellation was lost, or invented"
        due = made.call.deadline if made.cancelled_at is None else made.cancelled_at
        assert made.ended_at is not None
        assert made.ended_at <= due + made.pace_s + self.engine.closing_s
        if cancelled:
            return
        failure = made.task.exception()
        assert failure is None or isinstance(failure, (self.service.httpx.HTTPError, CallerError))
        if failure is None and (content := made.task.result()) is not None:
            answer = made.call.answer
            assert content == chunk(made.call.number) * len(answer.pauses_s)
            assert not answer.breaks

    def everything_works(self) -> None:
        """The upstream is well again: so is every place, after a single probe."""
        self.loop.advance(self.settings.breaker_open_s)
        probe = self.make("GET", Answer())
        self.loop.advance(0)
        probe.task.result()
        calls = [
            self.make("GET", Answer(after_s=0.5)) for _ in range(self.settings.max_connections)
        ]
        self.loop.advance(0.25)
        assert self.engine.in_flight == self.settings.max_connections
        self.loop.advance(0.25)
        for made in calls:
            made.task.result()

    def the_breaker_works(self) -> None:
        """The upstream fails: after so many attempts it is left alone, and then tried again."""
        self.loop.advance(self.settings.breaker_window_s + 1)
        before = self.engine.attempts
        for _ in range(self.settings.breaker_min_calls + 1):
            refused = self.make("POST", Answer("ReadError"))
            self.loop.advance(0)
        assert isinstance(refused.task.exception(), self.service.errors.CircuitOpen)
        assert self.engine.attempts == before + self.settings.breaker_min_calls
        self.loop.advance(self.settings.breaker_open_s)
        states = []
        for answer in (Answer(), Answer("ReadError")):
            self.make("POST", answer)
            self.loop.advance(0)
            states.append(self.managed.breaker.state)
        # What was counted before is forgotten.
        assert states == ["closed", "open" if self.settings.breaker_min_calls == 1 else "closed"]

    def close(self) -> None:
        self.loop.run_until_complete(self.loop.shutdown_asyncgens())
        self.loop.close()


async def one_piece() -> AsyncIterator[bytes]:
    yield b"order"


@pytest.fixture(scope="module", params=["httpx", "httpx2"])
def service(request: pytest.FixtureRequest, bake: Bake) -> Iterator[ExploredService]:
    """A service's own modules, imported into this process under a name of their own."""
    package = f"explored_with_{request.param}"
    project = bake(http_library=request.param, package_name=package)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(project.path / "src")
        service = ExploredService(
            httpx=importlib.import_module(request.param),
            clients=importlib.import_module(f"{package}.http_client.clients"),
            errors=importlib.import_module(f"{package}.http_client.errors"),
            settings=importlib.import_module(f"{package}.settings"),
        )
        log = logging.getLogger(f"{package}.http_client.outcome")
        log.setLevel(logging.INFO)

        def note(line: logging.LogRecord) -> bool:
            service.logged.append(int(vars(line)["path"].removeprefix("/")))
            return False  # there are thousands

        log.addFilter(note)
        yield service


@pytest.fixture(scope="module")
def garbage_on_demand() -> Iterator[None]:
    """Collect garbage only where a schedule says so, and only that of the test."""
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
def test_whatever_the_order_no_promise_is_broken(
    service: ExploredService,
    chosen: dict[str, Any],
    closing_s: float,
    schedule: list[Arrive | Cancel | Turn | Wait],
) -> None:
    """Never more calls, attempts, probes or repeats than allowed, and never a place lost."""
    explored = Exploration(service, chosen, closing_s)
    try:
        for step in schedule:
            explored.do(step)
        explored.everything_ends()
        explored.everything_works()
        if explored.managed.breaker is not None:
            explored.the_breaker_works()
        explored.nothing_forbidden_happened()
    finally:
        explored.close()
