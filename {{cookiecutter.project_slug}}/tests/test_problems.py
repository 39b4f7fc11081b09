import asyncio
from typing import Any

import {{ cookiecutter.__httpx }}
import pytest
from fastapi import FastAPI, HTTPException, Request, Response
from starlette.middleware.base import RequestResponseEndpoint

from {{ cookiecutter.package_name }}.http_client import HTTPClient

from .service import Logged, Up, serve, service_for
from .upstream import Upstream


@pytest.mark.parametrize(
    ("url", "http", "status", "kind"),
    [
        ("{url}/reset", {}, 502, "upstream-failed"),
        ("{url}/drop", {}, 502, "upstream-failed"),
        ("{url}/garbage", {}, 502, "upstream-failed"),
        ("{url}/headers", {}, 502, "upstream-failed"),
        ("{url}/short", {}, 502, "upstream-failed"),
        ("{url}/undecodable", {}, 502, "upstream-failed"),
        ("{url}/large/9", {"max_response_bytes": 8}, 502, "upstream-response-too-large"),
        ("{url}/hang", {"attempt_timeout_s": 0.05}, 504, "upstream-timeout"),
        ("{url}/hang", {"read_timeout_s": 0.05}, 504, "upstream-timeout"),
        ("{url}/drip", {"total_timeout_s": 0.1}, 504, "upstream-timeout"),
        ("http://127.0.0.1:1", {}, 502, "upstream-unreachable"),
        (f"http://{'x' * 64}.invalid", {}, 502, "upstream-unreachable"),
    ],
)
async def test_failure_of_an_upstream(
    upstream: Upstream, url: str, http: dict[str, Any], status: int, kind: str
) -> None:
    """Every way to fail has its status and type, in a problem that names the upstream."""
    upstream.url = url.format(url=upstream.url)
    async with service_for(upstream, **http) as service:
        response = await service.get("/external")

    problem = response.json()
    assert (response.status_code, problem["status"]) == (status, status)
    assert response.headers["Content-Type"] == "application/problem+json"
    assert (problem["type"], problem["upstream"]) == (f"urn:problem-type:{kind}", "up")
    assert problem["request_id"] == response.headers["X-Request-ID"]
    assert problem.keys() >= {"title", "detail"}


class LibraryError(Exception):
    """What a library makes of a failed call."""


async def plain(up: Up) -> None:
    await up.get("/drop")


async def status(up: Up) -> None:
    (await up.get("/status/404")).raise_for_status()


async def wrapped(up: Up) -> None:
    try:
        await plain(up)
    except httpx.HTTPError as failure:
        raise LibraryError("at https://host/s3cret") from failure


async def broken() -> None:
    raise ZeroDivisionError("s3cret")


async def unwrapped(mixed: bool, up: Up) -> None:
    try:
        await group(up, wrap=True, mixed=mixed)
    except ExceptionGroup as failures:
        raise failures.exceptions[-1] from failures  # now its cause contains it


async def group(up: Up, wrap: bool, mixed: bool = False) -> None:
    async with asyncio.TaskGroup() as calls:
        calls.create_task(wrapped(up) if wrap else plain(up))
        try:
            await asyncio.sleep(60)  # until the call fails
        finally:
            if mixed:
                await broken()


def add_routes(app: FastAPI) -> None:
    for handler in (plain, status, wrapped, broken, unwrapped, group):
        app.get(f"/{handler.__name__}")(handler)


async def test_failure_in_a_handler(
    app: FastAPI, service: httpx.AsyncClient, logged: Logged
) -> None:
    """A handler need not catch anything: its failed calls, however it made them, are problems."""
    add_routes(app)
    groups = [f"/group?wrap={how}" for how in ("no", "yes", "yes&mixed=yes")]
    groups += [f"/unwrapped?mixed={how}" for how in ("no", "yes")]
    paths = ("/plain", "/status", "/wrapped", *groups)
    statuses = [(await service.get(path)).status_code for path in paths]

    assert statuses == [502, 502, 502, 502, 502, 500, 500, 500]
    errors = [line["error"] for line in logged("library raised on an upstream failure")]
    assert errors == [f"{__name__}.LibraryError: at https://host"] * 2


async def test_failure_of_the_service(app: FastAPI, service: httpx.AsyncClient) -> None:
    """An exception that no handler catches is a 500 that reveals only the request's id."""
    add_routes(app)
    response = await service.get("/broken", headers={"X-Request-ID": "me"})

    assert (response.status_code, response.json()["request_id"]) == (500, "me")
    assert "s3cret" not in response.text


async def test_failure_in_a_middleware(app: FastAPI, logged: Logged) -> None:
    """An owner's middleware fails as a handler does, and sees the responses to failures inside."""
    add_routes(app)

    @app.middleware("http")
    async def own(request: Request, go_on: RequestResponseEndpoint) -> Response:
        if request.url.path == "/livez":
            await plain(request.state.clients.upstreams["up"].client)
        response = await go_on(request)
        response.headers["X-Own"] = "seen"
        return response

    async with serve(app) as service:
        outside, inside = await service.get("/livez"), await service.get("/broken")

    assert (outside.status_code, outside.json()["upstream"]) == (502, "up")
    assert outside.json()["request_id"] == outside.headers["X-Request-ID"]
    assert (inside.status_code, inside.headers["X-Own"]) == (500, "seen")
    assert len(logged("unhandled exception")) == 1


@pytest.mark.parametrize(
    ("path", "error"), [("/wrapped", LibraryError), ("/broken", Exception)], ids=["own", "any"]
)
async def test_handler_of_an_owner(app: FastAPI, path: str, error: type[Exception]) -> None:
    """An owner's handler, for a library's error or for everything else, takes precedence."""
    add_routes(app)
    app.add_exception_handler(error, lambda *_: Response(status_code=418))
    async with serve(app) as service:
        response = await service.get(path)

    assert response.status_code == 418
    assert "X-Request-ID" in response.headers


@pytest.mark.parametrize("url", ["http://elsewhere/", "http://xn--a.com/", "ftp://host/"])
async def test_wrong_url_of_a_handler(app: FastAPI, service: httpx.AsyncClient, url: str) -> None:
    """A URL that a handler chose is a bug of this service, not the caller's mistake."""

    @app.get("/own")
    async def own(up: Up, default: HTTPClient) -> None:
        await (default if url.startswith("ftp") else up).get(url)

    response = await service.get("/own")

    assert response.status_code == 500
    assert response.json()["type"] == "urn:problem-type:internal-error"


async def test_errors_of_fastapi(app: FastAPI, service: httpx.AsyncClient) -> None:
    """Invalid input, unknown paths and every HTTPException are problems, too."""

    @app.get("/fail/{status}")
    async def fail(status: int) -> None:
        raise HTTPException(status, "not today")

    paths = ("/fail/one", "/unknown", "/fail/418", "/fail/499")
    answers = [await service.get(path) for path in paths]

    assert [answer.status_code for answer in answers] == [422, 404, 418, 499]
    assert {answer.headers["Content-Type"] for answer in answers} == {"application/problem+json"}
    assert "path.status" in answers[0].json()["detail"]
    assert answers[3].json()["detail"] == "not today"
