"""Authentication for upstreams that need more than a fixed token or header."""

from collections.abc import Callable

import {{ cookiecutter.__httpx }}

from ...settings import UpstreamSettings

# By the upstream's lowercase name. Each is called once per client, when it opens, so that the state
# of an httpx.Auth belongs to one client and one event loop.
AUTH: dict[str, Callable[[UpstreamSettings], httpx.Auth]] = {}
