"""Opens sockets and resolves host names."""

import asyncio
import select
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

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

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(8, thread_name_prefix="resolver")

    async def look_up(self, host: str, port: int) -> list[AddressInfo]:
        """Return the host's addresses, as ``socket.getaddrinfo`` does; raises OSError."""
        look_up = partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, look_up)  # type: ignore[arg-type]
        except UnicodeError:  # a label that is empty or too long
            raise socket.gaierror(socket.EAI_NONAME, "invalid host name") from None


class ConnectionInfo:
    """httpx's extension ``network_stream``, reduced to ``get_extra_info``.

    The connection may already carry another caller's exchange.
    """

    def __init__(self, get_extra_info: Callable[[str], Any]) -> None:
        self.get_extra_info = get_extra_info
