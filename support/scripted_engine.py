"""An engine without a network: it follows each call's script, and records broken promises."""

import asyncio
import math
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

NEVER_SENT = ("ConnectError", "ConnectTimeout")
BROKEN = ("ReadError", "ReadTimeout", "RemoteProtocolError", "WriteTimeout")


@dataclass(frozen=True)
class Answer:
    """The result of one attempt: a status, or the name of an httpx exception."""

    result: int | str = 200
    after_s: float = 0
    retry_after: str | None = None
    pauses_s: tuple[float, ...] = ()
    """Before each chunk of the body."""
    breaks: bool = False
    """Whether the body breaks off after its last chunk."""


@dataclass
class Call:
    """One call: its script, and what happened to it."""

    number: int
    answers: tuple[Answer, ...]
    """For each attempt; the last one for all that follow."""
    once: bool = False
    """Whether it must not be repeated after it may have been received."""
    attempts: int = 0
    begun: list[float] = field(default_factory=list)
    """When each attempt began."""
    under_way: bool = False
    may_be_received: bool = False
    deadline: float = math.inf

    @property
    def answer(self) -> Answer:
        """The answer to its newest attempt."""
        return self.answers[min(self.attempts, len(self.answers)) - 1]


@dataclass
class ScriptedEngine:
    """A transport in place of the pool; ``httpx`` is the service's client library."""

    httpx: Any
    max_connections: int
    max_attempts: int
    closing_s: float = 0
    """How long it takes to close a connection that is not done; this can be cancelled, too."""
    breaker: Any = None
    calls: list[Call] = field(default_factory=list)
    broken_promises: list[str] = field(default_factory=list)
    attempts: int = 0
    in_flight: int = 0
    probes: int = 0
    open_connections: int = 0

    async def handle_async_request(self, request: Any) -> Any:
        call = self.calls[int(request.url.path.removeprefix("/"))]
        self._check(call)
        attempt = _Attempt(self, call)
        answer = call.answer
        try:
            await pause(answer.after_s)
        except asyncio.CancelledError:
            await attempt.close(self.closing_s)
            raise
        if isinstance(answer.result, str):
            call.may_be_received = answer.result not in NEVER_SENT
            await attempt.close(0)
            raise getattr(self.httpx, answer.result)("as the script says")
        headers = {"Retry-After": answer.retry_after} if answer.retry_after else {}
        body = _body_class(self.httpx)(attempt, answer)
        return self.httpx.Response(answer.result, headers=headers, stream=body)

    async def aclose(self) -> None:
        """Nothing to close."""

    def _check(self, call: Call) -> None:
        now = asyncio.get_running_loop().time()
        state = "off" if self.breaker is None else self.breaker.state
        forbidden = {
            "more in flight than MAX_CONNECTIONS": self.in_flight >= self.max_connections,
            "more attempts than MAX_ATTEMPTS": call.attempts >= self.max_attempts,
            "an attempt after the deadline": now >= call.deadline,
            "an attempt beside another of its call": call.under_way,
            "an unsafe repeat": call.once and call.may_be_received,
            "an attempt while the breaker is open": state == "open",
            "a second probe while half-open": state == "half-open" and self.probes > 0,
        }
        self.broken_promises += [what for what, so in forbidden.items() if so]


class _Attempt:
    """One attempt in flight, until it is closed."""

    def __init__(self, engine: ScriptedEngine, call: Call) -> None:
        self._engine = engine
        self._call = call
        self._probe = engine.breaker is not None and engine.breaker.state == "half-open"
        self._open = True
        self.number = call.number
        self._count(1)
        engine.attempts += 1
        call.attempts += 1
        call.begun.append(asyncio.get_running_loop().time())
        call.may_be_received = True

    async def close(self, closing_s: float) -> None:
        try:
            await pause(closing_s)
        finally:
            if self._open:
                self._open = False
                self._count(-1)

    def _count(self, change: int) -> None:
        self._engine.in_flight += change
        self._engine.probes += change * self._probe
        self._call.under_way = change > 0


def _body_class(httpx: Any) -> Any:
    class Body(httpx.AsyncByteStream):  # type: ignore[misc] # known only when the test runs
        def __init__(self, attempt: _Attempt, answer: Answer) -> None:
            self._attempt = attempt
            self._answer = answer
            self._closing_s = attempt._engine.closing_s

        async def __aiter__(self) -> AsyncIterator[bytes]:
            for pause_s in self._answer.pauses_s:
                await pause(pause_s)
                yield chunk(self._attempt.number)
            if self._answer.breaks:
                raise httpx.RemoteProtocolError("as the script says")
            self._closing_s = 0

        async def aclose(self) -> None:
            await self._attempt.close(self._closing_s)

    return Body


def chunk(number: int) -> bytes:
    """A chunk of the body of the call of this number."""
    return f"{number};".encode()


async def pause(seconds: float) -> None:
    """Sleep, or return immediately for 0 seconds, like a read of buffered bytes."""
    if seconds:
        await asyncio.sleep(seconds)
