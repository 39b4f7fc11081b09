import asyncio

import {{ cookiecutter.__httpx }}
import pytest
from fastapi import Depends, HTTPException

from {{ cookiecutter.package_name }}.app import create_app
from {{ cookiecutter.package_name }}.http_client import upstream as named

from .service import service_for, serving, settings_for
from .upstream import Upstream

ONCE = {"max_attempts": 1, "attempt_timeout_s": 0.3, "total_timeout_s": 0.6}


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/reset", 502),
        ("/drop", 502),
        ("/garbage", 502),
        ("/headers", 502),
        ("/short", 502),
        ("/undecodable", 502),
        ("/large/2000000", 502),
        ("/hang", 504),
        ("/drip", 504),
    ],
)
async def test_failure_of_an_upstream(upstream: Upstream, path: str, status: int) -> None:
    """Each way to fail has its status, told as a problem that names the upstream."""
    async with service_for(upstream, **ONCE, max_response_bytes=1_000_000) as service:
        response = await service.get("/external", params={"url": upstream.url + path})

    problem = response.json()
    assert response.status_code == problem["status"] == status
    assert response.headers["Content-Type"] == "application/problem+json"
    assert problem["upstream"] == "up"
    assert problem["request_id"] == response.headers["X-Request-ID"]
    assert {"type", "title", "detail"} <= problem.keys()


@pytest.mark.parametrize(
    "base_url", ["http://127.0.0.1:1", "http://unknown.invalid"], ids=["refused", "unknown-host"]
)
async def test_unreachable_upstream(upstream: Upstream, base_url: str) -> None:
    """An upstream that cannot be reached is a 502."""
    upstream.url = base_url
    async with service_for(upstream, **ONCE) as service:
        response = await service.get("/external")

    assert response.status_code == 502
    assert response.json()["type"] == "urn:problem-type:upstream-unreachable"


async def test_routes_of_ones_own(upstream: Upstream) -> None:
    """A route that calls an upstream needs no error handling of its own."""
    app = create_app(settings_for(upstream, **ONCE))

    @app.get("/own/{path:path}")
    async def own(path: str, up: httpx.AsyncClient = Depends(named("up"))) -> str:  # noqa: B008 (as many write it)
        return (await up.get(path)).raise_for_status().text

    @app.get("/together/{path:path}")
    async def together(path: str, up: httpx.AsyncClient = Depends(named("UP"))) -> None:  # noqa: B008 (as many write it)
        async with asyncio.TaskGroup() as calls:
            for each in path.split("+"):
                calls.create_task(up.get(each)) if each else calls.create_task(broken())

    async def broken() -> None:
        raise ZeroDivisionError

    async with serving(app) as service:
        one_of_two = await service.get("/together//drop+/")
        and_a_bug = await service.get("/together//drop+")
        dropped = await service.get("/own/drop")
        refused = await service.get("/own/status/404")
        foreign = await service.get("/own/http://elsewhere.invalid/")

    assert [dropped.status_code, refused.status_code, foreign.status_code] == [502, 502, 400]
    assert refused.json()["type"] == "urn:problem-type:upstream-status"
    assert (one_of_two.status_code, and_a_bug.status_code) == (502, 500)


async def test_failure_of_the_service(upstream: Upstream) -> None:
    """What no handler caught is a 500 that tells nothing but the request's id."""
    app = create_app(settings_for(upstream))

    @app.get("/broken")
    async def broken() -> None:
        raise ZeroDivisionError("secret")

    async with serving(app) as service:
        response = await service.get("/broken", headers={"X-Request-ID": "me"})

    assert response.status_code == 500
    assert response.headers["X-Request-ID"] == response.json()["request_id"] == "me"
    assert "secret" not in response.text


async def test_invalid_input_and_unknown_paths(upstream: Upstream) -> None:
    """FastAPI's own refusals are problems as well."""
    app = create_app(settings_for(upstream))

    @app.get("/number/{number}")
    async def number(number: int) -> int:
        return number

    async with serving(app) as service:
        invalid = await service.get("/number/one")
        unknown = await service.get("/unknown")

    assert invalid.status_code == 422
    assert "path.number" in invalid.json()["detail"]
    assert unknown.status_code == 404
    assert unknown.headers["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize("status", [418, 499])
async def test_refusals_of_ones_own(upstream: Upstream, status: int) -> None:
    """An HTTPException is a problem of its status, known or not."""
    app = create_app(settings_for(upstream))

    @app.get("/refuse")
    async def refuse() -> None:
        raise HTTPException(status, "not today")

    async with serving(app) as service:
        response = await service.get("/refuse")

    assert (response.status_code, response.json()["detail"]) == (status, "not today")
