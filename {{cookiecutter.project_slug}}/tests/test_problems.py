import asyncio
from typing import Any

import pytest
from fastapi import HTTPException

from {{ cookiecutter.package_name }}.app import create_app

from .service import Up, serve, service_for, settings_for
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
