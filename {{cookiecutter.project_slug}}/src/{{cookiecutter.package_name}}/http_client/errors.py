"""The base of the client's exceptions, which subclass httpx's, and texts of transport errors."""

import contextlib
import math
from typing import NamedTuple

import {{ cookiecutter.__httpx }}


class ProblemType(NamedTuple):
    """How problems.py answers an exception (RFC 9457)."""

    status: int
    kind: str
    """A stable identifier that programs can compare."""
    detail: str


class Rejected(httpx.TransportError):
    """The attempt was rejected before it was sent.

    A later call may succeed after ``retry_after_s`` seconds.
    """

    problem: ProblemType

    # A default, because pickle and copy pass exceptions only their message.
    def __init__(self, message: str, retry_after_s: float = 0) -> None:
        super().__init__(message)
        self.retry_after_s = max(1, math.ceil(retry_after_s))


class StaleConnection(Exception):
    """A kept connection ended before any of the response arrived.

    Internal to the transport and send.py: ``error`` is what the caller gets.
    """

    def __init__(self, error: httpx.TransportError) -> None:
        super().__init__()
        self.error = error


# One wording for both transports. Their own messages may contain a URL, and so its secrets.
_MESSAGES: dict[type[httpx.TransportError], str] = {
    httpx.ConnectError: "cannot connect",
    httpx.ConnectTimeout: "connect timed out",
    httpx.ReadError: "connection broken while reading",
    httpx.ReadTimeout: "read timed out",
    httpx.WriteError: "connection broken while writing",
    httpx.WriteTimeout: "write timed out: the upstream stopped reading the request body",
    httpx.RemoteProtocolError: "the response was truncated or is not valid HTTP",
    httpx.ProxyError: "the proxy rejected the connection",
    httpx.LocalProtocolError: "invalid URL, headers or length",
}


def translate_error(into: type[httpx.TransportError], error: BaseException) -> httpx.TransportError:
    """Return a transport's error as httpx's, with the operating system's reason if there is one.

    Raise it ``from None``: a traceback would show the original error, and so the URL.
    """
    message = _MESSAGES.get(into, "the call failed")
    reason = ""
    cause: BaseException | None = error
    seen: set[BaseException] = set()  # causes may form a circle
    while cause and cause not in seen and not issubclass(into, httpx.TimeoutException):
        if isinstance(cause, OSError) and cause.strerror:  # the innermost is the system's own
            reason = f": {cause.strerror}"
        seen.add(cause)
        cause = cause.__cause__ or cause.__context__
    return into(message + reason)


def upstream_of(failure: Exception) -> str | None:
    """Return the name of the upstream where a call failed, if it has one."""
    with contextlib.suppress(RuntimeError):  # httpx raises it for an error without a request
        if isinstance(failure, httpx.HTTPError) and "call" in failure.request.extensions:
            name: str | None = failure.request.extensions["call"].upstream
            return name
    return None
