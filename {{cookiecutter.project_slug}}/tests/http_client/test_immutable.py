import re

import {{ cookiecutter.__httpx }}
import pytest

from {{ cookiecutter.package_name }}.http_client.immutable import INSTEAD

from ..service import client_for
from ..upstream import Upstream

COOKIE = 'client.get(url, headers={"Cookie": "name=value"})'
HEADERS = "client.get(url, headers={...})"
RESPONSE = "where you make the call"
TIMEOUT = "client.get(url, timeout=...)"


@pytest.mark.parametrize(
    ("change", "instead"),
    [
        ("client.auth = ('me', 'pw')", "client.get(url, auth=...)"),
        ("client.base_url = 'http://elsewhere'", 'client.get("https://...")'),
        ("client.cert = 'client.pem'", "APP_HTTP__CLIENT_CERT"),
        ("client.cookies = {'a': 'b'}", COOKIE),
        ("client.cookies['a'] = 'b'", COOKIE),
        ("client.cookies.set('a', 'b')", COOKIE),
        ("client.cookies.jar = None", COOKIE),
        ("client.event_hooks = {'request': [print]}", RESPONSE),
        ("client.event_hooks['request'] = [print]", RESPONSE),
        ("client.event_hooks['response'].append(print)", RESPONSE),
        ("client.event_hooks.update(request=[print])", RESPONSE),
        ("client.follow_redirects = True", "client.get(url, follow_redirects=True)"),
        ("client.headers = {'X': '1'}", HEADERS),
        ("client.headers['X'] = '1'", HEADERS),
        ("client.headers.update({'X': '1'})", HEADERS),
        ("del client.headers['Accept']", HEADERS),
        ("client.max_redirects = 1", RESPONSE),
        ("client.params = {'a': 'b'}", "client.get(url, params={...})"),
        ("client.timeout = None", TIMEOUT),
        ("client.timeout.read = None", TIMEOUT),
        ("client.headers.encoding = 'utf-16'", HEADERS),
        ("client.mounts = {}", "create_app"),
        ("client.proxy = 'http://proxy'", "HTTPS_PROXY"),
        ("client.transport = None", "create_app"),
        ("client.trust_env = True", "APP_HTTP__TRUST_ENV"),
        ("client.verify = False", "APP_HTTP__CA_BUNDLE"),
    ],
)
async def test_shared_client_cannot_be_changed(
    client: httpx.AsyncClient, change: str, instead: str
) -> None:
    """Changing a default, which other callers share, raises an error with the per-call form."""
    before = {name: repr(getattr(client, name, None)) for name in INSTEAD}
    with pytest.raises(AttributeError, match=f"the client is shared: .*{re.escape(instead)}"):
        exec(change, {"client": client})

    assert {name: repr(getattr(client, name, None)) for name in INSTEAD} == before


async def test_defaults_are_read_as_in_httpx(client: httpx.AsyncClient) -> None:
    """Code that inspects or copies the defaults, as SDKs do, finds httpx's own types."""
    plain = httpx.AsyncClient(
        base_url=client.base_url,
        headers=client.headers,
        cookies=client.cookies,
        params=client.params,
        timeout=client.timeout,
        event_hooks=client.event_hooks,
    )
    mine = client.headers.copy()
    mine["X"] = "1"

    for name in ("base_url", "headers", "params", "timeout", "event_hooks", "auth", "trust_env"):
        assert getattr(client, name) == getattr(plain, name)
        assert isinstance(getattr(client, name), type(getattr(plain, name)))
    assert dict(client.cookies) == dict(plain.cookies) == {}
    assert isinstance(client.cookies, httpx.Cookies)


async def test_each_call_sets_its_own(upstream: Upstream) -> None:
    """The arguments of a call are sent with that call only."""
    upstream.url += "/echo"
    async with client_for(upstream) as client:
        request = client.build_request("GET", "", headers={"X": "1"}, cookies={"a": "b"})
        own = await client.send(request, auth=("me", "pw"))
        other = await client.get("", params={"q": "1"}, timeout=5, follow_redirects=True)

    assert {"x": "1", "cookie": "a=b"}.items() <= own.json().items()
    assert own.json()["authorization"].startswith("Basic ")
    assert not {"x", "cookie", "authorization"} & other.json().keys()
    assert other.request.url.query == b"q=1"
