"""What the layers add to httpx's exceptions, each beneath one that callers already catch."""

import {{ cookiecutter.__httpx }}


class URLNotAllowed(httpx.TransportError):
    """A URL outside the client's upstream; nothing was sent."""


class Saturated(httpx.PoolTimeout):
    """MAX_CONNECTIONS calls are under way and none ended within POOL_TIMEOUT_S."""

    def __init__(self, message: str, retry_after_s: int) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class CircuitOpen(httpx.TransportError):
    """The breaker refuses calls to an upstream that fails; nothing was sent."""

    def __init__(self, message: str, retry_after_s: int) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class DeadlineExceeded(httpx.TimeoutException):
    """TOTAL_TIMEOUT_S is over."""


class ResponseTooLarge(httpx.TransportError):
    """The body is larger than MAX_RESPONSE_BYTES."""


def upstream_of(failure: Exception) -> str | None:
    """The name of the upstream that a call failed at, if it has one."""
    try:
        request: httpx.Request = failure.request  # type: ignore[attr-defined]
    except (AttributeError, RuntimeError):
        return None
    return request.extensions.get("upstream")
