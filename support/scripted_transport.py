"""A transport without a network, for a client's layers to run on.

It answers each attempt as the call's script says, and records each promise that the layers break.
"""

import asyncio
import math
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

NEVER_SENT = ("ConnectError", "ConnectTimeout")
BROKEN = ("ReadError", "ReadTimeout", "RemoteProtocolError", "WriteTimeout")


@dataclass(frozen=True)
class Answer:
    """How the upstream answers one attempt: a status, or the name of an exception of httpx."""

    result: int | str = 200
    after_s: float = 0
    retry_after: str | None = None
    pauses_s: tuple[float, ...] = ()
    """Before each chunk of the body."""
    breaks: bool = False
    """Whether the body breaks off after its last chunk."""


@dataclass
class ScriptedCall:
    """One call: the answers to its attempts, and the record of them."""

    number: int
    """Its path, so that the transport can find its script."""
    answers: tuple[Answer, ...]
    """One for each attempt; the last one also for all further attempts."""
    once: bool = False
    """Whether it must not be repeated after the upstream may have received it."""
    never: bool = False
    """Whether it must not be repeated at all."""
    attempts: int = 0
    begun: list[float] = field(default_factory=list)
    """When each attempt began."""
    in_flight: bool = False
    may_be_received: bool = False
    status: int | None = None
    """That of the response to its newest attempt."""
    deadline: float = math.inf

    @property
    def answer(self) -> Answer:
        """The answer to its newest attempt."""
        return self.answers[min(self.attempts, len(self.answers)) - 1]


@dataclass
class ScriptedTransport:
    """Replaces the connection pool. ``httpx`` is the library that the service was made for."""

    httpx: Any
    max_connections: int
    max_attempts: int
    retry_statuses: tuple[int, ...] = (429, 502, 503, 504)
    hold_max_s: float | None = None
    closing_s: float = 0
    """How long closing an unfinished connection takes; this can be cancelled as well."""
    breaker_state: Callable[[], str] = lambda: "off"
    calls: list[ScriptedCall] = field(default_factory=list)
    broken_promises: list[str] = field(default_factory=list)
    attempts: int = 0
    in_flight: int = 0
    probes: int = 0
    held_until: float = 0
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
        call.status = answer.result
        named = answer.retry_after or ""
        if answer.result in {429, 503} and self.hold_max_s and named.isdecimal():
            ends = asyncio.get_running_loop().time() + min(int(named), self.hold_max_s)
            self.held_until = max(self.held_until, ends)
        headers = {"Retry-After": answer.retry_after} if answer.retry_after else {}
        body = _body_class(self.httpx)(attempt, answer)
        return self.httpx.Response(answer.result, headers=headers, stream=body)

    def _check(self, call: ScriptedCall) -> None:
        now = asyncio.get_running_loop().time()
        state = self.breaker_state()
        forbidden = {
            "more in flight than MAX_CONNECTIONS": self.in_flight >= self.max_connections,
            "more attempts than MAX_ATTEMPTS": call.attempts >= self.max_attempts,
            "an attempt after the deadline": now >= call.deadline,
            "an attempt beside another of its call": call.in_flight,
            "an unsafe repeat": call.once and call.may_be_received,
            "an unwanted repeat": call.never and call.attempts > 0,
            "a repeat after a final status": (
                call.status is not None and call.status not in self.retry_statuses
            ),
            "an attempt during a hold": now < self.held_until,
            "an attempt while the breaker is open": state == "open",
            "a second probe while half-open": state == "half-open" and self.probes > 0,
        }
        self.broken_promises += [promise for promise, broken in forbidden.items() if broken]


class _Attempt:
    """An exchange in flight at the upstream, from its beginning until it is closed."""

    def __init__(self, transport: ScriptedTransport, call: ScriptedCall) -> None:
        self._transport = transport
        self._call = call
        self._probe = transport.breaker_state() == "half-open"
        self._open = True
        self.number = call.number
        self._count(1)
        transport.attempts += 1
        call.attempts += 1
        call.begun.append(asyncio.get_running_loop().time())
        call.may_be_received = True
        call.status = None

    async def close(self, closing_s: float) -> None:
        try:
            await pause(closing_s)
        finally:
            if self._open:
                self._open = False
                self._count(-1)

    def _count(self, change: int) -> None:
        self._transport.in_flight += change
        self._transport.probes += change * self._probe
        self._call.in_flight = change > 0


def _body_class(httpx: Any) -> Any:
    class Body(httpx.AsyncByteStream):  # type: ignore[misc] # known only when the test runs
        def __init__(self, attempt: _Attempt, answer: Answer) -> None:
            self._attempt = attempt
            self._answer = answer
            self._closing_s = attempt._transport.closing_s

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
    """Sleep, unless it is for 0 seconds: reading from a buffer does not wait either."""
    if seconds:
        await asyncio.sleep(seconds)
