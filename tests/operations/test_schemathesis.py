"""The service behaves as its own OpenAPI says, for any request."""

import sys
from pathlib import Path

import pytest

from support.loopback import RecordingUpstream
from support.process import run
from support.rendering import Bake
from support.service import Service

HERE = Path(__file__).parent


@pytest.mark.parametrize("upstreams", ["httpbin=https://httpbin.org", ""], ids=["default", "none"])
def test_openapi_is_true(bake: Bake, upstreams: str) -> None:
    """Every check of schemathesis passes: statuses, types and schemas are as declared, invalid
    input and methods are rejected, and nothing is a server error."""
    project = bake(upstreams=upstreams)
    with RecordingUpstream() as upstream:
        settings = {"APP_UPSTREAMS__HTTPBIN__BASE_URL": upstream.base_url} if upstreams else {}
        command = [sys.executable, "-m", project.package.name]
        with Service(command, project.path, PYTHONPATH="src", **settings) as service:
            done = run(
                project.path,
                *("schemathesis", f"--config-file={HERE / 'schemathesis.toml'}", "run"),
                *("--checks=all", "--seed=1", "--max-examples=40", "--no-color"),
                f"http://127.0.0.1:{service.port}/openapi.json",
                PYTHONPATH=str(HERE),
                SCHEMATHESIS_HOOKS="schemathesis_hooks",
                UPSTREAM=upstream.base_url,
            )
            called = len(upstream.paths)
            service.stop()

    assert done.returncode == 0, done.stdout
    assert (called > 20) == bool(upstreams)
    assert [event for event in service.events if event["level"] in {"error", "critical"}] == []
    assert service.finished
