"""The outermost layer: begins each call, and ends it exactly once."""

import contextlib
import math
import time
from contextvars import ContextVar
from datetime import timedelta
from typing import Any, NamedTuple, Self

import {{ cookiecutter.__httpx }}

from ...log import request_id
from ..charset import encoding_of
from .base import Call, Layer
from .streaming import StreamedBody


class Bounds(NamedTuple):
    """What all requests of one ``client.send`` share: redirects, and those of an ``httpx.Auth``."""

    deadline: float
    streamed: bool


bounds: ContextVar[Bounds | None] = ContextVar("bounds", default=None)


class CallScope(httpx.AsyncBaseTransport):
    """The transport that httpx sees: passes each request through the layers, as a Call."""

    def __init__(self, upstream: str | None, inner: Layer) -> None:
        self._upstream = upstream
        self.inner = inner

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        call = Call(self._upstream, *(bounds.get() or Bounds(math.inf, streamed=False)))
        request.extensions = {**request.extensions, "call": call}
        if (own_id := request_id.get()) is not None:
            request.headers.setdefault("X-Request-ID", own_id)
        started = time.perf_counter()
        try:
            response = await self.inner.send(request, call)
        except BaseException as failure:
            call.end(failure)
            raise
        if call.streamed:
            response.stream = StreamedBody(request, response, call)
        else:
            call.end(None)
            # httpx sets it only for bodies that it reads itself.
            response.elapsed = timedelta(seconds=time.perf_counter() - started)
        if response.has_redirect_location and not _is_url(response, request.url.host):
            del response.headers["Location"]
        response.encoding = encoding_of(response)
        return response

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
