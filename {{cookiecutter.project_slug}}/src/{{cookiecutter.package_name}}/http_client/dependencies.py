"""Dependencies that give handlers their clients."""

from collections.abc import Awaitable, Callable
from functools import cache

import {{ cookiecutter.__httpx }}
from fastapi.requests import HTTPConnection

from .clients import Clients


def clients_of(connection: HTTPConnection) -> Clients:
    """Return the clients that the lifespan opened; mounted applications share them."""
    clients = getattr(connection.state, "clients", None)
    if clients is None:
        raise RuntimeError(
            "The HTTP clients are not open. They live as long as the application: run it with "
            "a server, or enter `app.router.lifespan_context(app)` in a test and pass its "
            "state on. An application that mounts this one must run this one's lifespan."
        )
    assert isinstance(clients, Clients)
    return clients


def upstream(name: str) -> Callable[..., Awaitable[httpx.AsyncClient]]:
    """Return a dependency, for ``Depends``, that gives the client of the upstream ``name``."""
    return _upstream(name.lower())


@cache  # one object for each name, so that app.dependency_overrides finds it
def _upstream(name: str) -> Callable[..., Awaitable[httpx.AsyncClient]]:
    async def client(connection: HTTPConnection) -> httpx.AsyncClient:
        clients = clients_of(connection)
        try:
            return clients.upstreams[name].client
        except KeyError:
            raise RuntimeError(
                f"There is no upstream {name!r}. Set APP_UPSTREAMS__{name.upper()}__BASE_URL."
            ) from None

    return client


async def default_client(connection: HTTPConnection) -> httpx.AsyncClient:
    """Give the shared client without a base URL; it exists even without upstreams."""
    return clients_of(connection).default.client
