"""Makes ``moving.test`` a name with the address that a file contains, for every kind of look-up."""

import os
import socket
from pathlib import Path
from typing import Any

import uvloop


def _address_of(host: Any) -> Any:
    if host not in ("moving.test", b"moving.test"):
        return host
    return Path(os.environ["MOVING_NAME"]).read_text(encoding="utf-8")


def install() -> None:
    """Replace Python's look-up, and uvloop's own."""
    look_up, look_up_in_loop = socket.getaddrinfo, uvloop.Loop.getaddrinfo

    def getaddrinfo(host: Any, *args: Any, **options: Any) -> Any:
        return look_up(_address_of(host), *args, **options)

    def getaddrinfo_in_loop(loop: Any, host: Any, *args: Any, **options: Any) -> Any:
        return look_up_in_loop(loop, _address_of(host), *args, **options)

    socket.getaddrinfo = getaddrinfo
    setattr(uvloop.Loop, "getaddrinfo", getaddrinfo_in_loop)  # noqa: B010 - mypy rejects a method
