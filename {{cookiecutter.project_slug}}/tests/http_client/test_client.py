import asyncio
import gc
import weakref
from collections.abc import AsyncGenerator, Generator
from datetime import timedelta

import {{ cookiecutter.__httpx }}
import pytest

from {{ cookiecutter.package_name }}.http_client.clients import open_clients
from {{ cookiecutter.package_name }}.settings import Settings

from ..service import client_for, settings_for, streamed
from ..upstream import Upstream


async def test_cookies_are_forgotten(client: httpx.AsyncClient) -> None:
    """A cookie set for one call is not sent with the next; a call's own cookie goes out."""
    await client.get("/?set-cookie=session=secret")
    without = await client.get("/echo")
    own = await client.get("/echo", headers={"Cookie": "mine=1"})
    again = await client.get("/echo")

    assert "cookie" not in without.json()
    assert own.json()["cookie"] == "mine=1"
    assert "cookie" not in again.json()


async def test_only_the_lifespan_closes_a_client(upstream: Upstream) -> None:
    """An SDK may enter and close the client that it is given; after the end the error says why."""
    async with open_clients(settings_for(upstream)) as clients:
        client = clients.upstreams["up"].client
        for _ in range(2):
            async with client as entered:
                assert entered is client
            await client.aclose()
            assert (await client.get("/")).status_code == 200

    assert client.is_closed
    with pytest.raises(RuntimeError, match=r"application has ended.* open_clients\(\)"):
        await client.get("/")


async def test_a_response_goes_with_its_last_use(client: httpx.AsyncClient) -> None:
    """Not with the next collection of garbage, until when bodies would fill the memory."""
    gc.disable()
    try:
        gone = weakref.ref(await client.get("/"))
    finally:
        gc.enable()

    assert gone() is None


async def test_credentials_go_to_their_own_upstream(upstream: Upstream) -> None:
    """The token and the headers of an upstream are sent to it, and by no other client."""
    login = {"bearer_token": "t0ken", "headers": {"X-Api-Key": "k3y", "authorization": "none"}}
    settings = Settings.model_validate(
        {"upstreams": {"up": {"base_url": upstream.url, **login}, "b": {"base_url": upstream.url}}}
    )
    async with open_clients(settings) as clients:
        own = (await clients.upstreams["up"].client.get("/echo")).json()
        other = (await clients.upstreams["b"].client.get("/echo")).json()
        default = (await clients.default.client.get(f"{upstream.url}/echo")).json()

    assert (own["authorization"], own["x-api-key"]) == ("Bearer t0ken", "k3y")
    assert not {"authorization", "x-api-key"} & (other.keys() | default.keys())


async def test_base_path_is_put_before_the_call(upstream: Upstream) -> None:
    """A base URL may have a path."""
    upstream.url += "/echo"
    async with client_for(upstream) as client:
        await client.get("/below")

    assert upstream.seen[0].target == "/echo/below"


async def test_authentication_with_requests_of_its_own(
    client: httpx.AsyncClient, upstream: Upstream
) -> None:
    """An ``httpx.Auth`` that fetches a token first passes the same layers."""

    class Login(httpx.Auth):
        async def async_auth_flow(
            self, request: httpx.Request
        ) -> AsyncGenerator[httpx.Request, httpx.Response]:
            token = yield httpx.Request("GET", f"{upstream.url}/token")
            request.headers["Authorization"] = f"Bearer {token.status_code}"
            yield request

    response = await client.get("/echo", auth=Login())

    assert response.json()["authorization"] == "Bearer 200"


@pytest.mark.parametrize(
    ("method", "name", "value"),
    [
        ("GET", "X-Forged", "a\r\nX-Other: b"),
        ("GET", "X-Forged", "a\0b"),
        ("GET", "X: y", "b"),
        ("GET", "", "nameless"),
        ("GET / HTTP/1.1\r\nX:", "X-Fine", "a"),
        ("", "X-Fine", "a"),
    ],
)
async def test_invalid_request_is_not_sent(
    client: httpx.AsyncClient, upstream: Upstream, method: str, name: str, value: str
) -> None:
    """What would be read as another request is refused, by the same error on each engine."""
    with pytest.raises(httpx.LocalProtocolError):
        await client.request(method, "/", headers={name: value})

    assert upstream.seen == []


@pytest.mark.parametrize("size", [9, 11])
async def test_body_of_another_length_than_announced(client: httpx.AsyncClient, size: int) -> None:
    """It is neither cut nor waited for."""
    async with asyncio.timeout(5):
        with pytest.raises(httpx.LocalProtocolError):
            await client.post("/", content=streamed(b"x" * size), headers={"Content-Length": "10"})


@pytest.mark.parametrize("location", ["http://xn--a.com/", "x:y", "%01"])
async def test_location_that_cannot_be_read(client: httpx.AsyncClient, location: str) -> None:
    """A redirect that is not followed is an answer like any other."""
    response = await client.get(f"/status/302?location={location}")

    assert response.status_code == 302


async def test_time_of_a_response_is_told(client: httpx.AsyncClient) -> None:
    """``elapsed`` is there whether httpx has read the body or the deadline's layer."""
    whole = await client.get("/")
    async with client.stream("GET", "/") as pieces:
        await pieces.aread()

    assert whole.elapsed > timedelta(0)
    assert pieces.elapsed > timedelta(0)


async def test_authentication_may_read_the_text(client: httpx.AsyncClient) -> None:
    """What is done to a response is done before anyone sees it."""

    class Reader(httpx.Auth):
        requires_response_body = True

        def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response]:
            response = yield request
            assert response.text

    response = await client.get("/?content-type=text/plain;charset=zlib", auth=Reader())

    assert response.text


async def test_redirected_get_has_no_body(upstream: Upstream) -> None:
    """A redirect that is followed looks like any other request."""
    async with client_for(upstream, follow_redirects=True) as client:
        response = await client.get("/status/302?location=/echo")

    assert response.status_code == 200
    assert not {"transfer-encoding", "content-length"} & response.json().keys()
