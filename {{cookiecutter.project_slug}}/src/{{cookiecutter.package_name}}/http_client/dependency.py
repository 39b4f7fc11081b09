"""How handlers get their clients: by the name of an upstream, or the default one."""

from collections.abc import Awaitable, Callable

import {{ cookiecutter.__httpx }}
from fastapi.requests import HTTPConnection

from .clients import Clients


def open_clients_of(connection: HTTPConnection) -> Clients:
    """The clients that the lifespan opened; mounted applications share them."""
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
    """A dependency that gives the client of the upstream ``name``, for ``Depends``."""

    async def client(connection: HTTPConnection) -> httpx.AsyncClient:
        clients = open_clients_of(connection)
        try:
            return clients.upstreams[name.lower()].client
        except KeyError:
            raise RuntimeError(
                f"There is no upstream {name!r}. Set APP_UPSTREAMS__{name.upper()}__BASE_URL."
            ) from None

    return client


async def default(connection: HTTPConnection) -> httpx.AsyncClient:
    """The shared client without a base URL; it is there even when there are no upstreams."""
    return open_clients_of(connection).default.client
