"""The client that handlers receive.

It relies on private parts of httpx: of ``AsyncClient``, ``_build_redirect_request``, ``_cookies``,
``_event_hooks``, ``_headers``, ``_merge_url``, ``_send_handling_auth``, ``_timeout`` and
``_transport``; of ``Response``, in layers/timeouts.py, ``_content`` and ``_num_bytes_downloaded``;
in transport/proxies.py, the module ``_utils``.
tests/http_client/test_same_as_httpx.py notices when they change.
"""

import asyncio
import inspect
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import lru_cache
from typing import Any, Self

import {{ cookiecutter.__httpx }}

from ..settings import HTTPSettings, UpstreamSettings
from . import immutable
from .auth import AUTH
from .layers.call_scope import SendOptions, send_options
from .layers.response_limit import ACCEPT_ENCODING
from .layers.timeouts import raise_bound, timeouts_of

# Parsing a URL takes httpx 30 µs, so recent short ones are cached.
_LONG = 1024
_parse = lru_cache(256)(httpx.URL)
_WITHOUT_BODY = frozenset({"GET", "HEAD", "OPTIONS", "DELETE"})
_PARAMETERS = inspect.signature(httpx.AsyncClient.build_request).parameters
_DEFAULTS = {name: parameter.default for name, parameter in _PARAMETERS.items()}


def parse_url(url: str) -> httpx.URL:
    """Parse a URL; raises httpx.InvalidURL."""
    return _parse(url) if len(url) <= _LONG else httpx.URL(url)


class ManagedClient(httpx.AsyncClient):
    """An ``httpx.AsyncClient`` that gives each call a deadline, and that no caller can change."""

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
            transport=transport,
            base_url=base_url,
            headers=headers,
            follow_redirects=settings.follow_redirects,
            timeout=httpx.Timeout(**settings.timeouts),
        )
        # httpx has no public way to make these immutable.
        self._headers = immutable.Headers(self.headers)
        self._cookies = immutable.Cookies()
        self._timeout = immutable.Timeout(self.timeout)
        self._event_hooks = immutable.EventHooks(self.event_hooks)
        self._merge_cached = lru_cache(256)(super()._merge_url)
        self._headers_to = lru_cache(256)(self._build_headers)
        self._now = asyncio.get_running_loop().time
        self._usual = settings.timeouts
        self._total_s = settings.bound_s("total_timeout_s")
        self._stream_s = settings.stream_timeout_s
        self._is_shared = True

    def __setattr__(self, name: str, value: object) -> None:
        if self._is_shared and name in immutable.INSTEAD:
            raise immutable.error(name)
        super().__setattr__(name, value)

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"the client is shared: {name} cannot be deleted")

    def _merge_url(self, url: httpx.URL | str) -> httpx.URL:
        # httpx parses the URL, joins it to the base URL and parses the result.
        if isinstance(url, str) and len(url) <= _LONG:
            return self._merge_cached(url)
        return super()._merge_url(url)

    def _build_headers(self, netloc: bytes) -> httpx.Headers:
        host = [] if "Host" in self.headers or not netloc else [(b"Host", netloc)]
        return httpx.Headers([*host, *self.headers.raw])

    def build_request(self, method: str, url: httpx.URL | str, **options: Any) -> httpx.Request:
        default = _DEFAULTS.get  # an unknown option counts as given, so that httpx rejects it
        given = {name: value for name, value in options.items() if value is not default(name, ...)}
        if method not in _WITHOUT_BODY or given.keys() - {"headers", "extensions"}:
            return super().build_request(method, url, **options)
        # As httpx does, at a third of its cost: with a stream, it computes no default headers.
        url = self._merge_url(url)
        headers = self._headers_to(url.netloc)
        if "headers" in given:
            headers = httpx.Headers(headers)
            headers.update(given["headers"])
        extensions = {"timeout": dict(self._usual), **given.get("extensions", {})}
        body = httpx.ByteStream(b"")
        request = httpx.Request(method, url, headers=headers, stream=body, extensions=extensions)
        request.read()
        return request

    async def send(
        self, request: httpx.Request, *, stream: bool = False, **options: Any
    ) -> httpx.Response:
        if self.is_closed:
            raise RuntimeError(
                "The HTTP client is closed, because its application has ended. Ask for a client "
                "in each handler, or open clients of your own with open_clients()."
            )
        outer = send_options.get()
        send_options.set(self._send_options(request, stream))
        try:
            return await super().send(request, stream=stream, **options)
        finally:
            send_options.set(outer)

    def _send_options(self, request: httpx.Request, streamed: bool) -> SendOptions:
        total_s, stream_s, extensions = self._total_s, self._stream_s, request.extensions
        if "total_timeout_s" in extensions:  # a streamed body included
            return SendOptions(self._now() + timeouts_of(request)["total"], streamed)
        if extensions.get("timeout") != self._usual:
            total_s = raise_bound(total_s, request, self._usual)
            stream_s = raise_bound(stream_s, request, self._usual)
        return SendOptions(self._now() + total_s, streamed, stream_s)

    async def _send_handling_auth(  # type: ignore[override]
        self, request: httpx.Request, **options: Any
    ) -> httpx.Response:
        current = send_options.get()
        reads_body = current is not None and not current.streamed
        plain = type(options["auth"]) is httpx.Auth and not options["follow_redirects"]
        # httpx rejects a synchronous body.
        if reads_body and plain and isinstance(request.stream, httpx.AsyncByteStream):
            # What httpx does for such a call, at a quarter of its cost.
            for hook in self._event_hooks["request"]:
                await hook(request)
            try:
                response = await self._transport.handle_async_request(request)
            except httpx.RequestError as failure:
                failure.request = request
                raise
            response.request = request
            for hook in self._event_hooks["response"]:
                await hook(response)
            if response.has_redirect_location:
                response.next_request = self._build_redirect_request(request, response)
            return response
        response = await super()._send_handling_auth(request, **options)
        if reads_body:
            # httpx's stream and response reference each other, which would keep the body alive
            # until the next garbage collection.
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
        """Open the client and close it for good; for the lifespan only."""
        await super().__aenter__()
        try:
            yield
        finally:
            await super().__aexit__()
