"""What the engines need of the machine: certificates to trust, names and proxies."""

import asyncio
import contextlib
import select
import socket
import ssl
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from pathlib import Path
from typing import Any

import {{ cookiecutter.__httpx }}
from {{ cookiecutter.http_library }} import _utils

AddressInfo = tuple[socket.AddressFamily, socket.SocketKind, int, str, tuple[str, int]]


@cache  # about 20 ms each, so once for all upstreams and never while serving
def ssl_context(ca_bundle: Path | None, trust_env: bool) -> ssl.SSLContext:
    """The TLS configuration: the library's own authorities, or those of one file alone."""
    if ca_bundle is None:
        return httpx.create_ssl_context(trust_env=trust_env)
    return ssl.create_default_context(cafile=ca_bundle)


def open_socket(address: tuple[int, int, int, str, Any]) -> socket.socket:
    """A socket for an address, of which the kernel notices if its peer is gone without a word."""
    family, kind, protocol, _, _ = address
    opened = socket.socket(family, kind, protocol)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    return opened


def is_readable(fileno: int) -> bool:
    """Whether something has arrived at a socket, or its end; asked of each idle connection."""
    if not hasattr(select, "poll"):  # Windows
        return bool(select.select([fileno], [], [], 0)[0])
    poll = select.poll()
    poll.register(fileno, select.POLLIN)
    return bool(poll.poll(0))


class Names:
    """Looks up the names of one client's hosts, in threads of its own.

    The event loop's threads are few and shared: some names that hang would hold up every client's.
    """

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(8, thread_name_prefix="names")

    async def look_up(self, host: str, port: int) -> list[AddressInfo]:
        """The host's addresses, as ``socket.getaddrinfo`` returns them; raises OSError."""
        look_up = partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, look_up)  # type: ignore[arg-type]
        except UnicodeError:  # a label that is empty or too long
            raise socket.gaierror(socket.EAI_NONAME, "invalid host name") from None


class ConnectionInfo:
    """httpx's extension ``network_stream`` of a response: what it says, not what it could do.

    The connection may carry another caller's exchange already.
    """

    def __init__(self, get_extra_info: Callable[[str], Any]) -> None:
        self.get_extra_info = get_extra_info


class EnvironmentProxies:
    """The proxies that HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY name, as httpx reads them.

    They are read once, and by httpx's own functions, which are private.
    """

    def __init__(self) -> None:
        self._proxies: list[tuple[_utils.URLPattern, str | None]] = []
        for pattern, proxy in _utils.get_environment_proxies().items():
            with contextlib.suppress(httpx.InvalidURL):  # httpx 0.28 fails on [::1]
                self._proxies.append((_utils.URLPattern(pattern), proxy))
        self._proxies.sort(key=lambda each: each[0].priority)
        self._proxy = cache(httpx.Proxy)

    def proxy_for(self, url: httpx.URL) -> httpx.Proxy | None:
        """The proxy of a URL; raises httpx.ProxyError for one that does not speak HTTP."""
        proxy = next((proxy for pattern, proxy in self._proxies if pattern.matches(url)), None)
        if proxy is None:
            return None
        if not proxy.startswith(("http://", "https://")):
            raise httpx.ProxyError("the environment names a proxy that is neither http nor https")
        return self._proxy(proxy)
