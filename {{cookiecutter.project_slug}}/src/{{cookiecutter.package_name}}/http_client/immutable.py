"""What a client adds to every call: to be read as in httpx, and never changed once it is shared."""

from collections.abc import Callable
from http.cookiejar import CookieJar
from typing import Any, NoReturn

import {{ cookiecutter.__httpx }}

# For each attribute of httpx.AsyncClient that callers may not change: what to do instead.
INSTEAD = {
    "auth": "pass auth to the call instead, as in client.get(url, auth=...)",
    "base_url": 'pass an absolute URL to the call instead, as in client.get("https://...")',
    "cookies": "pass a Cookie header to the call instead, as in "
    'client.get(url, headers={"Cookie": "name=value"})',
    "event_hooks": "handle the response where you make the call instead",
    "follow_redirects": "pass follow_redirects to the call instead, as in "
    "client.get(url, follow_redirects=True)",
    "headers": "pass headers to the call instead, as in client.get(url, headers={...})",
    "max_redirects": "follow redirects where you make the call instead",
    "params": "pass params to the call instead, as in client.get(url, params={...})",
    "timeout": "pass timeout to the call instead, as in client.get(url, timeout=...)",
    "trust_env": "set APP_HTTP__TRUST_ENV instead",
}


def error(name: str) -> AttributeError:
    """The error for changing one of these attributes."""
    return AttributeError(f"the client is shared: {INSTEAD[name]}")


def _refuse(name: str) -> Callable[..., NoReturn]:
    """A method in place of one that changes a default."""

    def method(*_: object, **__: object) -> NoReturn:
        raise error(name)

    return method


class Headers(httpx.Headers):
    """Sent with every call."""

    __setitem__ = __delitem__ = update = _refuse("headers")
    encoding = property(httpx.Headers.encoding.fget, _refuse("headers"))  # type: ignore[attr-defined]


class Timeout(httpx.Timeout):
    """For calls that set none."""

    def __init__(self, timeout: httpx.Timeout) -> None:
        vars(self).update(timeout.as_dict())

    def __eq__(self, other: object) -> bool:
        return httpx.Timeout(self) == other

    __setattr__ = __delattr__ = _refuse("timeout")


class Cookies(httpx.Cookies):
    """Always empty: one caller's session must not become another's."""

    def __init__(self) -> None:
        vars(self)["jar"] = _Jar()

    def extract_cookies(self, response: httpx.Response) -> None:
        """Take nothing, which also saves the 40 µs of parsing that httpx spends per call."""

    def __bool__(self) -> bool:
        return False  # httpx asks for each call, and looks through the jar for it

    __setattr__ = __delattr__ = _refuse("cookies")


class _Jar(CookieJar):
    set_cookie = _refuse("cookies")


class EventHooks(dict[str, list[Callable[..., Any]]]):
    """Run for every call."""

    def __init__(self, hooks: dict[str, list[Callable[..., Any]]]) -> None:
        super().__init__({name: _Hooks(each) for name, each in hooks.items()})

    __setitem__ = __delitem__ = __ior__ = _refuse("event_hooks")
    clear = pop = popitem = setdefault = update = _refuse("event_hooks")


class _Hooks(list[Callable[..., Any]]):
    __setitem__ = __delitem__ = __iadd__ = __imul__ = _refuse("event_hooks")
    append = clear = extend = insert = pop = remove = reverse = sort = _refuse("event_hooks")
