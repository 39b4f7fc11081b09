"""What the layers rely on: one connection is reused, and errors mean what httpx says."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import {{ cookiecutter.__httpx }}
import pytest
import trustme

from {{ cookiecutter.package_name }}.http_client.engine import Engine
from {{ cookiecutter.package_name }}.http_client.network import ssl_context
from {{ cookiecutter.package_name }}.settings import HTTPSettings

from ..service import client_for
from ..upstream import Upstream


@pytest.fixture
async def engine() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(transport=Engine(HTTPSettings()), timeout=0.5) as client:
        yield client


async def test_one_connection_serves_sequential_calls(upstream: Upstream) -> None:
    """A thousand calls, one after the other, need one connection."""
    async with client_for(upstream) as client:
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


@pytest.mark.parametrize(
    ("path", "error"),
    [
        ("/reset", httpx.ReadError),
        ("/drop", httpx.RemoteProtocolError),
        ("/garbage", httpx.RemoteProtocolError),
        ("/headers", httpx.RemoteProtocolError),
        ("/short", httpx.RemoteProtocolError),
        ("/hang", httpx.ReadTimeout),
    ],
)
async def test_broken_exchange(
    engine: httpx.AsyncClient, upstream: Upstream, path: str, error: type[Exception]
) -> None:
    """After sending, an error never claims that nothing was sent."""
    with pytest.raises(httpx.TransportError) as failure:
        await engine.post(upstream.url + path, content=b"order")

    assert failure.type is error
    assert len(upstream.seen) == 1


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "http://unknown.invalid"])
async def test_nothing_was_sent(engine: httpx.AsyncClient, url: str) -> None:
    """What fails before sending is a ConnectError, and so safe to repeat."""
    with pytest.raises(httpx.ConnectError):
        await engine.post(url, content=b"order")


async def test_large_bodies_both_ways(engine: httpx.AsyncClient, upstream: Upstream) -> None:
    """Bodies larger than any buffer arrive whole, from bytes and from a generator."""

    async def body() -> AsyncIterator[bytes]:
        for _ in range(50):
            yield b"x" * 100_000

    await engine.post(f"{upstream.url}/", content=b"x" * 5_000_000)
    await engine.post(f"{upstream.url}/", content=body())
    received = await engine.get(f"{upstream.url}/large/5000000")

    assert [len(request.body) for request in upstream.seen[:2]] == [5_000_000] * 2
    assert len(received.content) == 5_000_000


async def test_long_headers_and_expectations(engine: httpx.AsyncClient, upstream: Upstream) -> None:
    """Header lines of 40 kB arrive, and no 100 is waited for, which most servers never send."""
    url, headers = f"{upstream.url}/?x={'y' * 40_000}", {"Expect": "100-continue"}
    async with asyncio.timeout(5):
        response = await engine.post(url, content=b"x", headers=headers)

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
async def test_error_of_the_body_is_the_callers(upstream: Upstream, error: type[Exception]) -> None:
    """What the caller's own generator raises comes back to the caller."""

    async def body() -> AsyncIterator[bytes]:
        yield b"one"
        raise error("mine")

    async with client_for(upstream) as client, asyncio.timeout(10):
        with pytest.raises(error, match="mine"):
            await client.post("/", content=body())
