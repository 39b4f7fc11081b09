"""What the layers add to httpx's exceptions, each beneath one that callers already catch."""

import contextlib
import math

import {{ cookiecutter.__httpx }}


class URLNotAllowed(httpx.TransportError):
    """A URL outside the client's upstream; nothing was sent."""


class Refused(httpx.TransportError):
    """The call was rejected before sending; it may be repeated after ``retry_after_s`` seconds."""

    # With a default for ``wait_s``, because pickle and copy give exceptions the message alone.
    def __init__(self, message: str, wait_s: float = 0) -> None:
        super().__init__(message)
        self.retry_after_s = max(1, math.ceil(wait_s))


class Saturated(Refused, httpx.PoolTimeout):
    """MAX_CONNECTIONS calls are under way and none ended within POOL_TIMEOUT_S."""


class RateLimited(Refused, httpx.PoolTimeout):
    """RATE_LIMIT is reached, and will be for longer than POOL_TIMEOUT_S."""


class CircuitOpen(Refused):
    """The breaker refuses calls to an upstream that fails."""


class DeadlineExceeded(httpx.TimeoutException):
    """TOTAL_TIMEOUT_S is over."""


class ResponseTooLarge(httpx.TransportError):
    """The body is larger than MAX_RESPONSE_BYTES."""


# One wording for both engines. The engines' own may tell a whole URL, and so its secrets.
_MESSAGES: dict[type[httpx.TransportError], str] = {
    httpx.ConnectError: "cannot connect",
    httpx.ConnectTimeout: "no connection in time",
    httpx.ReadError: "the connection broke",
    httpx.ReadTimeout: "silence for too long",
    httpx.WriteError: "the connection broke while sending",
    httpx.WriteTimeout: "the request's body is not taken",
    httpx.RemoteProtocolError: "the response is not whole, or not HTTP",
    httpx.ProxyError: "the proxy refused",
    httpx.LocalProtocolError: "the request's URL, headers or length are not valid",
}


def translated(kind: type[httpx.TransportError], error: BaseException) -> httpx.TransportError:
    """An engine's error as httpx's, with the operating system's reason if there is one.

    Raise it ``from None``: a traceback would show the engine's own error, and so the URL.
    """
    message = _MESSAGES.get(kind, "the call failed")
    reason = ""
    cause: BaseException | None = error
    seen: set[BaseException] = set()  # causes may run in a circle
    while cause and cause not in seen and not issubclass(kind, httpx.TimeoutException):
        if isinstance(cause, OSError) and cause.strerror:  # the innermost is the system's own
            reason = f": {cause.strerror}"
        seen.add(cause)
        cause = cause.__cause__ or cause.__context__
    return kind(message + reason)


def upstream_of(failure: Exception) -> str | None:
    """The name of the upstream that a call failed at, if it has one."""
    with contextlib.suppress(RuntimeError):  # which httpx raises when there is no request
        if isinstance(failure, httpx.HTTPError):
            return failure.request.extensions.get("upstream")
    return None
