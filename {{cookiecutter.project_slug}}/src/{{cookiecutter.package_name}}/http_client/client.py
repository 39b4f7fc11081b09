"""The client that handlers are given."""

import asyncio
import contextlib
import math
import re
from contextvars import ContextVar
from typing import Any

import {{ cookiecutter.__httpx }}

from ..settings import HTTPSettings, UpstreamSettings
from .cap import ACCEPT_ENCODING

# In a context and not in the request, because redirects and authentication make their own.
_deadline: ContextVar[float] = ContextVar("deadline")


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
            transport=transport,
            event_hooks={"request": [self._mark], "response": [_drop_unreadable_location]},
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
        self._name = name
        self._total_timeout_s = settings.total_timeout_s

    async def send(self, request: httpx.Request, **options: Any) -> httpx.Response:
        # Here and not in a layer, so that a call has one deadline with all its redirects, and
        # with the requests that an ``httpx.Auth`` sends.
        outer = _deadline.get(math.inf)
        _deadline.set(asyncio.get_running_loop().time() + self._total_timeout_s)
        try:
            response = await super().send(request, **options)
        finally:
            _deadline.set(outer)
        # httpx would look any charset up among Python's codecs, where zlib and idna are, too.
        told = "charset" in response.headers.get("Content-Type", "").lower()
        if told and not _TEXT.fullmatch(response.charset_encoding or ""):
            response.encoding = "utf-8"
        return response

    async def _mark(self, request: httpx.Request) -> None:
        marks = {"deadline": _deadline.get(), "upstream": self._name}
        request.extensions = {**request.extensions, **marks}

    @property
    def cookies(self) -> httpx.Cookies:
        """Always empty: one caller's session must not become another's.

        ``client.get(…, headers={"Cookie": …})`` sends one with that call alone.
        """
        return _NO_COOKIES

    @cookies.setter
    def cookies(self, _: object) -> None:
        raise AttributeError("the client is shared: give the call a Cookie header instead")


async def _drop_unreadable_location(response: httpx.Response) -> None:
    # httpx raises for a Location that it cannot read, also where it is not to follow it.
    if response.has_redirect_location:
        with contextlib.suppress(httpx.InvalidURL, UnicodeError):
            url = httpx.URL(response.headers["Location"])
            if url.scheme and not url.host:
                url.copy_with(host=response.url.host)
            return
        del response.headers["Location"]


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
