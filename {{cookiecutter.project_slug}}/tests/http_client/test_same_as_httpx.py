"""The client's short cuts give what httpx gives, and notice when its private parts change."""

import inspect
from typing import Any

import {{ cookiecutter.__httpx }}
import pytest

from ..upstream import Upstream

MULTIPART = {"Content-Type": "multipart/form-data; boundary=b"}
REQUESTS: dict[str, dict[str, Any]] = {
    "plain": {},
    "lowercase-method": {"method": "get"},
    "post-without-body": {"method": "POST"},
    "headers": {"headers": {"X-Own": "1", "accept": "text/plain"}},
    "repeated-headers": {"headers": [("X-Own", "1"), ("X-Own", "2")]},
    "host": {"headers": {"Host": "other"}},
    "not-ascii": {"headers": {"X-Own": "ü".encode()}},
    "params": {"params": {"a": "1"}},
    "cookies": {"cookies": {"a": "1"}},
    "timeout": {"timeout": 1},
    "no-timeout": {"timeout": None},
    "extensions": {"extensions": {"sni_hostname": "other"}},
    "own-timeout": {"extensions": {"timeout": {"read": 1}}},
    "content": {"content": b"body"},
    "empty-content": {"content": b""},
    "data": {"method": "POST", "data": {"a": "1"}},
    "files": {"method": "PUT", "files": {"a": b"1"}, "headers": MULTIPART},
    "json": {"method": "DELETE", "json": None},
    "user": {"url": "http://user:password@other/path?query#fragment"},
    "no-host": {"url": "http:///path"},
}


@pytest.fixture
async def plain(client: httpx.AsyncClient) -> httpx.AsyncClient:
    """A client of httpx itself, with the same defaults."""
    return httpx.AsyncClient(
        base_url=client.base_url, headers=client.headers, timeout=client.timeout
    )


@pytest.mark.parametrize("options", REQUESTS.values(), ids=REQUESTS)
async def test_requests(
    client: httpx.AsyncClient, plain: httpx.AsyncClient, options: dict[str, Any]
) -> None:
    """The client builds the same request as httpx."""
    options = {"method": "GET", "url": "/path", **options}

    request, expected = client.build_request(**options), plain.build_request(**options)

    assert parts_of(request) == parts_of(expected)


async def test_unknown_options(client: httpx.AsyncClient) -> None:
    """An option that httpx does not have is an error, even without a value."""
    build_request: Any = client.build_request

    with pytest.raises(TypeError, match="misspelt"):
        build_request("GET", "/", misspelt=None)


def parts_of(request: httpx.Request) -> dict[str, Any]:
    return vars(request) | {
        "headers": request.headers.raw,
        "text of headers": request.headers.multi_items(),
        "stream": type(request.stream),
        "content": request.read(),
    }


@pytest.mark.parametrize("follow", [False, True])
@pytest.mark.parametrize(
    "path", ["/", "/status/302?location=/", "/status/204", "/chunked/2", "/large/9", "/large/0"]
)
async def test_responses(
    client: httpx.AsyncClient, plain: httpx.AsyncClient, upstream: Upstream, path: str, follow: bool
) -> None:
    """A response has the same state as httpx's, so later reads give the same."""
    async with plain:
        response = await client.get(path, follow_redirects=follow)
        expected = await plain.get(path, follow_redirects=follow)

    assert state_of(response) == state_of(expected)
    assert type(response.stream) is httpx.ByteStream  # nothing of its connection
    assert [part async for part in response.aiter_bytes(2)] == [
        part async for part in expected.aiter_bytes(2)
    ]


def state_of(response: httpx.Response) -> dict[str, Any]:
    skipped = {"headers", "extensions", "stream", "_elapsed", "_encoding", "_decoder", "_request"}
    return {name: value for name, value in vars(response).items() if name not in skipped} | {
        "url": response.url,
        "history": [each.status_code for each in response.history],
        "next_request": response.next_request and response.next_request.url,
        "text": response.text,
        "timed": response.elapsed.total_seconds() > 0,
    }


async def test_hooks_and_errors(client: httpx.AsyncClient, upstream: Upstream) -> None:
    """Event hooks run, as New Relic needs, and an error has its request."""
    seen: list[object] = []

    async def hook(each: object) -> None:
        seen.append(type(each))

    vars(client)["_event_hooks"] = {"request": [hook], "response": [hook]}
    await client.get("/")
    with pytest.raises(httpx.RemoteProtocolError) as raised:
        await client.post("/drop")

    assert seen == [httpx.Request, httpx.Response, httpx.Request]
    assert raised.value.request.url == f"{upstream.url}/drop"


async def test_private_parts_of_httpx() -> None:
    """httpx still has the private parts that client.py lists."""
    async with httpx.AsyncClient() as client:
        names = ("_cookies", "_event_hooks", "_headers", "_merge_url", "_timeout", "_transport")
        assert [name for name in names if not hasattr(client, name)] == []
    assert "self._send_handling_auth(" in inspect.getsource(httpx.AsyncClient.send)
    assert signature("_send_handling_auth") == ["request", "auth", "follow_redirects", "history"]
    assert signature("_build_redirect_request") == ["request", "response"]


def signature(method: str) -> list[str]:
    _, *names = inspect.signature(getattr(httpx.AsyncClient, method)).parameters
    return names
