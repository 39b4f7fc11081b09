from typing import Any

import {{ cookiecutter.__httpx }}

from {{ cookiecutter.package_name }}.http_client.pipeline import build

from ..service import layers_of, settings_for
from ..upstream import Upstream


def names_of(name: str | None, **http: Any) -> list[str]:
    """Return the names of the layers of a client with these settings."""
    settings = settings_for(Upstream(url="http://up.example"), **http)
    stack = build(name, settings, lambda _: httpx.AsyncHTTPTransport())
    return [type(layer).__name__ for layer in layers_of(stack)]


async def test_order_of_the_layers() -> None:
    """A call to an upstream passes through all layers, in this order."""
{% if "rate_limit" in cookiecutter.features %}
    assert names_of("up", rate_limit="100/minute") == [
{% else %}
    assert names_of("up") == [
{% endif %}
        "CallLog",
{% if cookiecutter.telemetry %}
        "Telemetry",
{% endif %}
        "OriginGuard",
{% if "retry" in cookiecutter.features %}
        "PushbackGate",
{% endif %}
        "ConcurrencyLimit",
        "Deadline",
{% if "retry" in cookiecutter.features %}
        "Retry",
{% endif %}
{% if "circuit_breaker" in cookiecutter.features %}
        "CircuitBreaker",
{% endif %}
{% if "rate_limit" in cookiecutter.features %}
        "RateLimit",
{% endif %}
{% if "retry" in cookiecutter.features %}
        "Pushback",
{% endif %}
        "AttemptTimeout",
        "ResponseLimit",
        "Send",
    ]


async def test_layers_that_are_left_out() -> None:
    """The default client calls any origin, and ``none`` turns a layer off."""
    assert "OriginGuard" not in names_of(None)
    assert "AttemptTimeout" not in names_of("up", attempt_timeout_s=None)
{% if "retry" in cookiecutter.features %}
    assert "Pushback" not in str(names_of("up", retry_after_max_s=None))
{% endif %}
