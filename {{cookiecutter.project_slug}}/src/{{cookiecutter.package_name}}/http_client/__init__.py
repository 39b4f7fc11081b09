"""The managed HTTP clients. Annotate a parameter of a handler with one to have it injected."""

from typing import Annotated

import {{ cookiecutter.__httpx }}
from fastapi import Depends

from .dependencies import default_client, upstream

__all__ = [
    "HTTPClient",
{% for upstream in cookiecutter.upstreams | parse_upstreams %}
    {{ upstream.alias | python_string }},
{% endfor %}
    "upstream",
]

HTTPClient = Annotated[httpx.AsyncClient, Depends(default_client)]
{% for upstream in cookiecutter.upstreams | parse_upstreams %}
{{ upstream.alias }} = Annotated[httpx.AsyncClient, Depends(upstream({{ upstream.name | python_string }}))]
{% endfor %}
