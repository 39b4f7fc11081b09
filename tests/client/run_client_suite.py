"""Run the client library's own test suite over the managed client.

    python -m tests.client.run_client_suite CHECKOUT [--transport aiohttp|httpcore]

`make suite HTTPX=CHECKOUT` runs it for both transports.

CHECKOUT is a clone of httpx or httpx2. The script renders a project for that library, copies the
suite, and replaces `AsyncClient` by a managed client that `open_clients` opens. Tests of the
synchronous `Client` run over it too, through a wrapper with an event loop in a thread.

docs/differences.md explains why a test is expected to fail. The exit code is 1 if another test
fails, or if an expected failure passes.
"""

import argparse
import asyncio
import contextlib
import importlib.util
import inspect
import logging
import os
import shutil
import socket
import sys
import tempfile
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock, patch

import charset_normalizer
import pytest

from support.rendering import render
from support.repository import ROOT

# Each heading of docs/differences.md, with the tests that fail for that reason.
EXPECTED: dict[str, tuple[str, ...]] = {
    "The service opens and closes the client": (
        "client/test_async_client.py::test_client_closed_state_using_implicit_open",
        "client/test_client.py::test_client_closed_state_using_implicit_open",
    ),
    "An open client cannot be changed": (
        "client/test_auth.py::test_auth_invalid_type",
        "client/test_auth.py::test_auth_property",
        "client/test_headers.py::test_header_update",
        "client/test_headers.py::test_remove_default_header",
        "client/test_properties.py::test_client_base_url",
        "client/test_properties.py::test_client_base_url_with_trailing_slash",
        "client/test_properties.py::test_client_base_url_without_trailing_slash",
        "client/test_properties.py::test_client_event_hooks",
        "client/test_properties.py::test_client_headers",
        "client/test_properties.py::test_client_timeout",
        "client/test_queryparams.py::test_client_queryparams_string",
    ),
    "Cookies are not kept": (
        "client/test_cookies.py::test_cookie_persistence",
        "client/test_cookies.py::test_get_cookie",
        "client/test_cookies.py::test_set_cookie",
        "client/test_cookies.py::test_set_cookie_with_cookiejar",
        "client/test_cookies.py::test_set_cookie_with_cookies_model",
        "client/test_cookies.py::test_setting_client_cookies_to_cookiejar",
        "client/test_properties.py::test_client_cookies",
        "client/test_redirects.py::test_redirect_cookie_behavior",
    ),
    "An upstream's client calls that upstream only": (
        "websockets/test_api.py::test_client",
        "websockets/test_api.py::test_subprotocol_and_response",
        "websockets/test_api.py::test_upgrade_error",
    ),
    "Proxies come from the environment, if at all": (
        "client/test_async_client.py::test_context_managed_transport_and_mount",
        "client/test_async_client.py::test_mounted_transport",
        "client/test_client.py::test_all_mounted_transport",
        "client/test_client.py::test_context_managed_transport_and_mount",
        "client/test_client.py::test_mounted_transport",
        "client/test_properties.py::test_client_trust_env",
        "client/test_proxies.py::test_for_deprecated_proxy_params",
        "client/test_proxies.py::test_proxies_environ",
        "client/test_proxies.py::test_proxy_with_mounts",
        "client/test_proxies.py::test_socks_proxy",
        "client/test_proxies.py::test_transport_for_request",
        "client/test_proxies.py::test_unsupported_proxy_scheme",
    ),
    "A mock receives only valid requests": (
        "client/test_redirects.py::test_redirect_custom_scheme",
        "test_decoders.py::test_async_streaming_decode_error_closes_response",
        "test_decoders.py::test_streaming_decode_error_closes_response",
        "test_multipart.py::test_multipart_header_without_boundary",
        "websockets/test_transport.py::test_cancel_scope_integrity",
        "websockets/test_transport.py::test_keepalive_ping_disabled",
        "websockets/test_transport.py::test_receive",
        "websockets/test_transport.py::test_subprotocol_support",
    ),
    "A redirect to an invalid URL is a response": (
        "client/test_redirects.py::test_async_invalid_redirect",
        "client/test_redirects.py::test_invalid_redirect",
    ),
    "Text without a charset is UTF-8": (
        "client/test_client.py::test_client_decode_text_using_autodetect",
        "client/test_client.py::test_client_decode_text_using_explicit_encoding",
    ),
    "Accept-Encoding is gzip and deflate": (
        "client/test_client.py::test_raw_client_header",
        "test_asgi.py::test_asgi_headers",
    ),
    "The library's INFO and DEBUG logs are off": (
        "test_utils.py::test_logging_redirect_chain",
        "test_utils.py::test_logging_request",
    ),
}
# Tests of what only a synchronous client can do.
SYNCHRONOUS = frozenset({"test_cannot_stream_async_request", "test_sync_auth"})

# The arguments of AsyncClient: settings of the service, arguments without a setting, and those
# without a meaning for the suite's HTTP/1.1 server.
SETTINGS = frozenset({"base_url", "follow_redirects", "limits", "transport", "trust_env"})
ARGUMENTS = frozenset(
    {"auth", "cookies", "default_encoding", "event_hooks", "headers", "max_redirects", "params"}
    | {"timeout"}
)
IGNORED = frozenset({"http1", "http2"})


class Lifespan:
    """Open one managed client with the arguments of an `AsyncClient`."""

    httpx: Any
    plain: Any
    count = 0

    def __init__(self, **options: Any) -> None:
        Lifespan.count += 1
        unknown = sorted(options.keys() - SETTINGS - ARGUMENTS - IGNORED)
        if unknown:
            raise TypeError(f"the managed client has no argument {', '.join(unknown)}")
        self._options = options
        self._arguments = {name: options[name] for name in ARGUMENTS if name in options}
        self._stack = contextlib.AsyncExitStack()
        # Raises what httpx raises for an invalid argument.
        self.plain(transport=self.httpx.MockTransport(lambda _: None), **self._arguments)

    async def __aenter__(self) -> Any:
        clients = importlib.import_module("my_service.http_client.clients")
        settings_module = importlib.import_module("my_service.settings")
        fields = self._fields()
        base_url = self._options.get("base_url")
        upstreams = {"suite": {**fields, "base_url": str(base_url)}} if base_url else {}
        settings = settings_module.Settings(
            http=settings_module.HTTPSettings(**fields), upstreams=upstreams, shutdown_grace_s=1
        )
        transport = self._choose_transport if self._options.get("transport") else None
        with patch.object(self.plain, "__init__", self._make_init()):
            opened = clients.open_clients(settings, transport)
            everything = await self._stack.enter_async_context(opened)
        managed = everything.upstreams["suite"] if base_url else everything.default
        return managed.client

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    def _fields(self) -> dict[str, Any]:
        """Return the settings that the arguments amount to."""
        options = self._options
        names = ("follow_redirects", "trust_env")
        fields = {name: options[name] for name in names if name in options}
        if "timeout" in options:
            timeouts = self.httpx.Timeout(options["timeout"]).as_dict()
            fields |= {f"{name}_timeout_s": s for name, s in timeouts.items() if s is not None}
        if "limits" in options:
            fields["max_connections"] = options["limits"].max_connections
        return fields

    def _choose_transport(self, settings: Any) -> Any:
        """Return the test's transport for the tested client, and an unused one for the other."""
        if hasattr(settings, "base_url") == bool(self._options.get("base_url")):
            return self._options["transport"]
        return self.httpx.MockTransport(lambda _: None)

    def _make_init(self) -> Callable[..., None]:
        """Return `AsyncClient.__init__` with the arguments that no setting covers."""
        plain_init = self.plain.__init__

        def init(client: Any, **managed: Any) -> None:
            headers = self.httpx.Headers(managed.get("headers"))
            headers.update(self.httpx.Headers(self._arguments.get("headers")))
            plain_init(client, **{**managed, **self._arguments, "headers": headers})

        return init


def make_sync_client(httpx: Any) -> Any:
    """Return a stand-in for the synchronous `Client` that runs a managed client in a thread."""
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, daemon=True).start()

    def run(coroutine: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, loop).result()

    class SyncReadable(httpx.SyncByteStream, httpx.AsyncByteStream):  # type: ignore[misc]
        def __init__(self, stream: Any) -> None:
            self._stream = stream

        def __aiter__(self) -> Any:
            return aiter(self._stream)

        def __iter__(self) -> Iterator[bytes]:
            async def read_chunk() -> Any:
                return await anext(chunks, None)

            chunks = aiter(self)
            while (chunk := run(read_chunk())) is not None:
                yield chunk

        async def aclose(self) -> None:
            await self._stream.aclose()

        def close(self) -> None:
            run(self.aclose())

    class AsyncReadable(httpx.SyncByteStream, httpx.AsyncByteStream):  # type: ignore[misc]
        def __init__(self, stream: Any) -> None:
            self._stream = stream

        def __iter__(self) -> Any:
            return iter(self._stream)

        async def __aiter__(self) -> AsyncIterator[bytes]:
            for chunk in self._stream:
                yield chunk

        async def aclose(self) -> None:
            self._stream.close()

    class AsyncTransport(httpx.AsyncBaseTransport):  # type: ignore[misc]
        def __init__(self, transport: Any) -> None:
            self._transport = transport

        async def handle_async_request(self, request: Any) -> Any:
            return make_async_readable(self._transport.handle_request(request))

        async def __aenter__(self) -> Any:
            self._transport.__enter__()
            return self

        async def __aexit__(self, *error: Any) -> None:
            self._transport.__exit__(*error)

        async def aclose(self) -> None:
            self._transport.close()

    def make_async_readable(message: Any) -> Any:
        if not isinstance(message.stream, httpx.AsyncByteStream):
            message.stream = AsyncReadable(message.stream)
        return message

    def make_sync_readable(result: Any) -> Any:
        if hasattr(result, "stream") and not isinstance(result.stream, httpx.SyncByteStream):
            result.stream = SyncReadable(result.stream)
        return result

    def make_async(hook: Callable[[Any], None]) -> Callable[[Any], Awaitable[None]]:
        async def call(message: Any) -> None:
            hook(message)

        return call

    class SyncClient:
        in_use: list[Any] = []  # noqa: RUF012 - shared by all clients

        def __init__(self, **options: Any) -> None:
            if (transport := options.get("transport")) is not None:
                options["transport"] = AsyncTransport(transport)
            hooks = options.get("event_hooks") or {}
            options["event_hooks"] = {
                name: [make_async(hook) for hook in hooks[name]] for name in hooks
            }
            lifespan = Lifespan(**options)
            client = run(lifespan.__aenter__())
            build = client.build_request
            vars(client)["build_request"] = lambda *args, **kwargs: make_async_readable(
                build(*args, **kwargs)
            )
            vars(self).update(_lifespan=lifespan, _client=client)
            self.in_use.append(self)

        def __getattr__(self, name: str) -> Any:
            value = getattr(self._client, name)
            if not inspect.iscoroutinefunction(value):
                return value
            return lambda *args, **kwargs: make_sync_readable(run(value(*args, **kwargs)))

        def __setattr__(self, name: str, value: Any) -> None:
            setattr(self._client, name, value)

        @contextlib.contextmanager
        def stream(self, *args: Any, **kwargs: Any) -> Iterator[Any]:
            context = self._client.stream(*args, **kwargs)
            response = make_sync_readable(run(context.__aenter__()))
            try:
                yield response
            finally:
                run(context.__aexit__(None, None, None))

        @contextlib.contextmanager
        def sse(self, *args: Any, **kwargs: Any) -> Iterator[Any]:
            context = self._client.sse(*args, **kwargs)
            source = run(context.__aenter__())
            make_sync_readable(source.response)
            try:
                yield source
            finally:
                run(context.__aexit__(None, None, None))

        def __enter__(self) -> Any:
            return self

        def __exit__(self, *_: object) -> None:
            self.close()

        def close(self) -> None:
            if self in self.in_use:
                self.in_use.remove(self)
                run(self._lifespan.__aexit__())

    return SyncClient


class Results:
    """A pytest plugin that records the outcome of each test that opens a managed client."""

    def __init__(self, sync_client: Any) -> None:
        self._sync_client = sync_client
        self.passed: list[str] = []
        self.failed: dict[str, list[str]] = {}
        self.not_imported: list[str] = []

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Leave out tests that need the internet, trio or a synchronous client."""
        items[:] = [
            item
            for item in items
            if not item.get_closest_marker("network")
            and "[trio" not in item.name
            and item.name not in SYNCHRONOUS
        ]

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self.not_imported.append(f"{report.nodeid}: {last_error(report.longreprtext)}")

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self) -> Any:
        Lifespan.count = 0
        return (yield)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_teardown(self) -> Any:
        for client in list(self._sync_client.in_use):
            client.close()
        return (yield)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if not Lifespan.count:
            return
        test = report.nodeid.partition("[")[0].removeprefix("tests/").removeprefix("httpx2/")
        if report.failed:
            self.failed.setdefault(test, []).append(report.longreprtext)
        elif report.passed and report.when == "call":
            self.passed.append(test)


def last_error(text: str) -> str:
    """Return the last line that pytest marks as an error."""
    errors = [line for line in text.splitlines() if line.startswith("E  ")]
    return errors[-1].removeprefix("E").strip() if errors else text.splitlines()[-1]


def copy_suite(checkout: Path, directory: Path) -> None:
    """Copy the suite, and correct the one header value that most header tests compare."""
    shutil.copytree(checkout / "tests", directory / "tests")
    for path in (directory / "tests").rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        text = text.replace("gzip, deflate, br, zstd", "gzip, deflate")
        path.write_text(text, encoding="utf-8")
    (directory / "pytest.ini").write_text(
        "[pytest]\nfilterwarnings = error\nmarkers =\n  copied_from\n  network\n  benchmark\n"
    )


def install_stand_ins() -> None:
    """Let test modules import packages that only other tests in them use."""
    names = ("backports", "brotli", "trio", "zstandard")
    stand_ins: dict[str, Any] = {name: MagicMock() for name in names}
    stand_ins["sniffio"] = SimpleNamespace(current_async_library=lambda: "asyncio")
    stand_ins["chardet"] = charset_normalizer  # has the same detect()
    for name, module in stand_ins.items():
        if importlib.util.find_spec(name) is None:
            sys.modules[name] = module


def run_suite(library: str, directory: Path, project: Path, keyword: str) -> Results:
    """Run the suite in this process, with the managed client in the library's place."""
    os.chdir(directory)  # has no .env
    sys.path[:0] = [str(project / "src"), str(directory)]
    for name in [name for name in sys.modules if name.partition(".")[0] == "tests"]:
        del sys.modules[name]  # this repository's, or the suite's conftest would not be found
    httpx = importlib.import_module(library)
    install_stand_ins()  # httpx would decode with them
    importlib.import_module("my_service.http_client.client")  # subclasses the class patched below
    logging.getLogger(library).setLevel(logging.WARNING)  # as log.py sets it in a service
    Lifespan.httpx, Lifespan.plain = httpx, httpx.AsyncClient
    sync_client = make_sync_client(httpx)
    results = Results(sync_client)
    suite = "tests/httpx2" if library == "httpx2" else "tests"
    options = ["-p", "no:terminal", "-p", "no:cacheprovider", "-p", "anyio.pytest_plugin"]
    with (
        patch.dict(os.environ, PYTEST_DISABLE_PLUGIN_AUTOLOAD="1"),
        patch.object(httpx, "AsyncClient", Lifespan),
        patch.object(httpx, "Client", sync_client),
    ):
        arguments = [*options, "--continue-on-collection-errors", "-k", keyword, suite]
        pytest.main(arguments, plugins=[results])
    return results


def report(results: Results, verbose: bool) -> bool:
    """Print the outcome; return whether it is the expected one."""
    failed = results.failed
    expected = {test for tests in EXPECTED.values() for test in tests}
    unexpected = sorted(failed.keys() - expected)
    fixed = sorted((expected & set(results.passed)) - failed.keys())
    print(f"{len(results.passed)} passed, {sum(map(len, failed.values()))} failed")
    for heading, tests in EXPECTED.items():
        count = sum(len(failed.get(test, [])) for test in tests)
        print(f"{count:5} expected: {heading}")
    for line in results.not_imported:
        print(f"not imported: {line}")
    for test in unexpected:
        print(f"unexpected failure: {test}: {last_error(failed[test][0])}")
        if verbose:
            print(failed[test][0])
    for test in fixed:
        print(f"passed, but is expected to fail: {test}")
    return bool(results.passed) and not (unexpected or fixed or results.not_imported)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("checkout", type=Path, help="a clone of httpx or httpx2")
    parser.add_argument("--transport", choices=("aiohttp", "httpcore"), default="aiohttp")
    parser.add_argument("-k", dest="keyword", default="", help="run only some tests, as in pytest")
    parser.add_argument("--verbose", action="store_true", help="print tracebacks")
    options = parser.parse_args()
    checkout = options.checkout.resolve()
    library = "httpx2" if (checkout / "tests" / "httpx2").is_dir() else "httpx"
    with socket.socket() as probe:
        if library == "httpx" and probe.connect_ex(("127.0.0.1", 8000)) == 0:
            parser.error("port 8000 is in use, but the suite's server listens there")
    with tempfile.TemporaryDirectory() as directory:
        answers = {"http_library": library, "http_transport": options.transport, "upstreams": ""}
        project = render(ROOT, Path(directory) / "rendered", answers, hooks=False)
        copy_suite(checkout, Path(directory))
        results = run_suite(library, Path(directory), project, options.keyword)
        os.chdir(ROOT)
    print(f"{library} on {options.transport}:", end=" ")
    return 0 if report(results, options.verbose) else 1


if __name__ == "__main__":
    sys.exit(main())
