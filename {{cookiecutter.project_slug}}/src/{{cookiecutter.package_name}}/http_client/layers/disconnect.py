"""Ends the upstream calls of callers who disconnect, unless a write may have been received."""

import asyncio
from contextlib import AbstractContextManager, nullcontext
from contextvars import ContextVar

import {{ cookiecutter.__httpx }}
from starlette.types import Message, Receive, Scope

from ..errors import ProblemType
from ..timer import SharedTimer, Timeout

# Most bytes of a request body to buffer while listening; a longer one hides a disconnect.
_MOST_KEPT_BYTES = 65536
# RFC 9110, 9.2.1, and QUERY of RFC 10008. Any other method is a write.
_SAFE = frozenset({"GET", "HEAD", "OPTIONS", "TRACE", "QUERY"})


class CallerLeft(httpx.TransportError):
    """The caller of this service disconnected, so its call to the upstream ended."""

    problem = ProblemType(499, "caller-left", "The caller disconnected before the response.")


class Caller:
    """The caller of one request, and the upstream calls made for it; middleware.py creates it.

    If it leaves before the response starts, its calls raise CallerLeft, and so do later ones. Once
    an upstream may have received a write, none is ended: the handler finishes what it began.
    """

    left = gone = wrote = answered = _reads_body = False
    _receiving = 0
    _listening: asyncio.Task[None] | None = None

    def __init__(self, scope: Scope, receive: Receive, listen_after_s: float) -> None:
        self._headers = scope["headers"]
        self._receive = receive
        self._kept: list[Message] = []
        self.listen_at = asyncio.get_running_loop().time() + listen_after_s
        self.waits: set[_Wait] = set()

    async def receive(self) -> Message:
        """Receive for the application, first what arrived while this class listened."""
        self._receiving += 1
        self._reads_body = True
        try:
            while self._listening and not self._kept:
                await asyncio.wait([self._listening])
            if self._kept:
                return self._kept.pop(0)
            return {"type": "http.disconnect"} if self.gone else await self._receive()
        finally:
            self._receiving -= 1
            if self.waits and asyncio.get_running_loop().time() >= self.listen_at:
                self.listen()

    def listen(self) -> None:
        """Listen for a disconnect, unless the application does, which then reacts itself."""
        # A server that receives asks the client for its body, which the application may not want.
        if not self._reads_body and any(name == b"expect" for name, _ in self._headers):
            return
        kept = sum(len(message.get("body", b"")) for message in self._kept)
        idle = not (self._receiving or self._listening or self.gone or self.answered)
        if idle and kept < _MOST_KEPT_BYTES:
            self._listening = asyncio.get_running_loop().create_task(self._listen())

    async def _listen(self) -> None:
        message = await self._receive()
        self._listening = None
        if message["type"] != "http.disconnect":
            self._kept.append(message)
            self.listen()
            return
        self.gone = True
        self.wrote |= any(wait.wrote for wait in self.waits)
        self.left = not (self.wrote or self.answered or self._receiving)
        for wait in self.waits if self.left else ():
            wait.cut()

    def stop(self) -> None:
        """Stop listening: the request is over."""
        self.answered = True
        self._kept.clear()  # connections may keep this context
        if self._listening:
            self._listening.cancel()


caller: ContextVar[Caller | None] = ContextVar("caller", default=None)


def while_caller_waits(
    request: httpx.Request, timer: SharedTimer
) -> AbstractContextManager[object]:
    """Return a context that raises CallerLeft if the caller leaves before its response starts.

    Inside, that is a cancellation, so the layers need no case for it.
    """
    current = caller.get()
    if current is None or current.answered:
        return _NOBODY
    if current.left:
        raise CallerLeft("the caller disconnected before the call")
    wait = _Wait(current, request, timer)
    current.waits.add(wait)
    return wait


_NOBODY = nullcontext()


class _Wait(Timeout):
    def __init__(self, current: Caller, request: httpx.Request, timer: SharedTimer) -> None:
        super().__init__(timer, current.listen_at)
        self._caller = current
        self._request = request

    @property
    def wrote(self) -> bool:
        """Whether the upstream may have received a write."""
        return self._request.method not in _SAFE and self._request.extensions["call"].attempts > 0

    def _expire(self) -> None:
        self._caller.listen()

    def cut(self) -> None:
        super()._expire()

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._caller.waits.discard(self)
        self._caller.wrote |= self.wrote
        try:
            super().__exit__(kind)
        except TimeoutError:
            raise CallerLeft("the caller disconnected during the call") from None
