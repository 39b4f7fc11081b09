"""The origin guard: an upstream's credentials go to that upstream only."""

import {{ cookiecutter.__httpx }}

from ..errors import ProblemType
from .base import Call, Layer

# httpx omits a default port itself, but only after a lowercase scheme.
_DEFAULT_PORTS = {"http": 80, "https": 443}

Origin = tuple[str, bytes, int | None]


class URLNotAllowed(httpx.LocalProtocolError):
    """The URL is outside the client's upstream; nothing was sent."""


class RedirectNotAllowed(URLNotAllowed):
    """The upstream's redirect leads to another origin; it was not followed."""

    problem = ProblemType(502, "upstream-failed", "The upstream redirected to another origin.")


class OriginGuard(Layer):
    """Reject URLs, including redirects, whose scheme, host or port is not the upstream's.

    Raises URLNotAllowed, or RedirectNotAllowed, before anything is sent.
    """

    def __init__(self, base_url: httpx.URL) -> None:
        super().__init__()
        self._origin = origin_of(base_url)
        self._base = f"{base_url.scheme}://{base_url.netloc.decode('ascii')}"

    async def send(self, request: httpx.Request, call: Call) -> httpx.Response:
        if origin_of(request.url) != self._origin:
            kind = RedirectNotAllowed if call.redirected else URLNotAllowed
            raise kind(f"the URL is not at this client's upstream, {self._base}")
        return await self.inner.send(request, call)


def origin_of(url: httpx.URL) -> Origin:
    """Return scheme, host and port (RFC 6454), the default port spelled out."""
    port = _DEFAULT_PORTS.get(url.scheme) if url.port is None else url.port
    return url.scheme, url.raw_host, port
