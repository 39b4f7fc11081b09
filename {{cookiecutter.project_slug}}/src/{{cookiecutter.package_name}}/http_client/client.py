"""The client that handlers are given."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from contextvars import ContextVar
from functools import lru_cache
from typing import Any, Self

import {{ cookiecutter.__httpx }}

from ..settings import HTTPSettings, UpstreamSettings
from . import defaults
from .auth import AUTH
from .cap import ACCEPT_ENCODING
from .charset import encoding_of
from .layer import Layer

# httpx takes 30 µs for each URL. Those asked for last are kept, unless they are long.
_LONG = 1024
_parsed = lru_cache(256)(httpx.URL)


def parsed_url(url: str) -> httpx.URL:
    """The URL; raises httpx.InvalidURL."""
    return _parsed(url) if len(url) <= _LONG else httpx.URL(url)


# What the layers find in ``request.extensions``: upstream (its name), deadline (by the loop's
# clock), streamed (whether the caller reads the body); and what they keep there: status, attempts.
# In a context until then, because redirects and authentication make requests of their own.
_call: ContextVar[dict[str, Any]] = ContextVar("call")


class ManagedClient(httpx.AsyncClient):
    """An ``httpx.AsyncClient`` that gives each call its deadline, and that no caller can change."""

    _is_shared = False

    def __init__(
        self, name: str | None, settings: HTTPSettings, transport: httpx.AsyncBaseTransport
    ) -> None:
        headers = httpx.Headers({"Accept-Encoding": ACCEPT_ENCODING})
        base_url = ""
        auth = None
        if isinstance(settings, UpstreamSettings):
            base_url = str(settings.base_url)
            for key, value in settings.headers.items():
                headers[key] = value.get_secret_value()
            if settings.bearer_token is not None:
                headers["Authorization"] = f"Bearer {settings.bearer_token.get_secret_value()}"
            if name in AUTH:
                auth = AUTH[name](settings)
        super().__init__(
            auth=auth,
            transport=_Marked(transport),
            base_url=base_url,
            headers=headers,
            follow_redirects=settings.follow_redirects,
            timeout=httpx.Timeout(
                connect=settings.connect_timeout_s,
                read=settings.read_timeout_s,
                write=settings.write_timeout_s,
                pool=settings.pool_timeout_s,
            ),
        )
        # httpx has no public way to keep callers from changing these.
        self._headers = defaults.Headers(self.headers)
        self._cookies = defaults.Cookies()
        self._timeout = defaults.Timeout(self.timeout)
        self._event_hooks = defaults.EventHooks(self.event_hooks)
        self._merged = lru_cache(256)(super()._merge_url)
        self._marks = {"upstream": name, "status": None, "attempts": 0}
        self._now = asyncio.get_running_loop().time
        self._total_timeout_s = settings.total_timeout_s
        self._is_shared = True

    def __setattr__(self, name: str, value: object) -> None:
        if self._is_shared and name in defaults.INSTEAD:
            raise defaults.error(name)
        super().__setattr__(name, value)

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"the client is shared: it keeps its {name}")

    def _merge_url(self, url: httpx.URL | str) -> httpx.URL:
        # httpx parses what it is given, joins it to the base URL and parses that again.
        if isinstance(url, str) and len(url) <= _LONG:
            return self._merged(url)
        return super()._merge_url(url)

    async def send(
        self, request: httpx.Request, *, stream: bool = False, **options: Any
    ) -> httpx.Response:
        if self.is_closed:
            raise RuntimeError(
                "The HTTP client is closed, because its application has ended. Ask for a client "
                "in each handler, or open clients of your own with open_clients()."
            )
        # Here and not in a layer, so that a call has one deadline with all its redirects, and
        # with the requests that an ``httpx.Auth`` sends.
        outer = _call.get({})
        deadline = self._now() + self._total_timeout_s
        _call.set(self._marks | {"deadline": deadline, "streamed": stream})
        try:
            response = await super().send(request, stream=stream, **options)
        finally:
            _call.set(outer)
        if not stream:
            # httpx's own stream and the response hold each other, and so the body for long.
            for each in (response, *response.history):
                each.stream = httpx.ByteStream(b"")
        return response

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        """Leave the client open, as ``aclose`` does."""

    async def aclose(self) -> None:
        """Do nothing, because others use the client as well."""

    @asynccontextmanager
    async def opened(self) -> AsyncGenerator[None]:
        """Open the client and close it for good; for the lifespan alone."""
        await super().__aenter__()
        try:
            yield
        finally:
            await super().__aexit__()


class _Marked(Layer):
    """Attaches the call's state to the request, and hides from httpx what it cannot read."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        request.extensions = {**request.extensions, **_call.get()}
        response = await self.inner.handle_async_request(request)
        if response.has_redirect_location and not _is_readable(response, request.url.host):
            del response.headers["Location"]
        response.encoding = encoding_of(response)
        return response


def _is_readable(redirect: httpx.Response, host: str) -> bool:
    # httpx raises for a Location that it cannot read, also where it is not to follow it.
    with contextlib.suppress(httpx.InvalidURL, UnicodeError):
        url = httpx.URL(redirect.headers["Location"])
        if url.scheme and not url.host:
            url.copy_with(host=host)
        return True
    return False
