"""Whatever starts the service, it logs, serves and stops in the same way."""

import json
import sys
from collections import Counter

import pytest

from support.generated import Generated
from support.loopback import RecordingUpstream
from support.process import BrokenPromiseError
from support.service import Response, Service

APP = "my_service.app:create_app"
LAUNCHERS = {
    "fastapi-run": "fastapi run --port $APP_PORT",
    "fastapi-dev": "fastapi dev --port $APP_PORT",
    "uvicorn": f"uvicorn {APP} --factory --port $APP_PORT",
    "gunicorn": f"gunicorn '{APP}()' --worker-class asgi --bind 127.0.0.1:$APP_PORT",
    "gunicorn-uvicorn": (
        f"gunicorn '{APP}()' --worker-class uvicorn.workers.UvicornWorker"
        " --bind 127.0.0.1:$APP_PORT --access-logfile -"
    ),
    "hypercorn": f"hypercorn '{APP}()' --bind 127.0.0.1:$APP_PORT --access-logfile -",
    "granian": f"granian --interface asgi --factory {APP} --port $APP_PORT",
}


@pytest.fixture(scope="module")
def generated(every_service: dict[str, Generated]) -> Generated:
    return every_service["httpx-on-aiohttp"]


@pytest.fixture(scope="module")
def expected(generated: Generated) -> Counter[tuple[str, ...]]:
    """The lines of `python -m my_service`."""
    service, *_ = run(generated, f"{sys.executable} -m my_service")
    assert service.err == []
    return own_lines(service)


def launch(generated: Generated, launcher: str, **settings: str) -> Service:
    """Return the service under a launcher, as a process to enter."""
    environment = {"PYTHONPATH": "src", "GUNICORN_CMD_ARGS": "--no-control-socket", **settings}
    return Service(["sh", "-c", f"exec {launcher}"], generated.path, **environment)


def run(generated: Generated, launcher: str, root_path: str = "/api") -> tuple[Service, Response]:
    """Start the service behind a prefix, make a call through it, and stop it; return `/docs`."""
    with RecordingUpstream() as upstream:
        base_url = {"APP_UPSTREAMS__UP__BASE_URL": upstream.base_url}
        with launch(generated, launcher, APP_ROOT_PATH=root_path, **base_url) as service:
            called = service.get(f"/external?url={upstream.base_url}/x?token=s3cret")
            script = service.get("/docs/assets/swagger-ui-bundle.js")
            page = service.get("/docs")
            service.stop()
    assert (called.status, script.status, page.status) == (200, 200, 200)
    return service, page


def own_lines(service: Service) -> Counter[tuple[str, ...]]:
    """Count the lines of the service's own loggers, without what differs in each run."""
    names = ("logger", "level", "message", "path", "upstream")
    events = [json.loads(line) for line in service.out if line.startswith("{")]
    return Counter(
        tuple(str(event.get(name)) for name in names)
        for event in events
        if event["logger"].startswith("my_service")
    )


@pytest.mark.parametrize("launcher", LAUNCHERS.values(), ids=LAUNCHERS.keys())
def test_the_service_is_the_same(
    generated: Generated, expected: Counter[tuple[str, ...]], launcher: str
) -> None:
    """The service logs as under `python -m`, no query, and `/docs` has the proxy's prefix."""
    service, page = run(generated, launcher)
    written = "\n".join(service.out + service.err)

    assert own_lines(service) == expected
    assert "s3cret" not in written
    assert "Traceback" not in written
    assert b"/api/docs/assets/swagger-ui-bundle.js" in page.body
    assert b"/api/openapi.json" in page.body


def test_the_servers_lines_and_root_path(
    generated: Generated, expected: Counter[tuple[str, ...]]
) -> None:
    """uvicorn's lines are JSON from the first to the last, and its own root path wins."""
    service, page = run(generated, f"{LAUNCHERS['uvicorn']} --root-path /api", "/other")
    messages = [event["message"] for event in service.events]

    assert messages[0].startswith("Started server process")
    assert messages[-1].startswith("Finished server process")
    assert service.err == []
    assert own_lines(service) == expected
    assert b"/api/openapi.json" in page.body


@pytest.mark.parametrize("name", sorted(LAUNCHERS.keys() - {"fastapi-dev"}))  # it waits for a fix
def test_invalid_settings_end_the_start(generated: Generated, name: str) -> None:
    """Under each launcher, invalid settings are one line each and end the start."""
    launched = launch(generated, LAUNCHERS[name], APP_LOG_FORMAT="s3cret")
    with pytest.raises(BrokenPromiseError, match="ended before it was ready"), launched:
        pass

    lines = [line for line in launched.err if line.startswith("  APP_")]
    assert [line.partition(": ")[0] for line in lines] == ["  APP_LOG_FORMAT"]
    assert "Traceback" not in str(launched.err)
    assert launched.wait() > 0 or name == "hypercorn"  # which never reports a failed start
