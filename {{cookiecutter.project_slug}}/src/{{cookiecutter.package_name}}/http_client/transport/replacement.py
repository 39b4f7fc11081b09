"""A transport that replaces the connection pool, such as a mock in a test."""

from typing import Any, Self

import {{ cookiecutter.__httpx }}

from .request import check


class Replacement(httpx.AsyncBaseTransport):
    """Makes any httpx transport fit for the layers.

    It rejects the requests that the pool rejects. Each response is a new object with an unread
    body, because layers change responses, and a mock may return one that is read, or return it
    again. A mock reads streamed request bodies; they are restored, so that they are not repeated.
    """

    def __init__(self, transport: httpx.AsyncBaseTransport) -> None:
        self._transport = transport

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        check(request)
        body = request.stream
        try:
            response = await self._transport.handle_async_request(request)
        finally:
            request.stream = body
        assert isinstance(response.stream, httpx.AsyncByteStream)  # as httpx requires
        return httpx.Response(
            response.status_code,
            headers=response.headers.raw,
            stream=response.stream,
            extensions=response.extensions,
        )

    async def __aenter__(self) -> Self:
        await self._transport.__aenter__()
        return self

    async def __aexit__(self, *error: Any) -> None:
        await self._transport.__aexit__(*error)
