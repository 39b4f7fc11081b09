"""What the layers rely on: one connection is reused, and errors mean what httpx says."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import {{ cookiecutter.__httpx }}
import pytest
import trustme

from {{ cookiecutter.package_name }}.http_client.network import ssl_context

from ..service import client_for, streamed
from ..upstream import Upstream


async def test_one_connection_serves_sequential_calls(
    client: httpx.AsyncClient, upstream: Upstream
) -> None:
    """A thousand calls, one after the other, need one connection."""
    for _ in range(1000):
        await client.get("/")

    assert (len(upstream.seen), upstream.connections) == (1000, 1)


async def test_connection_left_idle_is_not_used_again(upstream: Upstream) -> None:
    """After KEEPALIVE_EXPIRY_S the upstream may be about to cut it, so a new one is opened."""
    async with client_for(upstream, keepalive_expiry_s=0.1) as client:
        await client.get("/")
        await asyncio.sleep(0.3)
        await client.get("/")

    assert upstream.connections == 2


async def test_large_bodies_both_ways(client: httpx.AsyncClient, upstream: Upstream) -> None:
    """Bodies larger than any buffer arrive whole, from bytes and from a generator."""
    await client.post("/", content=b"x" * 5_000_000)
    await client.post("/", content=streamed(*[b"x" * 100_000] * 50))
    received = await client.get("/large/5000000")

    assert [len(request.body) for request in upstream.seen[:2]] == [5_000_000] * 2
    assert len(received.content) == 5_000_000


async def test_long_headers_and_expectations(client: httpx.AsyncClient) -> None:
    """Header lines of 40 kB arrive, and no 100 is waited for, which most servers never send."""
    url, headers = f"/?x={'y' * 40_000}", {"Expect": "100-continue"}
    async with asyncio.timeout(5):
        response = await client.post(url, content=b"x", headers=headers)

    assert len(response.headers["x"]) == 40_000


async def test_upstream_that_does_not_read(upstream: Upstream) -> None:
    """A body that is not taken ends with a timeout, which is its own where the system has one."""
    expected = httpx.WriteTimeout if hasattr(socket, "TCP_USER_TIMEOUT") else httpx.ReadTimeout
    async with client_for(upstream, write_timeout_s=0.5, attempt_timeout_s=5) as client:
        with pytest.raises(expected):
            await client.post("/deaf", content=b"x" * 30_000_000)


async def test_tls(tmp_path: Path) -> None:
    """A certificate is trusted through CA_BUNDLE, read once for all, and not without it."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    bundle = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(bundle))
    async with Upstream(tls=context) as upstream:
        async with client_for(upstream, ca_bundle=bundle) as client:
            assert (await client.get("/")).status_code == 200
        async with client_for(upstream, max_attempts=1) as client:
            with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
                await client.get("/")

    assert ssl_context(bundle, False) is ssl_context(bundle, False)


@pytest.mark.parametrize("trusted", [True, False])
async def test_proxy_of_the_environment(
    upstream: Upstream, monkeypatch: pytest.MonkeyPatch, trusted: bool
) -> None:
    """HTTP_PROXY counts with TRUST_ENV, and only then, but not where NO_PROXY says."""
    async with Upstream() as proxy:
        monkeypatch.setenv("http_proxy", proxy.url.replace("http://", "user:pass@"))
        async with client_for(upstream, trust_env=trusted) as client:
            await client.get("/through")
            monkeypatch.setenv("no_proxy", "localhost")
            await client.get("/straight")

    assert [request.target for request in proxy.seen] == [f"{upstream.url}/through"] * trusted
    assert all("proxy-authorization" in request.headers for request in proxy.seen)
    straight = ["/through"] * (not trusted) + ["/straight"]
    assert [request.target for request in upstream.seen] == straight


@pytest.mark.parametrize("error", [ValueError, KeyError, ZeroDivisionError])
async def test_error_of_the_body_is_the_callers(
    client: httpx.AsyncClient, error: type[Exception]
) -> None:
    """What the caller's own generator raises comes back to the caller."""

    async def body() -> AsyncIterator[bytes]:
        yield b"one"
        raise error("mine")

    async with asyncio.timeout(10):
        with pytest.raises(error, match="mine"):
            await client.post("/", content=body())
