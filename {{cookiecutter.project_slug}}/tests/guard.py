"""Blocks connections and look-ups that leave this machine; conftest.py fails their tests.

It does not see processes that tests start, nor libraries that open sockets outside of Python.
"""

import errno
import re
import sys
from typing import Any

_LOCAL = re.compile(r"(?i)|([\w-]+[.-])?localhost\.?|(::ffff:)?127(\.\d+){1,3}|0\.0\.0\.0|::1?")
_LOOK_UPS = {"getaddrinfo", "gethostbyname", "gethostbyaddr", "getnameinfo"}

blocked: set[str] = set()
"""The hosts that the current test has tried to reach."""


def block(target: object) -> None:
    """Raise if a host, or the host of an address, is not this machine; and record it."""
    host = target[0] if isinstance(target, tuple) else target
    host = host.decode() if isinstance(host, bytes) else host
    if isinstance(host, str) and not _LOCAL.fullmatch(host):
        blocked.add(host)
        raise PermissionError(errno.EPERM, "blocked by tests/guard.py")


def _audit(event: str, args: tuple[Any, ...]) -> None:
    if event.removeprefix("socket.") in _LOOK_UPS:
        block(args[0])
    elif event in {"socket.connect", "socket.sendto", "socket.sendmsg"}:
        block(args[1] if isinstance(args[1], tuple) else None)  # others are not on a network


def _guard(name: str, position: int, option: str) -> None:
    """Guard a method of uvloop, which connects without Python's sockets and their events."""
    method = getattr(uvloop.Loop, name)

    def guarded(loop: uvloop.Loop, *args: Any, **options: Any) -> Any:
        block(args[position] if len(args) > position else options.get(option))
        return method(loop, *args, **options)

    setattr(uvloop.Loop, name, guarded)


sys.addaudithook(_audit)
if sys.platform != "win32":
    import uvloop

    _guard("create_connection", 1, "host")
    _guard("create_datagram_endpoint", 2, "remote_addr")
    _guard("getaddrinfo", 0, "host")
