"""The promises of the connection pool, on both transports."""

import asyncio
import base64
import socket
import ssl
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import {{ cookiecutter.__httpx }}
import pytest
import trustme

from {{ cookiecutter.package_name }}.http_client.clients import open_clients
from {{ cookiecutter.package_name }}.http_client.transport.tls import ssl_context
from {{ cookiecutter.package_name }}.settings import Settings

from ...service import client_for, settings_for, streamed
from ...upstream import ConnectProxy, Upstream


async def test_one_connection_serves_sequential_calls(
    client: httpx.AsyncClient, upstream: Upstream
) -> None:
    """A thousand sequential calls use one connection."""
    for _ in range(1000):
        await client.get("/")

    assert (len(upstream.seen), upstream.connections) == (1000, 1)


@pytest.mark.parametrize("when", ["with", "later"])
async def test_each_call_receives_its_own_response(
    client: httpx.AsyncClient, upstream: Upstream, when: str
) -> None:
    """Bytes after a response cost the connection, and no caller receives them."""
    own = await client.get(f"/surplus/{when}")
    await asyncio.sleep(0.1)
    other = await client.get("/body")

    assert (own.text, other.text) == ("own", "")
    assert upstream.connections == 2


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ([("Content-Length", "5")], b""),
        ([("Content-Length", "5")], b"order"[:4]),
        ([("Content-Length", "5"), ("Content-Length", "5")], b"order"),
        ([("Content-Length", "5"), ("Transfer-Encoding", "chunked")], b"order"),
        ([("Transfer-Encoding", "gzip")], b"order"),
        ([], b"order"),
    ],
    ids=["no-body", "too-long", "two-lengths", "length-and-chunked", "gzip", "no-length"],
)
async def test_false_length_is_rejected(
    client: httpx.AsyncClient, upstream: Upstream, headers: list[tuple[str, str]], body: bytes
) -> None:
    """A false length would make the server misread the next caller's request."""
    request = client.build_request("POST", "/", content=body)
    for name in ("Content-Length", "Transfer-Encoding"):
        request.headers.pop(name, None)
    request.headers = httpx.Headers([*request.headers.multi_items(), *headers])

    with pytest.raises(httpx.LocalProtocolError):
        await client.send(request)
    assert upstream.connections == 0


async def test_request_is_sent_as_given(client: httpx.AsyncClient, upstream: Upstream) -> None:
    """Unusual targets and header bytes arrive unchanged."""
    headers = [(b"X-Name", "M\u00fcller".encode())]
    await client.get("/echo?", headers=headers)
    await client.request("OPTIONS", "/", extensions={"target": b"*"})

    assert [request.target for request in upstream.seen] == ["/echo?", "*"]
    assert upstream.seen[0].headers["x-name"].encode("latin-1") == "M\u00fcller".encode()


async def test_kept_connection_that_ended_is_replaced(upstream: Upstream) -> None:
    """An idempotent call is sent again immediately, on a new connection; a POST is not."""
    async with client_for(upstream) as client:
        statuses = [(await client.get("/keep-alive-cut")).status_code for _ in range(2)]
        with pytest.raises(httpx.RemoteProtocolError):
            await client.post("/drop")

    assert statuses == [200, 200]
    assert [request.method for request in upstream.seen] == ["GET", "GET", "GET", "POST"]


async def test_connection_left_idle_is_not_used_again(upstream: Upstream) -> None:
    """After KEEPALIVE_EXPIRY_S, a call opens a new connection."""
    async with client_for(upstream, keepalive_expiry_s=0.1) as client:
        await client.get("/")
        await asyncio.sleep(0.3)
        await client.get("/")

    assert upstream.connections == 2


async def test_unread_body_does_not_disturb_other_calls(upstream: Upstream) -> None:
    """A connection whose body was not read is closed, and the next call opens another."""
    async with client_for(upstream) as client:
        for _ in range(3):
            async with client.stream("GET", "/large/300000"):
                await asyncio.sleep(0.05)
            assert (await client.get("/body", timeout=2)).status_code == 200


async def test_closing_a_body_twice_does_not_disturb_other_calls(
    client: httpx.AsyncClient, upstream: Upstream
) -> None:
    """After the first close, the connection belongs to another caller."""
    async with client.stream("GET", "/large/10") as response:
        await response.aread()
        body = response.stream
    call = asyncio.create_task(client.get("/gate"))
    await upstream.wait_for_calls()
    assert isinstance(body, httpx.AsyncByteStream)
    await body.aclose()
    upstream.gate.set()

    assert (await call).text == "open"
    assert upstream.connections == 1


async def test_network_stream_describes_the_connection(client: httpx.AsyncClient) -> None:
    """httpx's extension has the addresses of both ends, and the socket."""
    async with client.stream("GET", "/pieces") as response:
        stream = response.extensions["network_stream"]
        own = stream.get_extra_info("socket")

        assert stream.get_extra_info("server_addr") == own.getpeername()
        assert stream.get_extra_info("client_addr") == own.getsockname()
        assert stream.get_extra_info("ssl_object") is None


async def test_trace_and_server_name(tmp_path: Path) -> None:
    """The extension ``trace`` is called, and ``sni_hostname`` is the name to verify."""
    events: list[str] = []

    async def trace(event: str, _: dict[str, Any]) -> None:
        events.append(event)

    context, bundle = authority_for(tmp_path)
    async with Upstream(tls=context) as secure:
        secure.url = secure.url.replace("localhost", "127.0.0.1")
        async with client_for(secure, ca_bundle=bundle) as client:
            await client.get("/", extensions={"sni_hostname": "localhost", "trace": trace})

    assert events
    assert all("." in event for event in events)


async def test_other_schemes_are_rejected(upstream: Upstream) -> None:
    """A URL with another scheme is an error that names the right ones, for WebSockets as well."""
    async with open_clients(settings_for(upstream)) as clients:
        for url in ("ws://up.example", "ftp://up.example", "/"):
            with pytest.raises(httpx.UnsupportedProtocol, match="begin with http:// or https://"):
                await clients.default.client.get(url)


async def test_large_bodies_both_ways(client: httpx.AsyncClient, upstream: Upstream) -> None:
    """Bodies larger than any buffer arrive complete, from bytes and from a generator."""
    await client.post("/", content=b"x" * 5_000_000)
    await client.post("/", content=streamed(*[b"x" * 100_000] * 50))
    received = await client.get("/large/5000000")

    assert [len(request.body) for request in upstream.seen[:2]] == [5_000_000] * 2
    assert len(received.content) == 5_000_000


async def test_long_headers_and_expectations(client: httpx.AsyncClient) -> None:
    """Header lines of 40 kB arrive, and ``Expect`` does not delay the body."""
    url, headers = f"/?x={'y' * 40_000}", {"Expect": "100-continue"}
    async with asyncio.timeout(5):
        response = await client.post(url, content=b"x", headers=headers)

    assert len(response.headers["x"]) == 40_000


async def test_upstream_that_does_not_read(upstream: Upstream) -> None:
    """An upstream that stops reading causes a write timeout, the call's own if it has one."""
    async with client_for(upstream, write_timeout_s=0.1) as client:
        with pytest.raises(httpx.WriteTimeout):
            await client.post("/deaf", content=b"x" * 30_000_000)
    timeout = httpx.Timeout(5, write=0.1)
    async with client_for(upstream) as client:
        with pytest.raises(httpx.WriteTimeout):
            await client.post("/deaf", content=b"x" * 30_000_000, timeout=timeout)


async def test_tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only CA_BUNDLE makes the certificate trusted; it is read once."""
    context, bundle = authority_for(tmp_path)
    async with Upstream(tls=context) as upstream:
        async with client_for(upstream, ca_bundle=bundle) as client:
            assert (await client.get("/")).status_code == 200
        async with client_for(upstream) as client:
            with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
                await client.get("/")

        # A host name may end with a dot; a certificate's does not.
        look_up = socket.getaddrinfo
        monkeypatch.setattr(
            socket, "getaddrinfo", lambda host, *args, **more: look_up(host[:-1], *args, **more)
        )
        upstream.url = upstream.url.replace("localhost", "localhost.")
        async with client_for(upstream, ca_bundle=bundle) as client:
            assert (await client.get("/")).status_code == 200

    assert ssl_context(bundle, False) is ssl_context(bundle, False)


async def test_client_certificate(tmp_path: Path) -> None:
    """An upstream that requires it accepts the client; a new one in its place is used soon."""
    bundle, cert, key = tmp_path / "ca.pem", tmp_path / "client.pem", tmp_path / "client.key"
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(bundle))

    def server() -> ssl.SSLContext:
        """Issue the client a certificate, and return TLS for a server that accepts only this."""
        issuer, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("localhost").configure_cert(context)
        context.verify_mode = ssl.CERT_REQUIRED
        issuer.configure_trust(context)
        issued = issuer.issue_cert("client@example.com")
        cert.write_bytes(issued.cert_chain_pems[0].bytes())
        key.write_bytes(issued.private_key_pem.bytes())
        return context

    async with Upstream(tls=server()) as first:
        async with client_for(first, ca_bundle=bundle) as client:
            with pytest.raises(httpx.TransportError):
                await client.get("/")
        settings = settings_for(first, ca_bundle=bundle, client_cert=cert, client_key=key)
        async with open_clients(settings) as clients:
            answers = [await clients.default.client.get(first.url)]
            async with Upstream(tls=server()) as second:
                answers.append(await clients.default.client.get(second.url))
                cert.write_bytes(b"half of a certificate")
                close = {"Connection": "close"}
                for _ in range(2):
                    answers.append(await clients.default.client.get(second.url, headers=close))

    assert [answer.status_code for answer in answers] == [200] * 4


def authority_for(directory: Path) -> tuple[ssl.SSLContext, Path]:
    """Return TLS for a server at localhost, and the file of its certificate authority."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    bundle = directory / "ca.pem"
    authority.cert_pem.write_to_path(str(bundle))
    return context, bundle


@pytest.mark.parametrize("trusted", [True, False])
async def test_proxy_of_the_environment(
    upstream: Upstream, monkeypatch: pytest.MonkeyPatch, trusted: bool
) -> None:
    """With TRUST_ENV, HTTP_PROXY and NO_PROXY are honoured."""
    async with Upstream() as proxy:
        monkeypatch.setenv("http_proxy", proxy.url.replace("http://", "user:gr%C3%BCn@"))
        async with client_for(upstream, trust_env=trusted) as client:
            await client.get("/through")
        monkeypatch.setenv("no_proxy", "localhost,[::1],10.0.0.0/8")
        async with client_for(upstream, trust_env=trusted) as client:
            await client.get("/straight")

    assert [request.target for request in proxy.seen] == [f"{upstream.url}/through"] * trusted
    credentials = "Basic " + base64.b64encode("user:grün".encode()).decode()
    assert {request.headers["proxy-authorization"] for request in proxy.seen} <= {credentials}
    straight = ["/through"] * (not trusted) + ["/straight"]
    assert [request.target for request in upstream.seen] == straight


async def test_tunnel_through_a_proxy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """TLS goes through HTTPS_PROXY in one tunnel, whose CONNECT has the credentials."""
    context, bundle = authority_for(tmp_path)
    async with Upstream(tls=context) as upstream, ConnectProxy() as proxy:
        monkeypatch.setenv("https_proxy", f"http://user:pass@localhost:{proxy.port}")
        async with client_for(upstream, trust_env=True, ca_bundle=bundle) as client:
            bodies = [(await client.post("/", content=b"order")).status_code for _ in range(2)]

    assert bodies == [200, 200]
    assert len(proxy.heads) == 1
    assert proxy.heads[0].startswith(f"CONNECT localhost:{upstream.url.rpartition(':')[2]} ")
    assert "basic dxnlcjpwyxnz" in proxy.heads[0].lower()
    assert [request.headers.get("proxy-authorization") for request in upstream.seen] == [None] * 2


async def test_hanging_look_up_does_not_delay_other_clients(
    upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each client looks names up in threads of its own; here more hang than the loop has."""
    looking_up, hung = socket.getaddrinfo, threading.Event()

    def hang(host: str, *args: Any, **options: Any) -> Any:
        if host == "slow.test":
            hung.wait(30)
            raise socket.gaierror(socket.EAI_AGAIN, "no answer")
        return looking_up(host, *args, **options)

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    settings = Settings.model_validate(
        {
            "upstreams": {
                "slow": {"base_url": "http://slow.test"},
                "quick": {"base_url": upstream.url},
            },
            "http": settings_for(upstream).http,
        }
    )
    async with open_clients(settings) as clients:
        slow = [asyncio.create_task(clients.upstreams["slow"].client.get("/")) for _ in range(40)]
        await asyncio.sleep(0.1)
        async with asyncio.timeout(4):
            answer = await clients.upstreams["quick"].client.get("/")
        hung.set()
        failures = await asyncio.gather(*slow, return_exceptions=True)

    assert answer.status_code == 200
    assert {type(failure) for failure in failures} == {httpx.ConnectError}


async def test_name_that_moves(upstream: Upstream, monkeypatch: pytest.MonkeyPatch) -> None:
    """An attempt after a refused connection uses the name's new address."""
    looking_up, addresses = socket.getaddrinfo, iter(["127.0.0.2", "127.0.0.1"])

    def move(host: str, *args: Any, **options: Any) -> Any:
        return looking_up(next(addresses) if host == "moving.test" else host, *args, **options)

    monkeypatch.setattr(socket, "getaddrinfo", move)
    upstream.url = upstream.url.replace("localhost", "moving.test")
    async with client_for(upstream) as client:
        with pytest.raises(httpx.ConnectError):
            await client.post("/", content=b"order")
        response = await client.post("/", content=b"order")

    assert (response.status_code, len(upstream.seen)) == (200, 1)


async def test_connections_to_an_old_address_are_not_used(
    upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After DNS_TTL_S, a call goes to the name's new address even if the old one still answers."""
    looking_up, addresses = socket.getaddrinfo, iter(["127.0.0.1", "127.0.0.2"])

    def move(host: str, *args: Any, **options: Any) -> Any:
        return looking_up(next(addresses) if host == "moving.test" else host, *args, **options)

    monkeypatch.setattr(socket, "getaddrinfo", move)
    upstream.url = upstream.url.replace("localhost", "moving.test")
    async with client_for(upstream, dns_ttl_s=0.5) as client:
        await client.get("/")
        await asyncio.sleep(0.6)
        with pytest.raises(httpx.ConnectError):
            await client.get("/")


async def test_connections_are_used_until_their_maximum_age(upstream: Upstream) -> None:
    """A call after CONNECTION_MAX_AGE_S opens a new connection."""
    async with client_for(upstream, connection_max_age_s=0.1) as client:
        await client.get("/")
        await asyncio.sleep(0.2)
        await client.get("/")

    assert upstream.connections == 2


@pytest.mark.parametrize("error", [ValueError, KeyError, ZeroDivisionError])
async def test_error_of_the_body_is_the_callers(
    client: httpx.AsyncClient, error: type[Exception]
) -> None:
    """The caller receives the exception of its own generator."""

    async def body() -> AsyncIterator[bytes]:
        yield b"one"
        raise error("mine")

    async with asyncio.timeout(10):
        with pytest.raises(error, match="mine"):
            await client.post("/", content=body())
