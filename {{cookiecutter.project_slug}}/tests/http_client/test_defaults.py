import re

import {{ cookiecutter.__httpx }}
import pytest

from {{ cookiecutter.package_name }}.http_client.defaults import INSTEAD

from ..service import client_for
from ..upstream import Upstream


@pytest.mark.parametrize(
    ("change", "instead"),
    [
        ("client.auth = ('me', 'pw')", "client.get(url, auth=...)"),
        ("client.base_url = 'http://elsewhere'", 'client.get("https://...")'),
        ("client.cookies = {'a': 'b'}", 'client.get(url, headers={"Cookie": "name=value"})'),
        ("client.cookies['a'] = 'b'", 'client.get(url, headers={"Cookie": "name=value"})'),
        ("client.cookies.set('a', 'b')", 'client.get(url, headers={"Cookie": "name=value"})'),
        ("client.cookies.update({'a': 'b'})", 'client.get(url, headers={"Cookie": "name=value"})'),
        ("client.cookies.jar = None", 'client.get(url, headers={"Cookie": "name=value"})'),
        ("client.event_hooks = {'request': [print]}", "where you make the call"),
        ("client.event_hooks['request'] = [print]", "where you make the call"),
        ("client.event_hooks['response'].append(print)", "where you make the call"),
        ("client.event_hooks['response'] += [print]", "where you make the call"),
        ("client.event_hooks.update(request=[print])", "where you make the call"),
        ("client.follow_redirects = True", "client.get(url, follow_redirects=True)"),
        ("client.headers = {'X': '1'}", "client.get(url, headers={...})"),
        ("client.headers['X'] = '1'", "client.get(url, headers={...})"),
        ("client.headers.update({'X': '1'})", "client.get(url, headers={...})"),
        ("client.headers.setdefault('X', '1')", "client.get(url, headers={...})"),
        ("client.headers.clear()", "client.get(url, headers={...})"),
        ("del client.headers['Accept']", "client.get(url, headers={...})"),
        ("client.max_redirects = 1", "where you make the call"),
        ("client.params = {'a': 'b'}", "client.get(url, params={...})"),
        ("client.timeout = None", "client.get(url, timeout=...)"),
        ("client.timeout.read = None", "client.get(url, timeout=...)"),
        ("del client.timeout.read", "client.get(url, timeout=...)"),
        ("del client.cookies.jar", 'client.get(url, headers={"Cookie": "name=value"})'),
        ("client.headers.encoding = 'utf-16'", "client.get(url, headers={...})"),
        ("client.trust_env = True", "APP_HTTP__TRUST_ENV"),
    ],
)
async def test_nobody_changes_the_shared_client(
    client: httpx.AsyncClient, change: str, instead: str
) -> None:
    """What one caller sets would reach all; the error shows what to write instead."""
    before = {name: repr(getattr(client, name)) for name in INSTEAD}
    with pytest.raises(AttributeError, match=f"the client is shared: .*{re.escape(instead)}"):
        exec(change, {"client": client})

    assert {name: repr(getattr(client, name)) for name in INSTEAD} == before


async def test_defaults_are_read_as_in_httpx(client: httpx.AsyncClient) -> None:
    """Code that inspects or copies them, as SDKs do, finds httpx's own types."""
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
    """Whatever a call passes goes out with it, and with no other."""
    upstream.url += "/echo"
    async with client_for(upstream) as client:
        request = client.build_request("GET", "", headers={"X": "1"}, cookies={"a": "b"})
        own = await client.send(request, auth=("me", "pw"))
        other = await client.get("", params={"q": "1"}, timeout=5, follow_redirects=True)

    assert {"x": "1", "cookie": "a=b"}.items() <= own.json().items()
    assert own.json()["authorization"].startswith("Basic ")
    assert not {"x", "cookie", "authorization"} & other.json().keys()
    assert other.request.url.query == b"q=1"
