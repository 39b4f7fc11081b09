"""An HTTP/2 upstream ends a connection, and yet answers what it has begun (RFC 9113, 6.8)."""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import trustme

from support.generated import Generated
from support.loopback import HOST, free_port
from support.nginx import configure_nginx, nginx_command
from support.rendering import Bake
from support.service import Service

pytestmark = pytest.mark.anyio

CALLS = 30
PER_CONNECTION = 12
SERVERS = """
    server {{
        listen {host}:{plain_port};
        location /livez {{ return 200; }}
    }}
    server {{
        listen {host}:{port} ssl http2;
        ssl_certificate {directory}/server.pem;
        ssl_certificate_key {directory}/server.pem;
        keepalive_requests {requests};
        location / {{ proxy_pass {behind}; }}
    }}
"""


@dataclass
class Shop:
    """The program, which orders at an upstream behind nginx."""

    url: str
    caller: httpx.AsyncClient
    upstream: Any

    async def order(self, path: str, **params: bool) -> int:
        response = await self.caller.post(self.url, params={"path": path, **params})
        return response.status_code


@pytest.fixture(params=["httpx", "httpx2"])
def service(request: pytest.FixtureRequest, bake: Bake) -> Generated:
    return Generated(
        bake(upstreams="", http_library=request.param, http_transport="httpcore", http2=True)
    )


def nginx(directory: Path, port: int, behind: str) -> Service:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(directory / "ca.pem"))
    certificate = authority.issue_cert("localhost")
    certificate.private_key_and_cert_chain_pem.write_to_path(str(directory / "server.pem"))
    process = Service(nginx_command(directory), directory)
    servers = SERVERS.format(
        directory=directory,
        host=HOST,
        plain_port=process.port,
        port=port,
        requests=PER_CONNECTION,
        behind=behind,
    )
    configure_nginx(directory, servers)
    return process


@pytest.fixture
async def shop(service: Generated, tmp_path: Path) -> AsyncGenerator[Shop]:
    port = free_port()
    async with service.Upstream() as behind, httpx.AsyncClient(timeout=60) as caller:
        settings = {
            "base_url": f"https://localhost:{port}",
            "ca_bundle": tmp_path / "ca.pem",
            "max_attempts": 1,
        }
        program = service.start(
            "shop.py", **{f"upstreams__shop__{name}": value for name, value in settings.items()}
        )
        with nginx(tmp_path, port, behind.url.replace("localhost", HOST)), program:
            yield Shop(f"http://{HOST}:{program.port}/orders", caller, behind)


async def test_goaway_loses_no_call(shop: Shop) -> None:
    """Deeper than test_repeats.py: after GOAWAY each POST is sent once and answered."""
    one_by_one = [await shop.order("/") for _ in range(CALLS)]
    at_once = asyncio.gather(*(shop.order("/gate") for _ in range(CALLS)))
    async with asyncio.timeout(20):
        await shop.upstream.busy(CALLS)
    shop.upstream.gate.set()

    assert [200] * 2 * CALLS == one_by_one + await at_once
    assert 2 * CALLS == len(shop.upstream.seen)


async def test_what_cannot_be_sent_again_is_not(shop: Shop) -> None:
    """A streamed request that GOAWAY refuses fails; it does not arrive later without its body."""
    statuses = await asyncio.gather(*(shop.order("/", streamed=True) for _ in range(CALLS)))

    assert {200, 502} == set(statuses)
    assert [b"order"] * statuses.count(200) == [order.body for order in shop.upstream.seen]
