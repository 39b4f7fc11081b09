"""The layers of a call, in order: open this file first."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import {{ cookiecutter.__httpx }}

from ..settings import Settings, UpstreamSettings
from .client import ManagedClient
from .layers.base import Layer
from .layers.call_log import CallLog
from .layers.call_scope import CallScope
{% if "circuit_breaker" in cookiecutter.features %}
from .layers.circuit_breaker import CircuitBreaker
{% endif %}
from .layers.concurrency_limit import ConcurrencyLimit
from .layers.origin_guard import OriginGuard
{% if "retry" in cookiecutter.features %}
from .layers.pushback import Pushback, PushbackGate
{% endif %}
{% if "rate_limit" in cookiecutter.features %}
from .layers.rate_limit import RateLimit
{% endif %}
from .layers.response_limit import ResponseLimit
{% if "retry" in cookiecutter.features %}
from .layers.retry import Retry
{% endif %}
from .layers.send import Send
{% if cookiecutter.__shared_state and "retry" in cookiecutter.features %}
from .layers.shared_pushback import SharedPushback
{% endif %}
{% if cookiecutter.telemetry %}
from .layers.telemetry import Telemetry
{% endif %}
from .layers.timeouts import AttemptTimeout, Deadline
{% if cookiecutter.__shared_state %}
from .shared_state import SharedState
{% endif %}


@dataclass(frozen=True)
class ClientStack:
    """A client with the layers below it."""

    client: ManagedClient
    scope: CallScope
    base_url: httpx.URL | None
    gauges: Callable[[], dict[str, int | str]]


def build(
    name: str | None,
    settings: Settings,
    transport: httpx.AsyncBaseTransport,
{% if cookiecutter.__shared_state %}
    shared: SharedState | None = None,
{% endif %}
) -> ClientStack:
    """Build a client on a connection pool; the default one has no name."""
    http = settings.upstreams[name] if name else settings.http
    base_url = httpx.URL(str(http.base_url)) if isinstance(http, UpstreamSettings) else None
{% if "retry" in cookiecutter.features %}
    pushback = Pushback(http.retry_after_max_s) if http.retry_after_max_s else None
{% endif %}

    # The outermost first; CallScope, below, encloses them all.
    layers: list[Layer | None] = [
        CallLog(base_url),
{% if cookiecutter.telemetry %}
        Telemetry(name or "default", base_url),
{% endif %}
        OriginGuard(base_url) if base_url else None,
{% if "retry" in cookiecutter.features %}
        PushbackGate(pushback, http.backoff_base_s) if pushback else None,
{% endif %}
        ConcurrencyLimit(http.max_connections, http.pool_timeout_s),
        Deadline(),
{% if "retry" in cookiecutter.features %}
        Retry(http, pushback),
{% endif %}
{% if "circuit_breaker" in cookiecutter.features %}
        # Not for the default client: one failing host would block calls to all others.
        CircuitBreaker(http) if name else None,
{% endif %}
{% if "rate_limit" in cookiecutter.features %}
        RateLimit(name, http, shared) if http.rate_limit else None,
{% endif %}
{% if cookiecutter.__shared_state and "retry" in cookiecutter.features %}
        SharedPushback(name, pushback, shared) if pushback and shared else None,
{% endif %}
{% if "retry" in cookiecutter.features %}
        pushback,
{% endif %}
        AttemptTimeout(http) if http.attempt_timeout_s else None,
        ResponseLimit(http.max_response_bytes),
        Send(transport),
    ]
    chain = [layer for layer in layers if layer]
    for outer, inner in pairwise(chain):
        outer.inner = inner
    scope = CallScope(name, chain[0])
    client = ManagedClient(name, http, scope)
    return ClientStack(client, scope, base_url, chain[0].gauges)
