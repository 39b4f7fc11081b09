"""The layers of a call, in order: open this file first."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import {{ cookiecutter.__httpx }}
{% if "oauth2" in cookiecutter.features %}
from pydantic import AnyHttpUrl
{% endif %}

from ..settings import HTTPSettings, Settings, UpstreamSettings
{% if "oauth2" in cookiecutter.features %}
from .auth.oauth2 import OAuth2, TokenGate
{% endif %}
from .client import ManagedClient
from .layers.base import Layer
{% if "cache" in cookiecutter.features %}
from .layers.cache import Cache
{% endif %}
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
{% if cookiecutter.__shared_pushback %}
from .layers.shared_pushback import SharedPushback
{% endif %}
{% if cookiecutter.telemetry %}
from .layers.telemetry import Telemetry
{% endif %}
from .layers.timeouts import AttemptTimeout, Deadline
{% if cookiecutter.__shared_state %}
from .shared_state import SharedState
{% endif %}

NewPool = Callable[[HTTPSettings], httpx.AsyncBaseTransport]


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
    new_pool: NewPool,
{% if cookiecutter.__shared_state %}
    shared: SharedState | None = None,
{% endif %}
) -> ClientStack:
    """Build a client on a new connection pool; the default one has no name."""
    http = settings.upstreams[name] if name else settings.http
    base_url = httpx.URL(str(http.base_url)) if isinstance(http, UpstreamSettings) else None
{% if "retry" in cookiecutter.features %}
    pushback = Pushback(http.retry_after_max_s) if http.retry_after_max_s else None
{% endif %}
{% if "oauth2" in cookiecutter.features %}
    oauth2 = _oauth2(name, settings, new_pool)
{% endif %}

    # The outermost first; CallScope, below, encloses them all.
    layers: list[Layer | None] = [
        CallLog(base_url),
{% if cookiecutter.telemetry %}
        Telemetry(name or "default", base_url),
{% endif %}
        OriginGuard(base_url) if base_url else None,
{% if "cache" in cookiecutter.features %}
        Cache(name, http, shared) if http.cache_max_bytes else None,
{% endif %}
{% if "retry" in cookiecutter.features %}
        PushbackGate(pushback, http.backoff_base_s) if pushback else None,
{% endif %}
{% if "oauth2" in cookiecutter.features %}
        TokenGate(oauth2) if oauth2 else None,
{% endif %}
        ConcurrencyLimit(http.max_connections, http.pool_timeout_s),
        Deadline(),
{% if "oauth2" in cookiecutter.features %}
        oauth2,
{% endif %}
{% if "retry" in cookiecutter.features %}
        Retry(http, pushback),
{% endif %}
{% if "circuit_breaker" in cookiecutter.features %}
        # Not for the default client: one failing host would block calls to all others.
        CircuitBreaker(name, http) if name else None,
{% endif %}
{% if "rate_limit" in cookiecutter.features %}
        RateLimit(name, http, shared) if http.rate_limit else None,
{% endif %}
{% if cookiecutter.__shared_pushback %}
        SharedPushback(name, pushback, shared) if pushback and shared else None,
{% endif %}
{% if "retry" in cookiecutter.features %}
        pushback,
{% endif %}
        AttemptTimeout(http) if http.attempt_timeout_s else None,
        ResponseLimit(http.max_response_bytes),
        Send(new_pool(http)),
    ]
    chain = [layer for layer in layers if layer]
    for outer, inner in pairwise(chain):
        outer.inner = inner
    scope = CallScope(name, chain[0])
    client = ManagedClient(name, http, scope)
    return ClientStack(client, scope, base_url, chain[0].gauges)
{% if "oauth2" in cookiecutter.features %}


def _oauth2(name: str | None, settings: Settings, new_pool: NewPool) -> OAuth2 | None:
    """Build the layer, and a client of the token endpoint, if the upstream has one."""
    upstream = settings.upstreams.get(name or "")
    if upstream is None or upstream.oauth2_token_url is None:
        return None
    origin = httpx.URL(str(upstream.oauth2_token_url)).copy_with(raw_path=b"/")
    own = {
        "base_url": AnyHttpUrl(str(origin)),
        "headers": {},
        "oauth2_token_url": None,
{% if "rate_limit" in cookiecutter.features %}
        "rate_limit": None,
{% endif %}
    }
    own_name = f"{name}.token"  # no upstream's name contains a dot
    endpoint = {own_name: upstream.model_copy(update=own)}
    client = build(own_name, settings.model_copy(update={"upstreams": endpoint}), new_pool).client
    return OAuth2(upstream, client)
{% endif %}
