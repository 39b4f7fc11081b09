"""Calls a configured upstream: to try it out, and as an example."""

import re
from collections.abc import AsyncIterator
from typing import Annotated

import {{ cookiecutter.__httpx }}
from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel
from starlette.types import Send

from ..http_client.client import parsed_url
from ..http_client.dependencies import clients_of
from ..http_client.layers.origin_guard import URLNotAllowed
from ..problems import RESPONSES

# Servers refuse to send control characters (RFC 9110, 5.5).
_SENDABLE = re.compile(r"[\t -~\x80-\xff]+")

router = APIRouter(tags=["external"], responses=RESPONSES)

Target = Annotated[str | None, Query(description="By default the first upstream's base URL.")]


class Answer(BaseModel):
    """What the upstream said; its status is data, and a 404 or 503 no failure of this service."""

    result: str
    status: int


@router.get("/external")
async def external(caller: Request, url: Target = None) -> Answer:
    """Call a URL at one of the configured upstreams."""
    client, target = _allowed(caller, url)
    # An answer that redirects is data as well, and must not choose where this service calls.
    response = await client.get(target, follow_redirects=False)
    # UTF-7 can spell lone surrogates, which JSON cannot carry.
    text = response.text.encode("utf-8", "replace").decode()
    return Answer(result=text, status=response.status_code)


@router.get("/external/stream", response_class=StreamingResponse)
async def stream(caller: Request, url: Target = None) -> Response:
    """The same, passed on while it arrives, of any size and within the total deadline."""
    return _Relay(*_allowed(caller, url))


def _allowed(caller: Request, url: str | None) -> tuple[httpx.AsyncClient, httpx.URL]:
    clients = clients_of(caller)
    if url is None:
        first = next(iter(clients.upstreams.values()), None)
        if first is None:
            raise URLNotAllowed("there is no upstream, so a URL is needed")
        assert first.base_url is not None
        return first.client, first.base_url
    target = parsed_url(url)
    return clients.for_url(target), target


class _Relay(StreamingResponse):
    """Calls the upstream once it is sent, so that a caller who leaves ends the call, too."""

    def __init__(self, client: httpx.AsyncClient, target: httpx.URL) -> None:
        super().__init__(())
        self._client = client
        self._target = target

    async def stream_response(self, send: Send) -> None:
        async with self._client.stream(
            "GET", self._target, follow_redirects=False, extensions={"max_response_bytes": None}
        ) as upstream:
            chunks = upstream.aiter_bytes()
            # Wait for some of the body, so that one that breaks off is told as a problem.
            self.body_iterator = _chain(await anext(chunks, b""), chunks)
            # Some servers answer with numbers that are none (RFC 9110, 15).
            self.status_code = upstream.status_code if 200 <= upstream.status_code < 600 else 502
            upstream.headers.encoding = "latin-1"  # as Starlette writes it, so that any byte passes
            media_type = upstream.headers.get("Content-Type", "")
            if not _SENDABLE.fullmatch(media_type):
                media_type = "text/plain"  # which browsers keep to, because of nosniff
            self.init_headers(
                {
                    "Content-Type": media_type,
                    # Someone else's pages and scripts must not run as this service's own.
                    "Content-Security-Policy": "sandbox",
                    "X-Content-Type-Options": "nosniff",
                }
            )
            await super().stream_response(send)


async def _chain(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for chunk in rest:
        yield chunk
