"""The innermost layer: hands each request to the transport."""

from typing import Any, Self

import {{ cookiecutter.__httpx }}

from ..errors import StaleConnection
from .base import Call, Layer

# RFC 9110, 9.2.2, and QUERY of RFC 10008.
_IDEMPOTENT = frozenset({"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE", "QUERY"})


class Send(Layer):
    """Send the request; once more, immediately, if the server had closed an idle connection.

    This is connection management (RFC 9112, 9.3.1). It counts as an attempt, and happens only on
    the first one.
    """

    def __init__(self, transport: httpx.AsyncBaseTransport) -> None:
        super().__init__()
        self._transport = transport

    async def send(self, request: httpx.Request, call: Call) -> httpx.Response:
        if request.extensions.get("retry") not in (None, True, False):
            raise ValueError('extensions={"retry": …} must be True, False or None')
        first = call.attempts == 0
        call.attempts += 1
        try:
            return await self._transport.handle_async_request(request)
        except StaleConnection as stale:
            if not first or not is_repeatable(request):
                raise stale.error from None
        call.attempts += 1
        try:
            return await self._transport.handle_async_request(request)
        except StaleConnection as stale:
            raise stale.error from None

    def gauges(self) -> dict[str, int | str]:
        return {"open_connections": getattr(self._transport, "open_connections", 0)}

    async def __aenter__(self) -> Self:
        await self._transport.__aenter__()
        return self

    async def __aexit__(self, *error: Any) -> None:
        await self._transport.__aexit__(*error)


def is_repeatable(request: httpx.Request, *, sent: bool = True) -> bool:
    """Whether the request may be sent again without harm, if it was ``sent`` before.

    ``extensions={"retry": True}`` or ``False`` decides for a call. A body from a generator is gone
    after one attempt.
    """
    if not isinstance(request.stream, httpx.ByteStream):
        return False
    wanted: bool | None = request.extensions.get("retry")
    if wanted is not None:
        return wanted
    return not sent or request.method in _IDEMPOTENT or "Idempotency-Key" in request.headers
