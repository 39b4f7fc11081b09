"""The client that handlers are given."""

import asyncio
import contextlib
import re
from contextvars import ContextVar
from functools import lru_cache
from typing import Any

import {{ cookiecutter.__httpx }}

from ..settings import HTTPSettings, UpstreamSettings
from .cap import ACCEPT_ENCODING
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
    """An ``httpx.AsyncClient`` that gives each call its deadline and remembers no cookies."""

    def __init__(
        self, name: str | None, settings: HTTPSettings, transport: httpx.AsyncBaseTransport
    ) -> None:
        headers = httpx.Headers({"Accept-Encoding": ACCEPT_ENCODING})
        base_url = ""
        if isinstance(settings, UpstreamSettings):
            base_url = str(settings.base_url)
            for key, value in settings.headers.items():
                headers[key] = value.get_secret_value()
            if settings.bearer_token is not None:
                headers["Authorization"] = f"Bearer {settings.bearer_token.get_secret_value()}"
        super().__init__(
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
        self._merged = lru_cache(256)(super()._merge_url)
        self._marks = {"upstream": name, "status": None, "attempts": 0}
        self._now = asyncio.get_running_loop().time
        self._total_timeout_s = settings.total_timeout_s

    def _merge_url(self, url: httpx.URL | str) -> httpx.URL:
        # httpx parses what it is given, joins it to the base URL and parses that again.
        if isinstance(url, str) and len(url) <= _LONG:
            return self._merged(url)
        return super()._merge_url(url)

    async def send(
        self, request: httpx.Request, *, stream: bool = False, **options: Any
    ) -> httpx.Response:
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

    @property
    def base_url(self) -> httpx.URL:
        """The upstream's; fixed, since URLs that were joined to it are kept."""
        return super().base_url

    @base_url.setter
    def base_url(self, _: object) -> None:
        raise AttributeError("the client is shared: give the call a whole URL instead")

    @property
    def cookies(self) -> httpx.Cookies:
        """Always empty: one caller's session must not become another's.

        ``client.get(…, headers={"Cookie": …})`` sends one with that call alone.
        """
        return _NO_COOKIES

    @cookies.setter
    def cookies(self, _: object) -> None:
        raise AttributeError("the client is shared: give the call a Cookie header instead")


class _Marked(Layer):
    """Tells the layers about the call, and httpx nothing that it cannot read."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        request.extensions = {**request.extensions, **_call.get()}
        response = await self.inner.handle_async_request(request)
        if response.has_redirect_location and not _is_readable(response, request.url.host):
            del response.headers["Location"]
        # httpx would look any charset up among Python's codecs, where zlib and idna are, too.
        told = "charset" in response.headers.get("Content-Type", "").lower()
        if not told or not _TEXT.fullmatch(response.charset_encoding or ""):
            response.encoding = "utf-8"
        return response


def _is_readable(redirect: httpx.Response, host: str) -> bool:
    # httpx raises for a Location that it cannot read, also where it is not to follow it.
    with contextlib.suppress(httpx.InvalidURL, UnicodeError):
        url = httpx.URL(redirect.headers["Location"])
        if url.scheme and not url.host:
            url.copy_with(host=host)
        return True
    return False


class _NoCookies(httpx.Cookies):
    def extract_cookies(self, response: httpx.Response) -> None:
        """Take nothing, which also saves the 40 µs of parsing that httpx spends per call."""

    def set(self, name: str, value: str, domain: str = "", path: str = "/") -> None:
        raise AttributeError("the client is shared: give the call a Cookie header instead")


_NO_COOKIES = _NoCookies()

# Those that browsers know (the WHATWG's Encoding Standard) and that decode any bytes.
_TEXT = re.compile(
    r"utf-?8|(us-)?ascii|(iso-?8859|latin)[-_]?\d+|(windows-|cp)\d+|koi8-[ru]"
    r"|gb2312|gbk|gb18030|big5|euc-(jp|kr)|shift_jis|macintosh",
    re.IGNORECASE,
)
