"""The README's tour: its snippets are written into a project, checked and run."""

import re
from pathlib import Path

import pytest

from support.loopback import RecordingUpstream
from support.rendering import Bake, Project

SNIPPET = re.compile(r"`([\w/]+\.py)`:\n\n```python\n(.*?)```", re.DOTALL)
SETTINGS = re.compile(r"```dotenv\n(.*?)```", re.DOTALL)


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
    """A new project with every step of the tour applied."""
    project = bake(**request.param)
    readme = project.read("README.md")
    for path, text in SNIPPET.findall(readme):
        (project.path / path).write_text(text, encoding="utf-8")
    settings = "".join(SETTINGS.findall(readme))
    (project.path / ".env").write_text(settings, encoding="utf-8")

    (line,) = re.findall(r"`(app\.include_router\(\w+\.router\))`", readme)
    app = project.package / "app.py"
    text = app.read_text(encoding="utf-8")
    for before, after in (
        ("import external, health\n", "import external, health, repos\n"),
        ("    app.add_middleware(", f"    {line}\n    app.add_middleware("),
    ):
        assert text.count(before) == 1
        text = text.replace(before, after)
    app.write_text(text, encoding="utf-8")
    return project


def test_what_the_tour_writes_passes_every_check(project: Project) -> None:
    """The snippets pass the project's format check, lint, types and their own tests."""
    project.run("ruff", "format", "--check", ".")
    project.run("ruff", "check", ".")
    project.run("mypy")
    done = project.run("pytest", "tests/test_github.py", "tests/test_app.py")

    assert {"github.py", "repos.py", "test_github.py"} <= {
        Path(path).name for path, _ in SNIPPET.findall(project.read("README.md"))
    }
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
