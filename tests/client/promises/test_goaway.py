"""An HTTP/2 upstream closes a connection but answers the calls in flight (RFC 9113, 6.8)."""

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
    """The program, which sends orders to an upstream behind nginx."""

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
    sequential = [await shop.order("/") for _ in range(CALLS)]
    concurrent = asyncio.gather(*(shop.order("/gate") for _ in range(CALLS)))
    async with asyncio.timeout(20):
        await shop.upstream.wait_for_calls(CALLS)
    shop.upstream.gate.set()

    assert sequential + await concurrent == [200] * 2 * CALLS
    assert len(shop.upstream.seen) == 2 * CALLS


@pytest.mark.parametrize("how", ["streamed", "once"])
async def test_goaway_repeats_no_streamed_request(shop: Shop, how: str) -> None:
    """A request that GOAWAY rejects fails if its body is gone, or its caller wants no repeat."""
    statuses = await asyncio.gather(*(shop.order("/", **{how: True}) for _ in range(CALLS)))

    assert set(statuses) == {200, 502}
    assert [order.body for order in shop.upstream.seen] == [b"order"] * statuses.count(200)
