"""Opens, drains and closes the clients with the application."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Literal

import {{ cookiecutter.__httpx }}

from ..settings import HTTPSettings, Settings
from .layers.origin_guard import Origin, URLNotAllowed, origin_of
from .pipeline import ClientStack, build
{% if cookiecutter.__shared_state %}
from .shared_state import SharedState
{% endif %}
from .transport.pool import PoolTransport
from .transport.replacement import Replacement

TransportFactory = Callable[[HTTPSettings], httpx.AsyncBaseTransport]
"""Returns the transport that replaces a client's connection pool, below all layers.

Called once for each client, with its settings: HTTPSettings for the default one, UpstreamSettings
for the others. The client opens and closes what it returns.
"""

log = logging.getLogger(__name__)


@dataclass
class Clients:
    """The open clients: the default one, and one for each upstream by name."""

    default: ClientStack
    upstreams: dict[str, ClientStack] = field(default_factory=dict)
    origins: dict[Origin, list[httpx.AsyncClient]] = field(default_factory=dict)
    draining: bool = False

    @property
    def status(self) -> Literal["ready", "draining", "closed"]:
        if self.draining:
            return "draining"
        stacks = (self.default, *self.upstreams.values())
        return "closed" if any(stack.client.is_closed for stack in stacks) else "ready"

    def for_url(self, url: httpx.URL) -> httpx.AsyncClient:
        """Return the client that may call a caller's URL; raises URLNotAllowed if none may."""
        candidates = self.origins.get(origin_of(url))
        if not candidates or url.userinfo:
            raise URLNotAllowed("the URL is not at a configured upstream")

        path = url.raw_path.partition(b"?")[0].rstrip(b"/") + b"/"

        def match_length(client: httpx.AsyncClient) -> int:
            prefix = client.base_url.raw_path  # httpx ends it with a slash
            return len(prefix) if path.startswith(prefix) else -1

        # Upstreams may share a host and differ in path: their credentials are not interchangeable.
        return max(candidates, key=match_length)

    async def drain(self, grace_s: float) -> None:
        """Wait for the calls in flight, at most ``grace_s`` seconds."""
        self.draining = True
        scopes = [stack.scope for stack in (self.default, *self.upstreams.values())]
        try:
            async with asyncio.timeout(grace_s):
                while any(scope.calls for scope in scopes):  # one call may begin another
                    for scope in scopes:
                        await scope.wait_until_idle()
        except TimeoutError:
            log.warning("closing clients with calls in flight", extra={"grace_s": grace_s})


@asynccontextmanager
async def open_clients(
    settings: Settings, transport: TransportFactory | None = None
) -> AsyncGenerator[Clients]:
    """Open all clients; if one fails to open, close those before it again."""
    async with AsyncExitStack() as stack:
        new_pool = (lambda http: Replacement(transport(http))) if transport else PoolTransport
        new_stack = partial(build, settings=settings, new_pool=new_pool)
{% if cookiecutter.__shared_state %}
        if settings.shared_state_url:
            shared = SharedState(settings.shared_state_url)
            stack.push_async_callback(shared.aclose)
            new_stack = partial(new_stack, shared=shared)
{% endif %}
        default = await stack.enter_async_context(_open("default", new_stack(None)))
        clients = Clients(default)
        for name in settings.upstreams:
            opened = await stack.enter_async_context(_open(name, new_stack(name)))
            clients.upstreams[name] = opened
            clients.origins.setdefault(origin_of(opened.client.base_url), []).append(opened.client)
        for url in settings.external_allowed_origins:
            clients.origins.setdefault(origin_of(httpx.URL(str(url))), [clients.default.client])
        try:
            yield clients
        finally:
            await clients.drain(settings.shutdown_grace_s)


@asynccontextmanager
async def _open(name: str, stack: ClientStack) -> AsyncGenerator[ClientStack]:
    fields = {"upstream": name, "client_id": id(stack.client)}
    try:
        async with stack.client.opened():
            log.info("client opened", extra=fields)
            yield stack
    finally:
        log.info("client closed", extra=fields | {"is_closed": stack.client.is_closed})
