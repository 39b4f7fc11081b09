import asyncio
import gc
import weakref
from collections.abc import Generator

import {{ cookiecutter.__httpx }}
import pytest

from {{ cookiecutter.package_name }}.http_client.clients import open_clients
from {{ cookiecutter.package_name }}.settings import Settings

from ..service import client_for, settings_for, streamed
from ..upstream import Upstream


async def test_cookies_are_forgotten(client: httpx.AsyncClient) -> None:
    """A cookie that one call receives is not sent with the next; a call may send its own."""
    await client.get("/?set-cookie=session=secret")
    own = await client.get("/echo", headers={"Cookie": "mine=1"})
    other = await client.get("/echo")

    assert own.json()["cookie"] == "mine=1"
    assert "cookie" not in other.json()


async def test_only_the_lifespan_closes_a_client(upstream: Upstream) -> None:
    """Entering or closing a shared client, as SDKs do, leaves it open.

    After shutdown, a call raises an error that says why.
    """
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


@pytest.mark.parametrize("path", ["/", "/chunked/2", "/status/302?location=/"])
async def test_a_response_is_freed_with_its_last_reference(
    client: httpx.AsyncClient, path: str
) -> None:
    """A response does not wait for the garbage collector, or bodies would fill the memory."""
    gc.disable()
    try:
        own = weakref.ref(await client.get(path, follow_redirects=True))
        of_a_task = weakref.ref(await asyncio.create_task(client.get(path)))
        await asyncio.sleep(0)  # the event loop forgets the task
    finally:
        gc.enable()

    assert (own(), of_a_task()) == (None, None)


async def test_credentials_go_to_their_own_upstream(upstream: Upstream) -> None:
    """Only an upstream's own client sends its token and its headers."""
    login = {"bearer_token": "t0ken", "headers": {"X-Api-Key": "k3y", "authorization": "none"}}
    settings = Settings.model_validate(
        {"upstreams": {"up": {"base_url": upstream.url, **login}, "b": {"base_url": upstream.url}}}
    )
    async with open_clients(settings) as clients:
        own = (await clients.upstreams["up"].client.get("/echo")).json()
        other = (await clients.upstreams["b"].client.get("/echo")).json()
        default = (await clients.default.client.get(f"{upstream.url}/echo")).json()

    assert (own["authorization"], own["x-api-key"]) == ("Bearer t0ken", "k3y")
    assert {"authorization", "x-api-key"} & (other.keys() | default.keys()) == set()


async def test_path_of_the_base_url(upstream: Upstream) -> None:
    """The path of a base URL is prepended to every call's path."""
    upstream.url += "/echo"
    async with client_for(upstream) as client:
        await client.get("/below")

    assert upstream.seen[0].target == "/echo/below"


class Login(httpx.Auth):
    """An auth that fetches a token first."""

    requires_response_body = True

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response]:
        token = yield httpx.Request("GET", request.url.join("/?content-type=a/b;charset=zlib"))
        request.headers["Authorization"] = token.text
        yield request


async def test_requests_of_an_auth(client: httpx.AsyncClient) -> None:
    """The requests of an ``httpx.Auth`` pass through the same layers, and it can read the text."""
    response = await client.get("/echo", auth=Login())

    assert response.json()["authorization"] == '{"hello": "world"}'


@pytest.mark.parametrize(
    ("method", "name", "value"),
    [
        pytest.param("GET", "X-Forged", "a\r\nX-Other: b", id="line-break"),
        pytest.param("GET", "X-Forged", "a\0b", id="null"),
        pytest.param("GET", "X: y", "b", id="colon"),
        pytest.param("GET", "", "nameless", id="no-name"),
        pytest.param("GET / HTTP/1.1\r\nX:", "X-Fine", "a", id="method"),
        pytest.param("", "X-Fine", "a", id="no-method"),
    ],
)
async def test_invalid_request_is_not_sent(
    client: httpx.AsyncClient, upstream: Upstream, method: str, name: str, value: str
) -> None:
    """A request that a server would read as another one is rejected before it is sent."""
    with pytest.raises(httpx.LocalProtocolError):
        await client.request(method, "/", headers={name: value})

    assert upstream.seen == []


@pytest.mark.parametrize("size", [9, 11])
async def test_body_of_another_length(client: httpx.AsyncClient, size: int) -> None:
    """A streamed body that differs from its Content-Length fails, and nothing waits for more."""
    async with asyncio.timeout(5):
        with pytest.raises(httpx.LocalProtocolError):
            await client.post("/", content=streamed(b"x" * size), headers={"Content-Length": "10"})
