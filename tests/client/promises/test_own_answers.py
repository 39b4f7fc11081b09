"""Every caller receives the answer to its own call, or an error, whatever the upstream sends.

Callers, unrequested bytes, cuts and cancellations meet on one pool of real connections, in every
order that hypothesis draws. The client's loop turns only when a step lets it, so an example
repeats exactly.
"""

import asyncio
import gc
import importlib
import logging
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from typing import Any

import pytest
import uvloop
from hypothesis import HealthCheck, example, given, note, settings
from hypothesis import strategies as st

from support.generated import COMBINATIONS
from support.rendering import EVERYTHING, Bake

from .stepped_upstream import Peer, SteppedAnswer, SteppedUpstream

LONG_S = 300
# Nothing ends by a timeout, and nothing is repeated after a wait.
SETTINGS = {
    "max_attempts": 1,
    "attempt_timeout_s": None,
    "breaker_failure_ratio": None,
    "keepalive_expiry_s": LONG_S,
    **{f"{what}_timeout_s": LONG_S for what in ("connect", "read", "write", "pool", "total")},
}
MOST_TURNS = 20
"""More than the client's loop needs to send a request."""
HANGS_AFTER_TURNS = 400
STRAY = b"HTTP/1.1 200 OK\r\nX-Answer-To: nobody\r\nContent-Length: 8\r\n\r\n<nobody>"
SURPLUS = (
    STRAY,
    b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\n",
    STRAY[:30],
    b"0\r\n\r\n",
    b"\r\n",
    b"x",
)


@dataclass(frozen=True)
class Arrive:
    """Callers make a call each."""

    calls: int
    method: str
    reader: str
    """How the caller treats the response."""


@dataclass(frozen=True)
class Reply:
    """The upstream begins to answer a request."""

    which: int
    answer: SteppedAnswer


@dataclass(frozen=True)
class Continue:
    """The upstream sends the next packet of an answer."""

    which: int


@dataclass(frozen=True)
class Intrude:
    """The upstream sends bytes on an idle connection."""

    which: int
    data: bytes


@dataclass(frozen=True)
class Cut:
    """The upstream closes a connection."""

    which: int
    during: str
    """The connection's state: ``new``, ``waiting`` for an answer, ``answering``, or ``idle``."""
    reset: bool


@dataclass(frozen=True)
class Cancel:
    """A call is cancelled, perhaps again while it cleans up."""

    which: int
    turns_until_again: int | None


@dataclass(frozen=True)
class Collect:
    """Garbage is collected, abandoned responses with it."""


Step = Arrive | Reply | Continue | Intrude | Cut | Cancel | Collect

WHICH = st.integers(0, 5)
ARRIVALS = st.builds(
    Arrive,
    calls=st.sampled_from([1, 1, 2, 4]),
    method=st.sampled_from(["GET", "POST", "HEAD"]),
    reader=st.sampled_from(["reads", "streams", "stops", "dawdles", "abandons"]),
)


def without_late_surplus(answer: SteppedAnswer) -> SteppedAnswer:
    """The answer without surplus, if that would be body or could leave in a packet of its own."""
    late = answer.framing == "eof" or answer.size == "large"
    return replace(answer, surplus=b"") if late else answer


NO_SURPLUS = [b""] * 2 * len(SURPLUS)
WHOLE = st.builds(SteppedAnswer, surplus=st.sampled_from([*NO_SURPLUS, *SURPLUS]))
IN_PACKETS = st.builds(
    SteppedAnswer,
    status=st.sampled_from([200, 204, 304, 404, 503]),
    framing=st.sampled_from(["length", "length", "chunked", "eof"]),
    size=st.sampled_from(["small", "large", "empty", "aligned"]),
    interim=st.booleans(),
    closes=st.sampled_from([False, False, False, True]),
    surplus=st.sampled_from([*NO_SURPLUS, *SURPLUS]),
    cuts=st.lists(st.sampled_from([100, 500, 900, 990]), min_size=1, max_size=3).map(tuple),
).map(without_late_surplus)
REPLIES = st.builds(Reply, which=WHICH, answer=st.one_of(WHOLE, IN_PACKETS, IN_PACKETS))
CONTINUATIONS = st.builds(Continue, which=WHICH)
INTRUSIONS = st.builds(Intrude, which=WHICH, data=st.sampled_from(SURPLUS))
CUTS = st.builds(
    Cut,
    which=WHICH,
    during=st.sampled_from(["answering", "waiting", "idle", "new"]),
    reset=st.booleans(),
)
CANCELLATIONS = st.builds(Cancel, which=WHICH, turns_until_again=st.sampled_from([None, 0, 1, 2]))
# Drawn as often as it takes that connections are reused, and that most steps find one to act on.
# (st.one_of would ignore a strategy that is given twice.)
WEIGHTS: dict[st.SearchStrategy[Step], int] = {
    ARRIVALS: 3,
    REPLIES: 4,
    CONTINUATIONS: 2,
    INTRUSIONS: 2,
    CUTS: 2,
    CANCELLATIONS: 1,
    st.builds(Collect): 1,
}
STEPS = st.sampled_from([each for each, weight in WEIGHTS.items() for _ in range(weight)]).flatmap(
    lambda each: each
)
# Each with the number of turns that the client's loop then makes.
TURNS = st.sampled_from([MOST_TURNS, 0, 1, 2, 5, 10])
SCHEDULES = st.lists(st.tuples(STEPS, TURNS), min_size=12, max_size=40)


@dataclass(frozen=True)
class ServiceModules:
    """The parts of a generated service that the test calls."""

    httpx: Any
    clients: Any
    errors: Any
    settings: Any


@dataclass(frozen=True)
class Received:
    """The caller's view of a response."""

    status: int
    answer_to: str
    content: bytes
    whole: bool


@dataclass(eq=False)
class PendingCall:
    """A call, and the task that makes it."""

    method: str
    target: str
    task: asyncio.Task[Received]
    cancelled: bool = False


class Exploration:
    """One managed client, its upstream, and the calls between them."""

    def __init__(
        self, service: ServiceModules, loop: asyncio.AbstractEventLoop, slots: int
    ) -> None:
        self.service = service
        self.loop = loop
        self.slots = slots
        self.unhandled: list[object] = []
        loop.set_exception_handler(lambda _, context: self.unhandled.append(context))
        self.upstream = SteppedUpstream()
        self.opened = AsyncExitStack()
        upstream = SETTINGS | {"base_url": self.upstream.url, "max_connections": slots}
        chosen = service.settings.Settings.model_validate(
            {"upstreams": {"upstream": upstream}, "shutdown_grace_s": 0.1}
        )
        clients = loop.run_until_complete(
            self.opened.enter_async_context(service.clients.open_clients(chosen))
        )
        self.stack = clients.upstreams["upstream"]
        self.made = 0
        self.pending: list[PendingCall] = []
        self.faults = 0
        """How often the upstream may have lost a request that it has not seen."""

    def do(self, step: Step, turns: int) -> None:
        """Take a step, and check the calls that end with it."""
        match step:
            case Arrive(calls, method, reader):
                for _ in range(min(calls, self.slots + 1 - len(self.pending))):
                    self.call(method, reader)
            case Reply(which, answer):
                self.with_peer(which, "waiting", lambda peer: peer.answer(answer))
            case Continue(which):
                self.with_peer(which, "answering", Peer.send_next)
            case Intrude(which, data):
                self.with_peer(which, "idle", lambda peer: peer.send_unrequested(data))
            case Cut(which, during, reset):
                self.with_peer(which, during, lambda peer: self.cut(peer, reset))
            case Cancel(which, turns_until_again):
                self.cancel(which, turns_until_again)
            case Collect():
                gc.collect(1)
        for _ in range(turns):
            self.turn()

    def call(self, method: str, reader: str) -> PendingCall:
        """Begin a call; it takes its first step when the loop turns."""
        target = f"/{self.made}"
        self.made += 1
        call = PendingCall(
            method, target, self.loop.create_task(self.perform(method, target, reader))
        )
        self.pending.append(call)
        return call

    async def perform(self, method: str, target: str, reader: str) -> Received:
        client = self.stack.client
        content = target.encode() if method == "POST" else None
        request = client.build_request(method, target, content=content)
        response = await client.send(request, stream=reader != "reads")
        head = response.status_code, response.headers.get("X-Answer-To", "nobody")
        if reader == "reads":
            return Received(*head, response.content, whole=True)
        if reader == "abandons":
            return Received(*head, b"", whole=False)
        content, whole = b"", True
        try:
            if reader == "dawdles":
                for _ in range(2 * MOST_TURNS):
                    await asyncio.sleep(0)
            async for chunk in response.aiter_raw():
                content += chunk
                if reader == "stops":
                    whole = False
                    break
        finally:
            await response.aclose()
        return Received(*head, content, whole)

    def with_peer(self, which: int, state: str, act: Callable[[Peer], None]) -> None:
        """Act on one of the connections in a state, once there is one."""
        for _ in range(1 if state == "answering" else MOST_TURNS):
            if fitting := [peer for peer in self.upstream.peers if peer.state == state]:
                act(fitting[which % len(fitting)])
                return
            if state == "idle":
                self.upstream.go_on()
            elif not self.pending:
                self.call("GET", "reads")
            self.turn()

    def cut(self, peer: Peer, reset: bool) -> None:
        self.faults += 1
        peer.cut(reset=reset)

    def cancel(self, which: int, turns_until_again: int | None) -> None:
        if not self.pending:
            return
        call = self.pending[which % len(self.pending)]
        call.cancelled = True
        call.task.cancel()
        if turns_until_again is not None:
            for _ in range(turns_until_again):
                self.turn()
            call.task.cancel()

    def turn(self) -> None:
        """Let the client's loop run once, and check the calls that it ends."""
        self.loop.call_soon(self.loop.stop)
        self.loop.run_forever()
        self.upstream.receive()
        for call in [call for call in self.pending if call.task.done()]:
            self.pending.remove(call)
            self.check(call)

    def check(self, call: PendingCall) -> None:
        """The call ended with its own answer, or with an error for which there is a reason."""
        exchanges = self.upstream.exchanges[call.target]
        assert len(exchanges) <= (1 if call.method == "POST" else 2), "a call was repeated"
        assert call.task.cancelled() == call.cancelled, "a cancellation was lost, or invented"
        if call.cancelled:
            return
        if failure := call.task.exception():
            expected = (
                isinstance(failure, self.service.httpx.HTTPError)
                or type(failure).__module__ == self.service.errors.__name__
            )
            if not expected:
                raise failure
            lost = self.faults if not exchanges else any(each.broken for each in exchanges)
            if not lost:
                raise AssertionError("a call failed without a reason") from failure
            if call.method != "POST" and len(exchanges) == self.faults == 1:
                assert exchanges[0].status or not exchanges[0].kept, "a call was not repeated"
            return
        received = call.task.result()
        exchange = exchanges[-1]
        assert received.answer_to == call.target, "a caller received another's answer"
        assert received.status == exchange.status, "a response has another's status"
        if received.whole:
            assert exchange.whole, "a response was reported complete before its end"
            assert received.content == exchange.body, "a response has another's body"
        else:
            assert exchange.body.startswith(received.content), "a body begins as another's"

    def until(self, condition: Callable[[], bool], otherwise: str = "a call hangs") -> None:
        """Turn the loop until a condition holds."""
        for turns in range(HANGS_AFTER_TURNS):
            if condition():
                return
            self.turn()
            if turns % 50 == 25:
                gc.collect()  # abandoned responses
            if turns > 200:
                time.sleep(0.001)  # for a kernel that delivers late
        raise AssertionError(otherwise)

    def everything_ends(self) -> None:
        """The upstream answers what is left: every call ends, and every slot is free."""
        self.until(self.nothing_is_pending)
        self.until(lambda: self.stack.gauges()["in_flight"] == 0)
        assert self.stack.gauges()["waiting"] == 0, "a caller waits, and no call is in flight"

    def nothing_is_pending(self) -> bool:
        self.upstream.go_on()
        return not self.pending

    def everything_works(self) -> None:
        """As many calls as there are slots reach the upstream together, and then reuse."""
        before = 0
        for attempt in range(2):
            for _ in range(self.slots):
                self.call("POST", "reads")
            self.until(lambda: self.upstream.count("waiting") == self.slots)
            if attempt:
                assert len(self.upstream.peers) == before, "no connection was reused"
            before = len(self.upstream.peers)
            self.everything_ends()
        self.until(self.each_slot_has_a_connection, "a connection was lost, or left over")

    def each_slot_has_a_connection(self) -> bool:
        opened: int = self.stack.gauges()["open_connections"]
        return opened == self.upstream.count("idle") == self.slots

    def close(self) -> None:
        """Close the client, then the upstream; nothing is left over."""
        try:
            for call in self.pending:  # of an example that failed
                call.task.cancel()
            self.loop.run_until_complete(self.opened.aclose())
            self.loop.run_until_complete(self.loop.shutdown_asyncgens())
            assert not asyncio.all_tasks(self.loop), "a task was left over"
        finally:
            self.upstream.close()
            self.loop.close()
            gc.collect()


def begin(_: object, host: str, port: int) -> asyncio.Future[list[Any]]:
    """Look a name up in this thread, since nobody knows how many turns another one takes."""
    found = asyncio.get_running_loop().create_future()
    found.set_result(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
    return found


@pytest.fixture(scope="module", params=[*COMBINATIONS, "everything"])
def service(request: pytest.FixtureRequest, bake: Bake) -> Iterator[ServiceModules]:
    """A service's own modules, imported into this process under a name of their own."""
    package = f"own_answers_{request.param}".replace("-", "_")
    answers = COMBINATIONS.get(request.param, EVERYTHING)
    project = bake(**answers | {"package_name": package, "upstreams": ""})
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(project.path / "src")
        sockets = importlib.import_module(f"{package}.http_client.transport.sockets")
        patch.setattr(sockets.Resolver, "begin", begin)
        logging.getLogger(package).setLevel(logging.CRITICAL)
        yield ServiceModules(
            httpx=importlib.import_module(str(answers["http_library"])),
            clients=importlib.import_module(f"{package}.http_client.clients"),
            errors=importlib.import_module(f"{package}.http_client.errors"),
            settings=importlib.import_module(f"{package}.settings"),
        )


@pytest.fixture
def unraisable(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[object]]:
    """Warnings and exceptions of finalizers. Garbage is only collected where a test does so."""
    raised: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda args: raised.append(args.exc_value))
    gc.collect()
    gc.freeze()
    gc.disable()
    yield raised
    gc.enable()
    gc.unfreeze()


LOOPS = (asyncio.SelectorEventLoop, uvloop.new_event_loop)
REUSE: list[tuple[Step, int]] = [
    (Arrive(1, "GET", "reads"), MOST_TURNS),
    (Reply(0, SteppedAnswer()), MOST_TURNS),
]
RARE: dict[str, list[tuple[Step, int]]] = {
    "a stray response just before a call": [
        *REUSE,
        (Intrude(0, STRAY), 0),
        (Arrive(1, "POST", "reads"), MOST_TURNS),
    ],
    "a caller that leaves in the middle of a body": [
        (Arrive(1, "GET", "stops"), MOST_TURNS),
        (Reply(0, SteppedAnswer(cuts=(990,))), MOST_TURNS),
        (Arrive(1, "GET", "reads"), MOST_TURNS),
    ],
    "a reset in a body that the end of the connection ends": [
        (Arrive(1, "GET", "streams"), MOST_TURNS),
        (Reply(0, SteppedAnswer(framing="eof", cuts=(990,))), MOST_TURNS),
        (Cut(0, "answering", reset=True), MOST_TURNS),
    ],
    "the end of a connection in a body of known length": [
        (Arrive(1, "GET", "streams"), MOST_TURNS),
        (Reply(0, SteppedAnswer(cuts=(990,))), MOST_TURNS),
        (Cut(0, "answering", reset=False), MOST_TURNS),
    ],
    "surplus that begins where a read of the client ends": [
        (Arrive(1, "GET", "reads"), MOST_TURNS),
        (Reply(0, SteppedAnswer(size="aligned", surplus=STRAY)), MOST_TURNS),
    ],
    "a reset before the client notices that it is connected": [
        (Arrive(1, "POST", "reads"), 2),
        (Cut(0, "new", reset=True), MOST_TURNS),
    ],
    **{
        f"a caller that leaves after {turns} turns": [
            (Arrive(1, "GET", "reads"), turns),
            (Cancel(0, turns_until_again=None), MOST_TURNS),
        ]
        for turns in range(1, 6)
    },
    "a kept connection that ends with a GET": [
        *REUSE,
        (Arrive(1, "GET", "reads"), MOST_TURNS),
        (Cut(0, "waiting", reset=False), MOST_TURNS),
    ],
    "a kept connection that ends with a POST": [
        *REUSE,
        (Arrive(1, "POST", "reads"), MOST_TURNS),
        (Cut(0, "waiting", reset=False), MOST_TURNS),
    ],
}


def explore(
    service: ServiceModules,
    unraisable: list[object],
    loop: asyncio.AbstractEventLoop,
    slots: int,
    schedule: list[tuple[Step, int]],
) -> None:
    """Take the steps, and then see that everything ends and works."""
    unraisable.clear()
    explored = Exploration(service, loop, slots)
    try:
        for step, turns in schedule:
            explored.do(step, turns)
        explored.everything_ends()
        explored.everything_works()
    finally:
        explored.close()
    assert not explored.unhandled, f"the loop had to handle {explored.unhandled}"
    assert not unraisable, f"a finalizer raised {unraisable}"


@pytest.mark.parametrize("new_loop", LOOPS, ids=["asyncio", "uvloop"])
@pytest.mark.parametrize("order", RARE)
def test_rare_orders_break_no_promise(
    service: ServiceModules,
    unraisable: list[object],
    new_loop: Callable[[], asyncio.AbstractEventLoop],
    order: str,
) -> None:
    """Chance draws these orders rarely, and each is one that a transport can get wrong."""
    explore(service, unraisable, new_loop(), 1, RARE[order])


# A cancellation while the pool closes two connections.
@example(
    new_loop=asyncio.SelectorEventLoop,
    slots=3,
    schedule=[
        (Arrive(1, "GET", "reads"), MOST_TURNS),
        (Arrive(2, "GET", "reads"), MOST_TURNS),
        (Reply(0, SteppedAnswer()), MOST_TURNS),
        (Cut(0, "waiting", reset=False), MOST_TURNS),
        (Reply(0, SteppedAnswer(surplus=STRAY, cuts=(100, 500))), MOST_TURNS),
        (Continue(0), MOST_TURNS),
        (Collect(), MOST_TURNS),
        (Intrude(0, STRAY), MOST_TURNS),
        (Reply(0, SteppedAnswer()), MOST_TURNS),
        (Cut(0, "waiting", reset=False), MOST_TURNS),
        (Continue(0), 2),
        (Cancel(0, turns_until_again=None), MOST_TURNS),
    ],
)
@given(
    new_loop=st.sampled_from(LOOPS),
    slots=st.sampled_from([1, 2, 3]),
    schedule=SCHEDULES,
)
@settings(
    max_examples=200,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
def test_every_caller_receives_its_own_answer(
    service: ServiceModules,
    unraisable: list[object],
    new_loop: Callable[[], asyncio.AbstractEventLoop],
    slots: int,
    schedule: list[tuple[Step, int]],
) -> None:
    """Whatever an upstream sends, and whenever it hangs up: no caller sees another's response."""
    note("\n".join([f"{new_loop.__name__}, {slots} slots", *map(str, schedule)]))
    explore(service, unraisable, new_loop(), slots, schedule)
