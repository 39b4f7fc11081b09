"""Opens the clients with the application, and drains and closes them with it."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Literal

import {{ cookiecutter.__httpx }}

from ..settings import HTTPSettings, Settings, UpstreamSettings
from .attempt import AttemptTimeout
from .breaker import CircuitBreaker
from .cap import ResponseCap
from .client import ManagedClient
from .deadline import Deadline
from .engine import Engine
from .errors import URLNotAllowed
from .limit import ConcurrencyLimit
from .origin import Origin, OriginGuard, origin_of
from .outcome import Outcome
from .rate import Count, RateLimit
from .retry import Retry
{% if cookiecutter.telemetry %}
from .telemetry import Telemetry
{% endif %}

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Managed:
    """A client, and those of its layers that can be asked how it is."""

    client: ManagedClient
    engine: Engine
    limit: ConcurrencyLimit
    breaker: CircuitBreaker | None
    base_url: httpx.URL | None

    def status(self) -> dict[str, int | str]:
        return {
            "in_flight": self.limit.in_flight,
            "waiting": self.limit.waiting,
            "open_connections": self.engine.open_connections,
            "breaker": self.breaker.state if self.breaker else "off",
        }


CountFor = Callable[[str, str], Count]


def build(
    name: str | None, settings: HTTPSettings, engine: Engine, count_for: CountFor | None = None
) -> Managed:
    """A client and its layers, from the pool outwards; the default one has no name."""
    transport: httpx.AsyncBaseTransport
    transport = ResponseCap(engine, settings.max_response_bytes)
    if settings.attempt_timeout_s is not None:
        transport = AttemptTimeout(transport, settings.attempt_timeout_s)
    if count_for is not None and settings.rate_limit is not None:
        count = count_for(name or "", settings.rate_limit)
        transport = RateLimit(transport, settings.rate_limit, settings.pool_timeout_s, count)
    breaker = None
    # Not for the default client, whose many hosts would break one another's circuit.
    if name is not None and settings.breaker_failure_ratio is not None:
        transport = breaker = CircuitBreaker(transport, settings.breaker_failure_ratio, settings)
    transport = Deadline(Retry(transport, settings))
    transport = limit = ConcurrencyLimit(
        transport, settings.max_connections, settings.pool_timeout_s
    )
    base_url = None
    if isinstance(settings, UpstreamSettings):
        base_url = httpx.URL(str(settings.base_url))
        transport = OriginGuard(transport, base_url)
{% if cookiecutter.telemetry %}
    transport = Telemetry(transport, name or "default", engine, limit, breaker)
{% endif %}
    transport = Outcome(transport)
    return Managed(ManagedClient(name, settings, transport), engine, limit, breaker, base_url)


@dataclass
class Clients:
    """The open clients: the default one, and one for each upstream by name."""

    default: Managed
    upstreams: dict[str, Managed]
    origins: dict[Origin, list[httpx.AsyncClient]] = field(default_factory=dict)
    draining: bool = False

    @property
    def status(self) -> Literal["ready", "draining", "closed"]:
        if self.draining:
            return "draining"
        managed = (self.default, *self.upstreams.values())
        return "closed" if any(each.client.is_closed for each in managed) else "ready"

    def for_url(self, url: httpx.URL) -> httpx.AsyncClient:
        """The client that may call a URL from outside; raises URLNotAllowed if none may."""
        candidates = self.origins.get(origin_of(url))
        if not candidates or url.userinfo:
            raise URLNotAllowed("the URL is not at a configured upstream")

        asked = url.raw_path.partition(b"?")[0].rstrip(b"/") + b"/"

        def fit(client: httpx.AsyncClient) -> int:
            path = client.base_url.raw_path  # to which httpx has added a slash
            return len(path) if asked.startswith(path) else -1

        # Upstreams of one host, each with its path: their credentials are not interchangeable.
        return max(candidates, key=fit)

    async def drain(self, grace_s: float) -> None:
        """Wait for the calls in flight, at most ``grace_s`` seconds."""
        self.draining = True
        try:
            async with asyncio.timeout(grace_s):
                limits = [each.limit for each in (self.default, *self.upstreams.values())]
                while any(limit.in_flight for limit in limits):  # one call may begin another
                    for limit in limits:
                        await limit.idle()
        except TimeoutError:
            log.warning("closing clients with calls in flight", extra={"grace_s": grace_s})


@asynccontextmanager
async def open_clients(settings: Settings) -> AsyncGenerator[Clients]:
    """All clients, open; if one fails to open, those before it are closed again."""
    async with AsyncExitStack() as stack:
        count_for = None
        if any(each.rate_limit for each in (settings.http, *settings.upstreams.values())):
            from .counts import open_counts  # here, because what it imports takes 0.1 s

            counts = await stack.enter_async_context(open_counts(settings.shared_state_url))
            count_for = counts.of
        default = await stack.enter_async_context(_open(None, settings.http, count_for))
        clients = Clients(default, {})
        for name, upstream in settings.upstreams.items():
            managed = await stack.enter_async_context(_open(name, upstream, count_for))
            clients.upstreams[name] = managed
            origin = origin_of(httpx.URL(str(upstream.base_url)))
            clients.origins.setdefault(origin, []).append(managed.client)
        for url in settings.external_allowed_origins:
            clients.origins.setdefault(origin_of(httpx.URL(str(url))), [default.client])
        try:
            yield clients
        finally:
            await clients.drain(settings.shutdown_grace_s)


@asynccontextmanager
async def _open(
    name: str | None, settings: HTTPSettings, count_for: CountFor | None
) -> AsyncGenerator[Managed]:
    managed = build(name, settings, Engine(settings), count_for)
    fields = {"upstream": name or "default", "client_id": id(managed.client)}
    try:
        async with managed.client.opened():
            log.info("client opened", extra=fields)
            yield managed
    finally:
        log.info("client closed", extra=fields | {"is_closed": managed.client.is_closed})
