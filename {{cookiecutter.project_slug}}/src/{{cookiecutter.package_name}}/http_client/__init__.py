"""The managed HTTP clients: name one as the type of a parameter, and the handler has it."""

from typing import Annotated

import {{ cookiecutter.__httpx }}
from fastapi import Depends

from .dependency import default, upstream

__all__ = [
    "HTTPClient",
{% for upstream in cookiecutter.upstreams | parse_upstreams %}
    {{ upstream.alias | python_string }},
{% endfor %}
    "upstream",
]

HTTPClient = Annotated[httpx.AsyncClient, Depends(default)]
{% for upstream in cookiecutter.upstreams | parse_upstreams %}
{{ upstream.alias }} = Annotated[httpx.AsyncClient, Depends(upstream({{ upstream.name | python_string }}))]
{% endfor %}
