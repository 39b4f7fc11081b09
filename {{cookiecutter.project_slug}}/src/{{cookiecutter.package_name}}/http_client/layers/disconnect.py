"""Callers who leave: their calls end, unless one of them may have changed something."""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextvars import ContextVar
from typing import Self

import {{ cookiecutter.__httpx }}
from starlette.types import Message, Receive

from ..errors import ProblemType
from ..timer import SharedTimer
from .call_scope import CallScope

# Most requests have ended by then. Listening takes a task, so only slow ones pay for it.
_LISTEN_AFTER_S = 0.2
# The most of a request body to receive while listening; a longer one hides a disconnect.
_MOST_KEPT_BYTES = 65536
# RFC 9110, 9.2.1, and QUERY of RFC 10008. Any other method is a write.
_SAFE = frozenset({"GET", "HEAD", "OPTIONS", "TRACE", "QUERY"})


class CallerLeft(httpx.TransportError):
    """The caller of this service disconnected, so its call to the upstream ended."""

    problem = ProblemType(499, "caller-left", "The caller disconnected before the response.")


class Caller:
    """Who waits for the response to a request; middleware.py creates it.

    If it leaves before the response starts, its calls raise CallerLeft, and so do later ones. Once
    an upstream may have received a write, none is ended: the handler finishes what it began.
    """

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._receiving = 0
        self._kept: list[Message] = []
        self.pending: asyncio.Task[Message] | None = None
        """Receives the next message, if this class listens."""
        self.waits: set[_Wait] = set()
        self.listen_at: float | None = None
        self.wrote = False
        self.left: bool | None = False
        """None from the start of the response on."""

    async def receive(self) -> Message:
        """Receive for the application, first what arrived while this class listened."""
        self._receiving += 1
        try:
            while not self._kept and self.pending is not None:
                if self.pending.done():  # a disconnect
                    return self.pending.result()
                await asyncio.wait([self.pending])
            return self._kept.pop(0) if self._kept else await self._receive()
        finally:
            self._receiving -= 1

    def listen(self) -> None:
        """Listen for a disconnect, unless the application does, which then reacts itself."""
        kept = sum(len(message.get("body", b"")) for message in self._kept)
        idle = self.pending is None and not self._receiving
        if idle and self.left is not None and kept < _MOST_KEPT_BYTES:
            self.pending = asyncio.get_running_loop().create_task(self._receive_next())

    async def _receive_next(self) -> Message:
        message = await self._receive()
        if message["type"] != "http.disconnect":
            self._kept.append(message)
            self.pending = None
            self.listen()
        elif not self._receiving:
            self._leave()
        return message

    def _leave(self) -> None:
        if self.left is None or self.wrote or any(wait.wrote for wait in self.waits):
            return
        self.left = True
        for wait in self.waits:
            wait.cut()

    def stop(self) -> None:
        """Stop listening: the request is over."""
        self.left = None
        if self.pending is not None:
            self.pending.cancel()


caller: ContextVar[Caller | None] = ContextVar("caller", default=None)


class CancelOnDisconnect(CallScope):
    """End a call if its caller leaves; raises CallerLeft.

    Around CallScope's own work: for the layers, such a call is cancelled like any other.
    """

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        current = caller.get()
        if current is None or current.left is None:
            return await super().handle_async_request(request)
        with _Wait(current, request, self._timer):
            response = await super().handle_async_request(request)
        if request.extensions["call"].streamed:
            response.stream = _Body(response, _Wait(current, request, self._timer))
        return response


class _Wait:
    """A wait of a call, which ends with CallerLeft if the caller leaves."""

    def __init__(self, current: Caller, request: httpx.Request, timer: SharedTimer) -> None:
        self.caller = current
        self._request = request
        self._timer = timer
        self._cut = False

    @property
    def wrote(self) -> bool:
        """Whether the upstream may have received a write."""
        return self._request.method not in _SAFE and self._request.extensions["call"].attempts > 0

    def cut(self) -> None:
        self._cut = True
        self._task.cancel()

    def __enter__(self) -> None:
        current = self.caller
        if current.left:
            raise CallerLeft("the caller disconnected before the call")
        task = asyncio.current_task()
        assert task is not None
        self._task = task
        current.waits.add(self)
        if current.pending is None:
            if current.listen_at is None:
                current.listen_at = asyncio.get_running_loop().time() + _LISTEN_AFTER_S
            self._timer.start(current.listen, current.listen_at)

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.caller.waits.discard(self)
        if not self.caller.waits:
            self._timer.stop(self.caller.listen)
        self.caller.wrote |= self.wrote
        if self._cut:
            self._task.uncancel()
        del self._task  # breaks the cycle: task, response, body, this wait
        if self._cut and kind is asyncio.CancelledError:
            raise CallerLeft("the caller disconnected during the call") from None


class _Body(httpx.AsyncByteStream):
    def __init__(self, response: httpx.Response, wait: _Wait) -> None:
        assert isinstance(response.stream, httpx.AsyncByteStream)
        self._stream = response.stream
        self._wait = wait
        self._chunks: AsyncIterator[bytes]

    def __aiter__(self) -> Self:
        self._chunks = aiter(self._stream)
        return self

    def __anext__(self) -> Awaitable[bytes]:
        started = self._wait.caller.left is None  # as when the body is relayed
        return anext(self._chunks) if started else self._next()

    async def _next(self) -> bytes:
        with self._wait:
            return await anext(self._chunks)

    async def aclose(self) -> None:
        await self._stream.aclose()
