"""Calls a configured upstream, as a first example."""

import re
from collections.abc import AsyncIterator
from typing import Annotated

import {{ cookiecutter.__httpx }}
from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel
from starlette.types import Send

from ..http_client.client import parse_url
from ..http_client.dependencies import clients_of
from ..http_client.errors import ProblemType
from ..http_client.layers.origin_guard import URLNotAllowed
from ..problems import RESPONSES

# Servers reject control characters (RFC 9110, 5.5).
_SENDABLE = re.compile(r"[\t -~\x80-\xff]+")

_WRONG_URL = (httpx.InvalidURL, URLNotAllowed)

router = APIRouter(tags=["external"], responses=RESPONSES)

Target = Annotated[str | None, Query(description="Defaults to the first upstream's base URL.")]


class TargetNotAllowed(httpx.TransportError):
    """The caller's URL is invalid, or not at an upstream; nothing was sent."""

    problem = ProblemType(400, "origin-not-allowed", "The URL must be at an upstream.")


class UpstreamResponse(BaseModel):
    """The upstream's response. Its status is data: a 404 or 503 is not this service's failure."""

    result: str
    status: int


@router.get("/external")
async def external(request: Request, url: Target = None) -> UpstreamResponse:
    """Call a URL at one of the configured upstreams."""
    client, target = _choose_client(request, url)
    # Redirects are returned, not followed: the upstream must not choose where this service connects.
    response = await client.get(target, follow_redirects=False)
    # UTF-7 can encode lone surrogates, which JSON cannot.
    text = response.text.encode("utf-8", "replace").decode()
    return UpstreamResponse(result=text, status=response.status_code)


@router.get("/external/stream", response_class=StreamingResponse)
async def stream(request: Request, url: Target = None) -> Response:
    """Call a URL and relay its response, of any size, as it arrives."""
    return _Relay(*_choose_client(request, url))


def _choose_client(request: Request, url: str | None) -> tuple[httpx.AsyncClient, httpx.URL]:
    clients = clients_of(request)
    if url is None:
        first = next(iter(clients.upstreams.values()), None)
        if first is None or first.base_url is None:
            raise TargetNotAllowed("there is no upstream")
        return first.client, first.base_url
    try:
        target = parse_url(url)
        return clients.for_url(target), target
    except _WRONG_URL:
        raise TargetNotAllowed("the URL is invalid, or not at an upstream") from None


class _Relay(StreamingResponse):
    """Calls the upstream while it is sent, so that a caller who disconnects ends the call."""

    def __init__(self, client: httpx.AsyncClient, target: httpx.URL) -> None:
        super().__init__(())
        self._client = client
        self._target = target

    async def stream_response(self, send: Send) -> None:
        async with self._client.stream(
            "GET", self._target, follow_redirects=False, extensions={"max_response_bytes": None}
        ) as upstream:
            chunks = upstream.aiter_bytes()
            # Wait for the first chunk, so that a failure before it becomes a problem response.
            self.body_iterator = _chain(await anext(chunks, b""), chunks)
            # Some servers send invalid status codes (RFC 9110, 15).
            self.status_code = upstream.status_code if 200 <= upstream.status_code < 600 else 502
            upstream.headers.encoding = "latin-1"  # Starlette's encoding, which any byte survives
            media_type = upstream.headers.get("Content-Type", "")
            if not _SENDABLE.fullmatch(media_type):
                media_type = "text/plain"  # with nosniff, browsers honour it
            self.init_headers(
                {
                    "Content-Type": media_type,
                    # The upstream's pages and scripts must not run in this service's origin.
                    "Content-Security-Policy": "sandbox",
                    "X-Content-Type-Options": "nosniff",
                }
            )
            await super().stream_response(send)


async def _chain(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for chunk in rest:
        yield chunk
