"""The outermost layer: begins each call, and ends it exactly once."""

import asyncio
import contextlib
import math
import time
from contextvars import ContextVar
from datetime import timedelta
from typing import Any, NamedTuple, Self

import {{ cookiecutter.__httpx }}

from ...log import request_id
from ..charset import encoding_of
from ..timer import SharedTimer
from .base import Call, Layer
from .disconnect import while_caller_waits
from .streaming import StreamedBody


class SendOptions(NamedTuple):
    """Options of one ``client.send``, shared by its redirects and ``httpx.Auth`` requests."""

    deadline: float
    streamed: bool
    stream_s: float | None = None
    """Bounds a streamed body, in seconds; without it, the deadline does."""


send_options: ContextVar[SendOptions | None] = ContextVar("send_options", default=None)


class CallScope(httpx.AsyncBaseTransport):
    """The transport that httpx sees. Wraps each request in a Call."""

    def __init__(self, upstream: str | None, inner: Layer) -> None:
        self._upstream = upstream
        self._timer = SharedTimer()
        self._idle = asyncio.Event()
        self.calls = 0
        self.inner = inner

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        options = send_options.get() or SendOptions(math.inf, streamed=False)
        redirected = "call" in request.extensions  # httpx copies them
        call = Call(self._upstream, options.deadline, options.streamed, redirected)
        request.extensions = {**request.extensions, "call": call}
        own_id = request_id.get()
        if own_id is not None and "X-Request-ID" not in request.headers:
            request.headers["X-Request-ID"] = own_id
        started = time.perf_counter()
        with while_caller_waits(request, self._timer):
            self.calls += 1
            call.on_end(self._end)
            try:
                response = await self.inner.send(request, call)
            except BaseException as failure:
                call.end(failure)
                raise
        if call.streamed:
            if options.stream_s is not None:
                call.deadline = self.inner.now() + options.stream_s
            response.stream = StreamedBody(request, response, call, self._timer)
        else:
            call.end(None)
            # httpx sets ``elapsed`` only for bodies that it reads itself.
            response.elapsed = timedelta(seconds=time.perf_counter() - started)
        if response.has_redirect_location and not _is_url(response, request.url.host):
            del response.headers["Location"]
        response.encoding = encoding_of(response)
        return response

    def _end(self, _: BaseException | None) -> None:
        self.calls -= 1
        if not self.calls:
            self._idle.set()

    async def wait_until_idle(self) -> None:
        """Return when no call is in flight or waiting."""
        while self.calls:
            self._idle.clear()
            await self._idle.wait()

    async def __aenter__(self) -> Self:
        await self.inner.__aenter__()
        return self

    async def __aexit__(self, *error: Any) -> None:
        await self.inner.__aexit__(*error)


def _is_url(redirect: httpx.Response, host: str) -> bool:
    # httpx raises for a Location that it cannot parse, even when it does not follow redirects.
    with contextlib.suppress(httpx.InvalidURL, UnicodeError):
        url = httpx.URL(redirect.headers["Location"])
        if url.scheme and not url.host:
            url.copy_with(host=host)
        return True
    return False
