"""The tour of a project's pages: their snippets are written into it, checked and run."""

import re

import pytest

from support.loopback import RecordingUpstream
from support.rendering import Bake, Project
from support.tour import apply_tour

RESPX = "test_github_respx.py"


@pytest.fixture(
    scope="module",
    params=[
        {},
        {
            "http_library": "httpx2",
            "http_transport": "httpcore",
            "telemetry": True,
            "upstreams": "",
        },
    ],
    ids=["default", "unusual"],
)
def project(bake: Bake, request: pytest.FixtureRequest) -> Project:
    """A new project with every step of the tour applied, except those that need more packages."""
    project = bake(**request.param)
    files = apply_tour(project)
    assert {"github.py", "repos.py", "test_github.py", RESPX} <= files
    (project.path / "tests" / RESPX).unlink()  # test_mocks.py runs it
    return project


def test_what_the_tour_writes_passes_every_check(project: Project) -> None:
    """The snippets pass the project's format check, lint, types and their own tests."""
    project.run("ruff", "format", "--check", ".")
    project.run("ruff", "check", ".")
    project.run("mypy")
    tests = ("test_github.py", "test_github_override.py", "test_app.py")
    done = project.run("pytest", *(f"tests/{name}" for name in tests))

    assert re.search(r"[1-9]\d* passed", done.stdout)


def test_what_the_tour_sets_is_sent(project: Project) -> None:
    """An upstream added by settings alone is called with its headers."""
    with (
        RecordingUpstream() as upstream,
        project.start(APP_UPSTREAMS__GITHUB__BASE_URL=upstream.base_url) as service,
    ):
        ready = service.get("/readyz").json
        called = service.get(f"/external?url={upstream.base_url}/zen")

    assert "github" in ready["upstreams"]
    assert called.json == {"result": "upstream answer 1", "status": 200}
    assert upstream.headers[0]["Authorization"] == "Bearer your-token"
    assert upstream.headers[0]["X-GitHub-Api-Version"] == "2022-11-28"
