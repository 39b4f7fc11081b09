import asyncio
from typing import Any

import {{ cookiecutter.__httpx }}
import pytest
from fastapi import HTTPException, Request, Response
from starlette.middleware.base import RequestResponseEndpoint

from {{ cookiecutter.package_name }}.app import create_app
from {{ cookiecutter.package_name }}.http_client import HTTPClient

from .service import Logged, Up, serve, service_for, settings_for
from .upstream import Upstream


@pytest.mark.parametrize(
    ("path", "http", "status", "kind"),
    [
        ("/reset", {}, 502, "upstream-failed"),
        ("/drop", {}, 502, "upstream-failed"),
        ("/garbage", {}, 502, "upstream-failed"),
        ("/headers", {}, 502, "upstream-failed"),
        ("/short", {}, 502, "upstream-failed"),
        ("/undecodable", {}, 502, "upstream-failed"),
        ("/large/9", {"max_response_bytes": 8}, 502, "upstream-response-too-large"),
        ("/hang", {"attempt_timeout_s": 0.05}, 504, "upstream-timeout"),
        ("/hang", {"read_timeout_s": 0.05}, 504, "upstream-timeout"),
        ("/drip", {"total_timeout_s": 0.1}, 504, "upstream-timeout"),
    ],
)
async def test_failure_of_an_upstream(
    upstream: Upstream, path: str, http: dict[str, Any], status: int, kind: str
) -> None:
    """Every way to fail has its status and type, in a problem that names the upstream."""
    async with service_for(upstream, **http) as service:
        response = await service.get("/external", params={"url": upstream.url + path})

    problem = response.json()
    assert (response.status_code, problem["status"]) == (status, status)
    assert response.headers["Content-Type"] == "application/problem+json"
    assert (problem["type"], problem["upstream"]) == (f"urn:problem-type:{kind}", "up")
    assert problem["request_id"] == response.headers["X-Request-ID"]
    assert problem.keys() >= {"title", "detail"}


@pytest.mark.parametrize(
    "base_url", ["http://127.0.0.1:1", f"http://{'x' * 64}.invalid"], ids=["refused", "no-host"]
)
async def test_unreachable_upstream(upstream: Upstream, base_url: str) -> None:
    """A refused connection and an unknown host are a 502."""
    upstream.url = base_url
    async with service_for(upstream) as service:
        response = await service.get("/external")

    assert response.status_code == 502
    assert response.json()["type"] == "urn:problem-type:upstream-unreachable"


async def test_failure_in_a_handler(upstream: Upstream) -> None:
    """A handler need not catch anything: its calls, also in a task group, fail as problems."""
    app = create_app(settings_for(upstream))

    @app.get("/own/{path:path}")
    async def own(path: str, up: Up) -> str:
        return (await up.get(path)).raise_for_status().text

    @app.get("/group/{path:path}")
    async def group(path: str, up: Up, broken: bool = False) -> None:
        async with asyncio.TaskGroup() as calls:
            calls.create_task(up.get(path))
            try:
                await asyncio.sleep(60)  # until the call fails
            finally:
                if broken:
                    raise ZeroDivisionError

    async with serve(app) as service:
        paths = ("/own/drop", "/own/status/404", "/group/drop", "/group/drop?broken=true")
        statuses = [(await service.get(path)).status_code for path in paths]

    assert statuses == [502, 502, 502, 500]


async def test_failure_that_a_library_wraps(upstream: Upstream, logged: Logged) -> None:
    """It is answered like its cause, unless the owner handles the library's error."""
    app = create_app(settings_for(upstream))

    class LibraryError(Exception):
        pass

    class HandledError(LibraryError):
        pass

    @app.exception_handler(HandledError)
    async def handle(*_: object) -> Response:
        return Response(status_code=418)

    async def call(up: httpx.AsyncClient, error: type[Exception] = LibraryError) -> None:
        try:
            await up.get("/drop")
        except httpx.HTTPError as failure:
            raise error("at https://host/s3cret") from failure

    @app.get("/wrapped")
    async def wrapped(up: Up) -> None:
        await call(up)

    @app.get("/group")
    async def group(up: Up) -> None:
        async with asyncio.TaskGroup() as calls:
            calls.create_task(call(up))

    @app.get("/handled")
    async def handled(up: Up) -> None:
        await call(up, HandledError)

    async with serve(app) as service:
        paths = ("/wrapped", "/group", "/handled")
        statuses = [(await service.get(path)).status_code for path in paths]

    assert statuses == [502, 502, 418]
    errors = [line["error"] for line in logged("upstream failure in a library")]
    assert errors == ["LibraryError: at https://host"] * 2


async def test_failure_in_a_middleware(upstream: Upstream, logged: Logged) -> None:
    """An owner's middleware fails as a handler does, and sees the responses to failures inside."""
    app = create_app(settings_for(upstream))

    @app.get("/broken")
    async def broken() -> None:
        raise ZeroDivisionError

    @app.middleware("http")
    async def own(request: Request, go_on: RequestResponseEndpoint) -> Response:
        if request.url.path == "/livez":
            await request.state.clients.upstreams["up"].client.get("/drop")
        response = await go_on(request)
        response.headers["X-Own"] = "seen"
        return response

    async with serve(app) as service:
        outside, inside = await service.get("/livez"), await service.get("/broken")

    assert (outside.status_code, outside.json()["upstream"]) == (502, "up")
    assert outside.json()["request_id"] == outside.headers["X-Request-ID"]
    assert (inside.status_code, inside.headers["X-Own"]) == (500, "seen")
    assert len(logged("unhandled exception")) == 1


async def test_own_handler_for_everything_else(upstream: Upstream) -> None:
    """An owner's handler for Exception replaces the answer to unhandled exceptions."""
    app = create_app(settings_for(upstream))

    @app.exception_handler(Exception)
    async def handle(*_: object) -> Response:
        return Response(status_code=418)

    @app.get("/broken")
    async def broken() -> None:
        raise ZeroDivisionError

    async with serve(app) as service:
        response = await service.get("/broken")

    assert response.status_code == 418
    assert "X-Request-ID" in response.headers


@pytest.mark.parametrize("url", ["http://elsewhere/", "http://xn--a.com/", "ftp://host/"])
async def test_wrong_url_of_a_handler(upstream: Upstream, url: str) -> None:
    """A URL that a handler chose is a bug of this service, not the caller's mistake."""
    app = create_app(settings_for(upstream))

    @app.get("/own")
    async def own(up: Up, default: HTTPClient) -> None:
        await (default if url.startswith("ftp") else up).get(url)

    async with serve(app) as service:
        response = await service.get("/own")

    assert response.status_code == 500
    assert response.json()["type"] == "urn:problem-type:internal-error"


async def test_failure_of_the_service(upstream: Upstream) -> None:
    """An exception that no handler catches is a 500 that reveals only the request's id."""
    app = create_app(settings_for(upstream))

    @app.get("/broken")
    async def broken() -> None:
        raise ZeroDivisionError("secret")

    async with serve(app) as service:
        response = await service.get("/broken", headers={"X-Request-ID": "me"})

    assert (response.status_code, response.json()["request_id"]) == (500, "me")
    assert "secret" not in response.text


async def test_errors_of_fastapi(upstream: Upstream) -> None:
    """Invalid input, unknown paths and every HTTPException are problems, too."""
    app = create_app(settings_for(upstream))

    @app.get("/fail/{status}")
    async def fail(status: int) -> None:
        raise HTTPException(status, "not today")

    async with serve(app) as service:
        paths = ("/fail/one", "/unknown", "/fail/418", "/fail/499")
        answers = [await service.get(path) for path in paths]

    assert [answer.status_code for answer in answers] == [422, 404, 418, 499]
    assert {answer.headers["Content-Type"] for answer in answers} == {"application/problem+json"}
    assert "path.status" in answers[0].json()["detail"]
    assert answers[3].json()["detail"] == "not today"
