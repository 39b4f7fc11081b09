"""Proxies from environment variables."""

import contextlib
from functools import cache

import {{ cookiecutter.__httpx }}
from {{ cookiecutter.http_library }} import _utils


class EnvironmentProxies:
    """HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY, read once by httpx's private functions."""

    def __init__(self) -> None:
        self._proxies: list[tuple[_utils.URLPattern, str | None]] = []
        for pattern, proxy in _utils.get_environment_proxies().items():
            with contextlib.suppress(httpx.InvalidURL):  # httpx 0.28 fails on [::1]
                self._proxies.append((_utils.URLPattern(pattern), proxy))
        self._proxies.sort(key=lambda each: each[0].priority)
        self._proxy = cache(httpx.Proxy)

    def proxy_for(self, url: httpx.URL) -> httpx.Proxy | None:
        """Return the proxy for a URL; settings.py has rejected any that is not an HTTP proxy."""
        proxy = next((proxy for pattern, proxy in self._proxies if pattern.matches(url)), None)
        return self._proxy(proxy) if proxy else None
