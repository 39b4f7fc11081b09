"""Opens sockets and resolves host names."""

import asyncio
import errno
import math
import random
import select
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from copy import copy
from functools import lru_cache, partial
from typing import Any

from ...settings import HTTPSettings

_LONGEST_WAIT_S = 1.0  # how long calls wait for DNS if they know older addresses (RFC 8767, 5)
AddressInfo = tuple[socket.AddressFamily, socket.SocketKind, int, str, tuple[str, int]]


def open_socket(address: tuple[int, int, int, str, Any]) -> socket.socket:
    """Open a socket with keep-alive, which lets the kernel detect a peer that vanished."""
    family, kind, protocol, _, _ = address
    opened = socket.socket(family, kind, protocol)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    return opened


def is_readable(fileno: int) -> bool:
    """Whether data or an end of file has arrived at a socket; checked for each idle connection."""
    if not hasattr(select, "poll"):  # Windows
        return bool(select.select([fileno], [], [], 0)[0])
    poll = select.poll()
    poll.register(fileno, select.POLLIN)
    return bool(poll.poll(0))


class Resolver:
    """Looks up the names of one client's hosts, in threads of its own.

    The event loop's threads are few and shared: look-ups that hang would delay every client.
    """

    def __init__(self, settings: HTTPSettings) -> None:
        self._loop = asyncio.get_running_loop()
        self._threads = ThreadPoolExecutor(8, thread_name_prefix="resolver")
        self._running: set[asyncio.Future[list[AddressInfo]]] = set()
        self.stopped = False
        self.name = lru_cache(256)(partial(Name, self, settings))

    def begin(self, host: str, port: int) -> asyncio.Future[list[AddressInfo]]:
        """Begin a look-up."""
        look_up = self._loop.run_in_executor(self._threads, _look_up, host, port)
        self._running.add(look_up)
        look_up.add_done_callback(self._running.discard)
        return look_up

    def stop(self) -> None:
        """Cancel the look-ups, and all later ones fail; one that has begun ends in its thread."""
        self.stopped = True
        for look_up in self._running:
            look_up.cancel()


def _look_up(host: str, port: int) -> list[AddressInfo]:
    try:
        return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)  # type: ignore[return-value]
    except UnicodeError:  # a label that is empty or too long
        raise socket.gaierror(socket.EAI_NONAME, "invalid host name") from None


class Name:
    """A host's name and its addresses, which calls look up again when they are ``due``.

    That is after a third of ``dns_ttl_s``, so that few calls wait for a look-up, and addresses of
    alternating answers stay. A connection is kept while its address is in the last answer, and for
    ``dns_ttl_s`` after the last one that it was in; look-ups that fail change nothing.
    """

    def __init__(self, resolver: Resolver, settings: HTTPSettings, host: str, port: int) -> None:
        self.due = math.inf
        """When calls must ``refresh``, by the event loop's clock."""
        self.answered_at = -math.inf
        """When the last answer was requested."""
        self.seen_at: dict[str, float] = {}
        """For each address, when the last answer that contained it was requested."""
        self.ttl_s = settings.dns_ttl_s
        self.max_age_s = settings.connection_max_age_s or math.inf
        self.now = asyncio.get_running_loop().time
        self._resolver = resolver
        self._target = host, port
        self._found: list[AddressInfo] = []
        self._failure: BaseException | None = None
        self._look_up: asyncio.Future[list[AddressInfo]] | None = None
        self._asked_at = -math.inf

    async def look_up(self) -> list[AddressInfo]:
        """Return the addresses, as ``socket.getaddrinfo`` does; raises OSError."""
        await self.refresh()
        if not self._found and self._look_up is not None:
            await asyncio.wait([self._look_up])
        if not self._found or self._resolver.stopped:
            raise copy(self._failure or OSError(errno.ECANCELED, "the client is closed"))
        family = self._found[0][0]  # the preferred one; connections spread over its addresses
        return sorted(self._found, key=lambda found: (found[0] != family, random.random()))

    async def refresh(self) -> None:
        """Begin a look-up if one is due; wait for it, briefly, if the last was too long ago."""
        now = self.now()
        if self._look_up is None and (now >= self.due or not self._found):
            self._asked_at = now
            self._look_up = self._resolver.begin(*self._target)
            self._look_up.add_done_callback(self._learn)
        if self._look_up is not None and now >= self.due + self.ttl_s * 2 / 3:
            # Cancels nothing: others wait too.
            await asyncio.wait([self._look_up], timeout=self._asked_at + _LONGEST_WAIT_S - now)

    def _learn(self, look_up: asyncio.Future[list[AddressInfo]]) -> None:
        self._look_up = None
        closed = OSError(errno.ECANCELED, "the client is closed")
        self._failure = closed if look_up.cancelled() else look_up.exception()
        if self._failure is not None:
            if self.seen_at:
                self.due = self.now() + self.ttl_s / 3
            if getattr(self._failure, "errno", None) != socket.EAI_AGAIN:
                self._found = []  # new connections must not use the addresses of a name that ended
            return
        self._found = look_up.result()
        self.answered_at = self._asked_at
        still_good = {ip: at for ip, at in self.seen_at.items() if self.now() < at + self.ttl_s}
        self.seen_at = still_good | {ip: self.answered_at for *_, (ip, *_) in self._found}
        # An address needs no further look-ups.
        is_name = self._target[0] not in self.seen_at
        self.due = self.answered_at + self.ttl_s / 3 if is_name else math.inf

    def forget(self) -> None:
        """Look up again before the next call, because a connection has failed."""
        if self._found:
            self.due = -math.inf


class Peer:
    """The host at the other end of a connection."""

    def __init__(self, name: Name, address: str) -> None:
        self.name = name
        self._address = address
        self._expires_at = name.now() + name.max_age_s
        name.seen_at.setdefault(address, name.answered_at)

    def is_current(self) -> bool:
        """Whether the connection may carry another request."""
        name, now = self.name, self.name.now()
        seen_at = name.seen_at.get(self._address, -math.inf)
        return now < self._expires_at and (
            seen_at == name.answered_at or now < seen_at + name.ttl_s
        )


class ConnectionInfo:
    """httpx's extension ``network_stream``, reduced to ``get_extra_info``.

    The connection may already carry another caller's exchange.
    """

    def __init__(self, get_extra_info: Callable[[str], Any]) -> None:
        self.get_extra_info = get_extra_info
