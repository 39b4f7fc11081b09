"""The defaults of a shared client: readable as in httpx, but immutable."""

from collections.abc import Callable
from http.cookiejar import CookieJar
from typing import Any, NoReturn

import {{ cookiecutter.__httpx }}

# For each attribute of httpx.AsyncClient that callers must not change: what to do instead.
INSTEAD = {
    "auth": "pass auth to the call instead, as in client.get(url, auth=...)",
    "base_url": 'pass an absolute URL to the call instead, as in client.get("https://...")',
    "cert": "set APP_HTTP__CLIENT_CERT instead",
    "cookies": "pass a Cookie header to the call instead, as in "
    'client.get(url, headers={"Cookie": "name=value"})',
    "event_hooks": "handle the response where you make the call instead",
    "follow_redirects": "pass follow_redirects to the call instead, as in "
    "client.get(url, follow_redirects=True)",
    "headers": "pass headers to the call instead, as in client.get(url, headers={...})",
    "max_redirects": "follow redirects where you make the call instead",
    "mounts": "pass transport to create_app instead",
    "params": "pass params to the call instead, as in client.get(url, params={...})",
    "proxy": "set APP_HTTP__TRUST_ENV, and HTTP_PROXY or HTTPS_PROXY, instead",
    "timeout": "pass timeout to the call instead, as in client.get(url, timeout=...)",
    "transport": "pass transport to create_app instead",
    "trust_env": "set APP_HTTP__TRUST_ENV instead",
    "verify": "set APP_HTTP__CA_BUNDLE instead",
}


def error(name: str) -> AttributeError:
    """Return the error for changing one of these attributes."""
    return AttributeError(f"the client is shared: {INSTEAD[name]}")


def _raise(name: str) -> Callable[..., NoReturn]:
    """Return a method that replaces a mutating one."""

    def method(*_: object, **__: object) -> NoReturn:
        raise error(name)

    return method


class Headers(httpx.Headers):
    """The headers of every call."""

    __setitem__ = __delitem__ = update = _raise("headers")
    encoding = property(httpx.Headers.encoding.fget, _raise("headers"))  # type: ignore[attr-defined]


class Timeout(httpx.Timeout):
    """The timeout of calls without their own."""

    def __init__(self, timeout: httpx.Timeout) -> None:
        vars(self).update(timeout.as_dict())

    def __eq__(self, other: object) -> bool:
        return httpx.Timeout(self) == other

    __setattr__ = __delattr__ = _raise("timeout")


class Cookies(httpx.Cookies):
    """Always empty: callers must not share a session."""

    def __init__(self) -> None:
        vars(self)["jar"] = _Jar()

    def extract_cookies(self, response: httpx.Response) -> None:
        """Ignore the response's cookies, which also saves the 40 µs that httpx spends parsing."""

    def __bool__(self) -> bool:
        return False  # httpx evaluates it for each call, and would search the jar

    __setattr__ = __delattr__ = _raise("cookies")


class _Jar(CookieJar):
    set_cookie = _raise("cookies")


class EventHooks(dict[str, list[Callable[..., Any]]]):
    """The hooks of every call."""

    def __init__(self, hooks: dict[str, list[Callable[..., Any]]]) -> None:
        super().__init__({name: _Hooks(each) for name, each in hooks.items()})

    __setitem__ = __delitem__ = __ior__ = _raise("event_hooks")
    clear = pop = popitem = setdefault = update = _raise("event_hooks")


class _Hooks(list[Callable[..., Any]]):
    __setitem__ = __delitem__ = __iadd__ = __imul__ = _raise("event_hooks")
    append = clear = extend = insert = pop = remove = reverse = sort = _raise("event_hooks")
