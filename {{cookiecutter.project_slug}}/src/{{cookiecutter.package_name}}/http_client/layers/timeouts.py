"""The total deadline of a call, and the timeout of each attempt."""

import contextlib

import {{ cookiecutter.__httpx }}

from ..timer import SharedTimer, Timeout
from .base import Call, Layer


class DeadlineExceeded(httpx.TimeoutException):
    """TOTAL_TIMEOUT_S is over."""


class Deadline(Layer):
    """End a call, with all its attempts, at its deadline; raises DeadlineExceeded.

    Reads the body as well, unless the call is streamed: then streaming.py bounds it.
    """

    def __init__(self) -> None:
        super().__init__()
        self._timer = SharedTimer()

    async def send(self, request: httpx.Request, call: Call) -> httpx.Response:
        # A timeout cancels only a wait: without this check, a late call would still be sent.
        if self.now() >= call.deadline:
            raise DeadlineExceeded("total deadline exceeded before the first attempt")
        try:
            with Timeout(self._timer, call.deadline) as call.total_timeout:
                response = await self.inner.send(request, call)
                call.status = response.status_code
                if not call.streamed:
                    await _read(response)
                return response
        except TimeoutError:
            if not call.timed_out:
                raise
            awaited = "waiting for a response" if call.status is None else "reading the body"
            raise DeadlineExceeded(f"total deadline exceeded while {awaited}") from None


async def _read(response: httpx.Response) -> None:
    if isinstance(response.stream, httpx.ByteStream):  # the whole body has arrived
        (response._content,) = response.stream  # as read() does, at a tenth of its cost
        response._num_bytes_downloaded = len(response._content)
        response.is_stream_consumed = response.is_closed = True
    else:
        async with contextlib.aclosing(response):
            await response.aread()
        response.stream = httpx.ByteStream(b"")  # the old one refers to the connection


class AttemptTimeout(Layer):
    """Bound each attempt up to the response's headers, so that a hanging one can be repeated.

    Raises httpx.ReadTimeout, because the upstream may have received the request.
    """

    def __init__(self, timeout_s: float) -> None:
        super().__init__()
        self._timeout_s = timeout_s
        self._timer = SharedTimer()

    async def send(self, request: httpx.Request, call: Call) -> httpx.Response:
        try:
            with Timeout(self._timer, self.now() + self._timeout_s) as timeout:
                return await self.inner.send(request, call)
        except TimeoutError:
            if not timeout.expired:
                raise
            raise httpx.ReadTimeout(f"no response within {self._timeout_s:g} s") from None
