"""The origin guard: what was configured for an upstream goes to that upstream only."""

import {{ cookiecutter.__httpx }}

from .errors import URLNotAllowed
from .layer import Layer

# httpx leaves out a default port itself, but only after a scheme in small letters.
_DEFAULT_PORTS = {"http": 80, "https": 443}

Origin = tuple[str, bytes, int | None]


class OriginGuard(Layer):
    """Refuse URLs, redirects among them, whose scheme, host or port is not the upstream's.

    Raises URLNotAllowed before anything is sent.
    """

    def __init__(self, inner: httpx.AsyncBaseTransport, base_url: httpx.URL) -> None:
        super().__init__(inner)
        self._origin = origin_of(base_url)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if origin_of(request.url) != self._origin:
            raise URLNotAllowed("the URL is not at this client's upstream")
        return await self.inner.handle_async_request(request)


def origin_of(url: httpx.URL) -> Origin:
    """Scheme, host and port (RFC 6454), the default port spelled out."""
    port = _DEFAULT_PORTS.get(url.scheme) if url.port is None else url.port
    return url.scheme, url.raw_host, port
