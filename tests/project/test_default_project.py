"""The default project for real: written by the `cookiecutter` command, installed by `uv sync`,
run as a process, called over HTTP and stopped by SIGTERM. On each client combination."""

import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import pytest

from support.generated import COMBINATIONS, copy_program
from support.loopback import RecordingUpstream
from support.process import in_turn_with_mypy, run, succeed
from support.service import Service

ANSWER = Path(__file__).with_name("accepted_answer.py")
CLIENTS = [pytest.param(answers, id=name) for name, answers in COMBINATIONS.items()]
DEFAULT = CLIENTS[:1]
on_every_client = pytest.mark.parametrize("project", CLIENTS, indirect=True)
on_the_default = pytest.mark.parametrize("project", DEFAULT, indirect=True)


@dataclass(frozen=True)
class InstalledProject:
    """A generated project with its own environment."""

    directory: Path
    library: str

    def run(self, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
        # The Python that runs the tests is one that a project can do with.
        return run(self.directory, *command, UV_PYTHON_DOWNLOADS="never", **environment)

    def start(self, *command: str, **environment: str) -> Service:
        return Service(["uv", "run", "--no-sync", *command], self.directory, **environment)


@pytest.fixture(scope="module")
def project(
    request: pytest.FixtureRequest,
    template: Path,
    once: Callable[[str, Callable[[Path], object]], Path],
) -> InstalledProject:
    answers: dict[str, str] = request.param

    def install(parent: Path) -> None:
        options = ("--no-input", "--default-config", str(template))
        given = (f"{name}={value}" for name, value in answers.items())
        succeed(parent, "cookiecutter", *options, *given)
        succeed(parent / "my-service", "uv", "sync", UV_PYTHON_DOWNLOADS="never")

    directory = once(f"installed-{'-'.join(answers.values())}", install) / "my-service"
    return InstalledProject(directory, answers["http_library"])


@pytest.fixture
def upstream() -> Iterator[RecordingUpstream]:
    with RecordingUpstream() as upstream:
        yield upstream


@pytest.fixture
def answer(project: InstalledProject, tmp_path: Path) -> str:
    """The path of the program with the routes of the well-known accepted answer."""
    program = tmp_path / ANSWER.name
    copy_program(ANSWER, program, project.library)
    return str(program)


@on_every_client
@pytest.mark.parametrize(
    "command", ["ruff format --check .", "ruff check .", "mypy"], ids=["format", "lint", "types"]
)
def test_it_passes_its_own_checks(project: InstalledProject, command: str) -> None:
    """An installed project passes its own format check, lint and types."""
    with in_turn_with_mypy():
        done = project.run("uv", "run", *command.split())

    assert done.returncode == 0, done.stdout


@on_every_client
def test_it_passes_its_own_tests(project: InstalledProject, tmp_path: Path) -> None:
    """An installed project passes its own tests, and skips none."""
    report = tmp_path / "report.xml"
    done = project.run("uv", "run", "pytest", f"--junitxml={report}")
    assert done.returncode == 0, done.stdout
    (suite,) = ElementTree.parse(report).getroot()

    assert int(suite.attrib["tests"]) > 20
    assert suite.attrib["skipped"] == "0"


@on_every_client
def test_it_answers_over_http(project: InstalledProject, upstream: RecordingUpstream) -> None:
    """Every endpoint of the contract answers, from a process started as the README says."""
    with project.start("my-service", APP_UPSTREAMS__HTTPBIN__BASE_URL=upstream.base_url) as service:
        live = service.get("/livez")
        ready = service.get("/readyz")
        called = service.get("/external")
        relayed = service.get(f"/external?url={upstream.base_url}/missing")
        streamed = service.get(f"/external/stream?url={upstream.base_url}/streamed")
        rejected = service.get("/external?url=http://elsewhere.invalid/")
        service.stop()

    assert live.status == 200
    assert ready.status == 200
    assert ready.json["upstreams"]["httpbin"].keys() == {
        "in_flight",
        "waiting",
        "open_connections",
        "breaker",
    }
    assert called.json == {"result": "upstream answer 1", "status": 200}
    assert relayed.json == {"result": "upstream answer 2", "status": 404}
    assert streamed.body == b"upstream answer 3"
    assert rejected.status == 400
    assert rejected.headers["Content-Type"] == "application/problem+json"
    assert upstream.paths == ["/", "/missing", "/streamed"]
    assert service.finished


@on_every_client
def test_fifty_calls_open_one_connection(
    project: InstalledProject, upstream: RecordingUpstream
) -> None:
    """Fifty calls reuse one connection, which a client per call cannot do."""
    with project.start("my-service", APP_UPSTREAMS__HTTPBIN__BASE_URL=upstream.base_url) as service:
        statuses = {service.get("/external").status for _ in range(50)}

    assert statuses == {200}
    assert len(upstream.paths) == 50
    assert upstream.connections == 1


@on_the_default
def test_python_m_is_the_same_command(project: InstalledProject) -> None:
    """`python -m my_service` starts what the console script starts."""
    with project.start("python", "-m", "my_service") as service:
        live = service.get("/livez")
        service.stop()

    assert live.status == 200
    assert service.finished


@on_every_client
def test_everything_the_accepted_answer_does(
    project: InstalledProject, answer: str, upstream: RecordingUpstream
) -> None:
    """The shared client is opened in the lifespan, the same object for every route, also in a
    mounted application, and closed; both are logged with its id."""
    with in_turn_with_mypy():
        types = project.run("uv", "run", "--no-sync", "mypy", answer)
    base_url = {"APP_UPSTREAMS__HTTPBIN__BASE_URL": upstream.base_url}
    with project.start("python", answer, **base_url) as service:
        ids = [service.get(path).json for path in ("/ids", "/mounted/ids") * 2]
        calls = [
            service.get(path).status
            for path in ("/test-call-external", "/mounted/test-call-external") * 25
        ]
        service.stop()

    events = service.events
    messages = [event["message"] for event in events]
    life = [
        (event["message"], event["client_id"])
        for event in events
        if event.get("upstream") == "httpbin" and "client_id" in event
    ]

    assert types.returncode == 0, types.stdout
    assert ids == ids[:1] * 4
    assert ids[0]["by_name"] == ids[0]["httpbin"] != ids[0]["default"]
    assert calls == [200] * 50
    assert upstream.connections == 1
    assert life == [("client opened", ids[0]["httpbin"]), ("client closed", ids[0]["httpbin"])]
    assert messages.index("Waiting for application startup.") < messages.index("client opened")
    assert service.finished


@on_every_client
def test_outside_the_lifespan_is_a_clear_error(project: InstalledProject, answer: str) -> None:
    """Outside the lifespan, a client raises an error that names the lifespan."""
    with project.start("python", answer, "off") as service:
        failed = service.get("/test-call-external")
        service.stop()
    (event,) = [event for event in service.events if event["level"] == "error"]

    assert failed.status == 500
    assert "lifespan" in event["exception"]
