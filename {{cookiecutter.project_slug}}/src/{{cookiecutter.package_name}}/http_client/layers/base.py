"""The base class of the layers, and the call that passes through them."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Self

import {{ cookiecutter.__httpx }}

from ..timer import Timeout

OnEnd = Callable[[BaseException | None], None]
"""Called with the exception that ended a call, or with None."""


@dataclass(slots=True, eq=False)
class Call:
    """One request on its way through the layers, and the facts that they share about it.

    ``request.extensions["call"]`` holds it, for the transport and for exception handlers.
    """

    upstream: str | None
    """The upstream's name; None for the default client."""
    deadline: float
    """Deadline of the call, by the event loop's clock; once a body is streamed, that of the body."""
    streamed: bool
    """Whether the caller reads the response's body in pieces."""
    redirected: bool = False
    """Whether an earlier response led to this request."""
    attempts: int = 0
    status: int | None = None
    """The status code that the caller receives."""
{% if "cache" in cookiecutter.features %}
    cache: str | None = None
    """How the cache answered: ``hit``, ``miss``, ``revalidated``, ``stale`` or ``shared``."""
    replaced: str = ""
    """The failure that a stale response replaced."""
{% endif %}
    total_timeout: Timeout | None = None
    body_failed: bool = False
    """Whether the caller's own request body raised an exception."""
    _callbacks: list[OnEnd] = field(default_factory=list)

    @property
    def timed_out(self) -> bool:
        """Whether the total deadline cancelled the call."""
        return self.total_timeout is not None and self.total_timeout.expired

    def on_end(self, callback: OnEnd) -> None:
        """Run the callback when the call ends: its body read, its exception raised, its caller gone."""
        self._callbacks.append(callback)

    def end(self, failure: BaseException | None) -> None:
        """Run the callbacks once, those of the innermost layer first."""
        while self._callbacks:
            self._callbacks.pop()(failure)


class Layer:
    """Does one thing for each call, and leaves the rest to the layer inside it."""

    def __init__(self) -> None:
        self.inner: Layer
        self.now = asyncio.get_running_loop().time

    async def send(self, request: httpx.Request, call: Call) -> httpx.Response:
        """Send the request; raises httpx.HTTPError."""
        return await self.inner.send(request, call)

    def gauges(self) -> dict[str, int | str]:
        """Return the values of this layer and its inner layers for ``/readyz``."""
        return self.inner.gauges()

    async def __aenter__(self) -> Self:
        await self.inner.__aenter__()
        return self

    async def __aexit__(self, *error: Any) -> None:
        await self.inner.__aexit__(*error)
