"""The recipes of docs/recipes.md: written into projects, and run with the real packages."""

import http.client
import itertools
import json
import os
import re
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from support.generated import COMBINATIONS
from support.loopback import HOST
from support.process import succeed
from support.rendering import Bake, Project
from support.service import Service

from .apis import SECRET, APIs
from .page import SECTIONS, answers, apply, include

HERE = Path(__file__).parent
ALIAS = "Packages that need one library"
OPENAI, ANTHROPIC, SSE = "OpenAI", "Anthropic", "An event stream, with httpx-sse"
GENERATED, AUTHLIB = "A client generated from an OpenAPI document", "Access tokens, with authlib"
SENTRY = "Sentry, without secrets"
OTEL, LOGFIRE = "Traces with OpenTelemetry", "Traces with Logfire"
STRUCTLOG, LOGURU = "structlog", "loguru"
# The sections whose types fit a library, for the checks of their code.
CHECKED = {
    "httpx-on-aiohttp": [SSE, GENERATED, SENTRY, OTEL, LOGURU, STRUCTLOG],
    "httpx2-on-httpcore": [OPENAI, ANTHROPIC, AUTHLIB, OTEL, LOGFIRE],
}

on_each_client = pytest.mark.parametrize("client", COMBINATIONS)
on_each_httpx2 = pytest.mark.parametrize("client", [name for name in COMBINATIONS if "2" in name])
on_each_library = pytest.mark.parametrize("client", ["httpx-on-aiohttp", "httpx2-on-httpcore"])

CUSTOMERS = {
    "openapi": "3.1.0",
    "info": {"title": "CRM", "version": "1"},
    "paths": {
        "/customers": {
            "get": {
                "operationId": "listCustomers",
                "responses": {
                    "200": {
                        "description": "All customers",
                        "content": {
                            "application/json": {
                                "schema": {
                                    "type": "array",
                                    "items": {"$ref": "#/components/schemas/Customer"},
                                }
                            }
                        },
                    }
                },
            }
        }
    },
    "components": {
        "schemas": {
            "Customer": {
                "type": "object",
                "required": ["name"],
                "properties": {"name": {"type": "string"}},
            }
        }
    },
}
# A handler that fails after a call, with a secret in a variable, a query, a header and a body.
BUG = '''"""A handler with a bug."""

from fastapi import APIRouter, Request

from ..http_client import Crm

router = APIRouter()


@router.post("/bug")
async def bug(crm: Crm, request: Request, found: dict[str, str]) -> None:
    value = found["value"]
    await crm.get("/flaky", params={"q": value}, headers={"X-Own": value})
    raise LookupError("a bug")
'''


@pytest.fixture(scope="session")
def environment(once: Any) -> Path:
    """The scripts of an environment with the packages of every recipe."""

    def install(directory: Path) -> None:
        succeed(directory, "uv", "venv", "--python", sys.executable, "venv")
        lock = str(HERE / "requirements.txt")
        command = ("uv", "pip", "sync", "--require-hashes", "--python", "venv", lock)
        succeed(directory, *command, UV_PYTHON_DOWNLOADS="never")

    scripts = once("recipes", install) / "venv/bin"
    assert isinstance(scripts, Path)
    return scripts


class Recipes:
    """A project with the recipes of some sections."""

    def __init__(self, project: Project, environment: Path, *titles: str) -> None:
        self.project = project
        self.environment = environment
        self.titles = titles
        if GENERATED in titles:
            self._generate()
        if project.answers["http_library"] == "httpx2":
            titles = (ALIAS, *titles)
        apply(project, *titles)

    def start(self, apis: APIs, **variables: object) -> Service:
        """Return the service, whose upstreams are these APIs, as a process to enter."""
        urls = {
            f"APP_UPSTREAMS__{name}__BASE_URL": f"{apis.url}{path}"
            for name, path in {"OPENAI": "/v1", "ANTHROPIC": "", "NEWS": "", "CRM": ""}.items()
        }
        given = {name: str(value) for name, value in variables.items()}
        # Logfire's plugin would take 0.5 s of each start.
        plugins = {} if LOGFIRE in self.titles else {"PYDANTIC_DISABLE_PLUGINS": "__all__"}
        command: list[str | Path] = [self.environment / "python", "-m", "my_service"]
        return Service(command, self.project.path, PYTHONPATH="src", **urls | plugins | given)

    def _generate(self) -> None:
        """Run the section's command, without uvx."""
        (command,) = re.findall(r"(?m)^uvx (openapi-python-client .+)$", SECTIONS[GENERATED])
        (self.project.path / "openapi.json").write_text(json.dumps(CUSTOMERS))
        program, *args = command.split()
        path = f"{self.environment}{os.pathsep}{os.environ['PATH']}"
        succeed(self.project.path, str(self.environment / program), *args, PATH=path)


class Write:
    """Writes the recipes of sections into a new project."""

    def __init__(self, bake: Bake, environment: Path) -> None:
        self._bake = bake
        self._environment = environment

    def __call__(self, client: str, *titles: str) -> Recipes:
        project = self._bake(**answers() | COMBINATIONS[client])
        return Recipes(project, self._environment, *titles)


@pytest.fixture
def write(bake: Bake, environment: Path) -> Write:
    return Write(bake, environment)


@pytest.fixture
def apis() -> Iterator[APIs]:
    with APIs() as apis:
        yield apis


def lines(service: Service, message: str) -> list[dict[str, Any]]:
    return [event for event in service.events if event["message"] == message]


def test_the_page_names_what_is_tested() -> None:
    """Each section is tested, each package that it adds is locked, and in the version it names."""
    lock = (HERE / "requirements.txt").read_text(encoding="utf-8")
    added = re.findall(r"(?m)^uv add (.+)$", "".join(SECTIONS.values()))
    packages = {package.strip('"').split("[")[0] for line in added for package in line.split()}
    locked = dict(re.findall(r"(?m)^([a-z][\w-]*)==(\d+\.\d+)", lock))
    (tested,) = re.findall(r"The tests run (.*)\. Older", SECTIONS[ALIAS])
    named = dict(part.split() for part in re.split(r", (?:and )?", tested))

    assert {ALIAS, *itertools.chain(*CHECKED.values())} == SECTIONS.keys()
    assert packages <= locked.keys()
    assert named.keys() <= locked.keys()
    assert all(f"{locked[name]}.".startswith(f"{named[name]}.") for name in named), named


@pytest.mark.parametrize("client", CHECKED)
def test_recipes_pass_the_projects_checks(write: Write, client: str) -> None:
    """The files of the page pass the format check, lint and types of the project."""
    written = write(client, *CHECKED[client])
    python = written.environment / "python"

    written.project.run("ruff", "format", "--check", ".")
    written.project.run("ruff", "check", ".")
    written.project.run("mypy", f"--python-executable={python}", "src")


@on_each_client
def test_openai(write: Write, apis: APIs, client: str) -> None:
    """With the page's settings, an answer and a stream's pauses may take 60 s, here 1/40 of it."""
    seconds = re.findall(r"(?m)^(\w+_S)=(\d+)$", SECTIONS[OPENAI])
    settings: dict[str, object] = {name: int(value) / 40 for name, value in seconds}
    settings["APP_UPSTREAMS__OPENAI__BEARER_TOKEN"] = SECRET
    apis.pause_s = 60 / 40
    with write(client, OPENAI).start(apis, **settings) as service:
        answer = service.get("/chat?question=What")
        stream = service.get("/chat/stream?question=What")
        service.stop()

    calls = lines(service, "upstream call")
    assert answer.json == stream.body.decode() == "To be."
    assert {request.headers["authorization"] for request in apis.received} == {f"Bearer {SECRET}"}
    assert [(call["upstream"], call["status"], call["attempts"]) for call in calls] == [
        ("openai", 200, 1)
    ] * 2


@on_each_library
def test_a_question_is_asked_once(write: Write, apis: APIs, client: str) -> None:
    """A timeout does not make the SDK or the client repeat a question that may be answered."""
    apis.pause_s = 3
    short = {"APP_UPSTREAMS__OPENAI__READ_TIMEOUT_S": 0.3}
    with write(client, OPENAI).start(apis, **short) as service:
        answer = service.get("/chat?question=What")

    assert answer.status == 504
    assert apis.calls == {"/v1/chat/completions": 1}


@on_each_httpx2
def test_anthropic(write: Write, apis: APIs, client: str) -> None:
    """The SDK's stream is the managed client's, with the settings' key."""
    key = {"APP_UPSTREAMS__ANTHROPIC__HEADERS": json.dumps({"X-Api-Key": SECRET})}
    with write(client, ANTHROPIC).start(apis, **key) as service:
        stream = service.get("/messages/stream?question=What")
        service.stop()

    (call,) = lines(service, "upstream call")
    assert stream.body == b"To be."
    assert apis.received[0].headers["x-api-key"] == SECRET
    assert (call["upstream"], call["status"], call["attempts"]) == ("anthropic", 200, 1)


@pytest.mark.parametrize(
    ("title", "path", "error"),
    [
        pytest.param(ANTHROPIC, "/messages/stream?question=What", "TypeError: ", id="anthropic"),
        pytest.param(AUTHLIB, "/accounts", "ValueError: ", id="authlib"),
    ],
)
def test_some_packages_need_httpx2(
    write: Write, apis: APIs, title: str, path: str, error: str
) -> None:
    """On httpx, they reject the client, as the page says."""
    key = {"APP_UPSTREAMS__ANTHROPIC__HEADERS": json.dumps({"X-Api-Key": SECRET})}
    with write("httpx-on-aiohttp", title).start(apis, **key) as service:
        status = service.get(path).status
        service.stop()

    (event,) = lines(service, "unhandled exception")
    assert status == 500
    assert event["exception"].splitlines()[-1].startswith(error)


@on_each_library
def test_httpx_sse(write: Write, apis: APIs, client: str) -> None:
    """Events are relayed; the upstream's stream is closed when the caller leaves."""
    with write(client, SSE).start(apis) as service:
        relayed = service.get("/events").body.decode()
        apis.pause_s = 0.1
        apis.endless = True
        caller = http.client.HTTPConnection(HOST, service.port, timeout=30)
        caller.request("GET", "/events")
        with caller.getresponse() as response:
            first = response.readline()
        caller.close()
        left = apis.left.wait(20)
    with write(client, SSE).start(
        apis, APP_UPSTREAMS__NEWS__BASE_URL=f"{apis.url}/missing"
    ) as service:
        failed = service.get("/events")

    assert re.findall(r"event: tick\ndata: (\d)\nid: (\d)\n\n", relayed) == [
        ("0", "0"),
        ("1", "1"),
        ("2", "2"),
    ]
    assert first == b"event: tick\n"
    assert left
    assert failed.status == 502
    assert failed.headers["Content-Type"] == "application/problem+json"


@on_each_library
def test_openapi_python_client(write: Write, apis: APIs, client: str) -> None:
    """A generated client sends its requests, with the settings' credentials, through the client."""
    token = {"APP_UPSTREAMS__CRM__BEARER_TOKEN": "token-1"}
    with write(client, GENERATED).start(apis, **token) as service:
        customers = service.get("/customers")
        service.stop()

    (call,) = lines(service, "upstream call")
    assert customers.json == ["Ada"]
    assert (call["upstream"], call["path"], call["status"]) == ("crm", "/customers", 200)


@on_each_httpx2
def test_authlib(write: Write, apis: APIs, client: str) -> None:
    """Concurrent callers share one token, which the default client fetched."""
    variables = {"CRM_TOKEN_URL": f"{apis.url}/token", "CRM_CLIENT_SECRET": SECRET}
    with (
        write(client, AUTHLIB).start(apis, **variables) as service,
        ThreadPoolExecutor(8) as callers,
    ):
        accounts = list(callers.map(service.get, ["/accounts"] * 8))
        service.stop()

    assert [account.json for account in accounts] == [[{"name": "Ada"}]] * 8
    assert apis.calls == {"/token": 1, "/customers": 8}
    assert sorted(call["upstream"] for call in lines(service, "upstream call")) == [
        HOST,
        *["crm"] * 8,
    ]
    assert SECRET not in "".join(service.out)


@on_each_library
def test_sentry(write: Write, apis: APIs, client: str) -> None:
    """Sentry receives the error and the log lines of its calls, and no secret."""
    recipe = write(client, SENTRY)
    (recipe.project.package / "routes/bug.py").write_text(BUG)
    include(recipe.project.package / "app.py", ["bug"])
    dsn = apis.url.replace("://", "://key@") + "/1"
    headers = {"X-Own": SECRET, "Cookie": f"own={SECRET}", "Content-Type": "application/json"}
    with recipe.start(apis, SENTRY_DSN=dsn) as service:
        caller = http.client.HTTPConnection(HOST, service.port, timeout=30)
        caller.request("POST", f"/bug?q={SECRET}", json.dumps({"value": SECRET}), headers)
        status = caller.getresponse().status
        caller.close()
        envelopes = wait_for_envelopes(apis)

    assert status == 500
    assert b'"value":"a bug"' in envelopes
    assert b'"message":"upstream call"' in envelopes
    assert apis.calls["/flaky"] == 3
    assert SECRET.encode() not in envelopes


@on_each_library
@pytest.mark.parametrize("titles", [(OTEL,), (OTEL, LOGFIRE)], ids=["opentelemetry", "logfire"])
def test_traces(write: Write, apis: APIs, client: str, titles: tuple[str, ...]) -> None:
    """A call with two retries is one span below its request's, and no span has a secret."""
    recipe = write(client, *titles)
    bug = BUG.replace('    raise LookupError("a bug")\n', "")
    (recipe.project.package / "routes/bug.py").write_text(bug)
    include(recipe.project.package / "app.py", ["bug"])
    headers = {"Content-Type": "application/json"}
    with recipe.start(apis, OTEL_EXPORTER_OTLP_ENDPOINT=apis.url) as service:
        caller = http.client.HTTPConnection(HOST, service.port, timeout=30)
        caller.request("POST", f"/bug?q={SECRET}", json.dumps({"value": SECRET}), headers)
        status = caller.getresponse().status
        caller.close()
        service.stop()

    spans = exported(apis)
    (call,) = [span for span in spans.values() if span.kind == Span.SPAN_KIND_CLIENT]
    parents = [call]
    while parents[-1].parent_span_id:
        parents.append(spans[parents[-1].parent_span_id])
    flaky = [request.headers for request in apis.received if request.path == "/flaky"]
    assert status == 200
    assert parents[-1].name == "POST /bug"
    assert len(flaky) == 3
    assert {headers["traceparent"][:52] for headers in flaky} == {
        f"00-{call.trace_id.hex()}-{call.span_id.hex()}"
    }
    assert SECRET not in "".join(str(span) for span in spans.values())


@pytest.mark.parametrize(("title", "thing"), [(STRUCTLOG, "order"), (LOGURU, "parcel")])
def test_loggers(write: Write, apis: APIs, title: str, thing: str) -> None:
    """A line is one JSON object like every other, with its fields and the request's id."""
    with write("httpx-on-aiohttp", title).start(apis) as service:
        service.get(f"/{thing}s/7", **{"X-Request-ID": "mine"})
        service.stop()

    (event,) = lines(service, f"{thing} found")
    (request,) = lines(service, "request")
    assert (event["level"], event["request_id"], event["number"]) == ("info", "mine", 7)
    assert event["logger"].startswith("my_service.routes.")
    assert request["request_id"] == "mine"
    assert service.err == []


def wait_for_envelopes(apis: APIs) -> bytes:
    """Return what Sentry received, once that includes an error."""
    deadline = time.monotonic() + 20
    while b'"exception"' not in (received := b"".join(apis.bodies("/api/1/envelope/"))):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return received


def exported(apis: APIs) -> dict[bytes, Span]:
    """Return the spans that arrived by OTLP, by their ids."""
    return {
        span.span_id: span
        for body in apis.bodies("/v1/traces")
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    }
