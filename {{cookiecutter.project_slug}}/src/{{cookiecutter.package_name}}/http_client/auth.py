"""How upstreams authenticate where a fixed token or header is not enough."""

from collections.abc import Callable

import {{ cookiecutter.__httpx }}

from ..settings import UpstreamSettings

# By an upstream's name, in lower case. Called with its settings once for each client, when it
# opens, so that whatever an httpx.Auth keeps belongs to one client and one event loop.
AUTH: dict[str, Callable[[UpstreamSettings], httpx.Auth]] = {}
