"""Which answers are rejected, at every entry point, and what the error messages say."""

import json
import os
import pty
import re
import select
import shlex
import subprocess
import sys
import time
from importlib import metadata
from itertools import chain
from pathlib import Path

import pytest
from cookiecutter.exceptions import FailedHookException  # type: ignore[import-untyped]
from hypothesis import given, settings
from hypothesis import strategies as st
from packaging.requirements import Requirement

from answers.entry_points import error_message
from answers.features import FEATURES
from answers.names import default_package, default_slug
from answers.problems import LEAVE_OUT
from answers.questions import QUESTIONS, add_defaults
from answers.rules import corrected_answers, find_problems
from support.rendering import Bake, Cookiecutter

# For each question, answers that are rejected, each with a part of the reason.
UNSAFE, JINJA, LONG = "control character", "Jinja syntax", "more than 200"
KEBAB, DEPENDENCY, COMMAND = "must be kebab-case", "a dependency", "a command"
IDENTIFIER, STANDARD, KEYWORD = "a lowercase ASCII", "standard library", "Python keyword"
ADDRESS, NAME = "not an email address", "needs a name"
HOST, URL = "invalid host", "that starts with"
UNKNOWN, SPELLING = "is not one of retry, circuit_breaker", "must be lowercase"
BAD: dict[str, list[tuple[str, str]]] = {
    "project_name": [
        ("", "is blank"),
        (" \N{NO-BREAK SPACE}", "is blank"),
        ("x" * 201, LONG),
        ("one\ntwo", UNSAFE),
        ("one\rtwo", UNSAFE),
        ("one\ttwo", UNSAFE),
        ("bell \a", UNSAFE),
        ("escape \x1b[31m", UNSAFE),
        ("next \x85 line", UNSAFE),
        ("right \N{RIGHT-TO-LEFT OVERRIDE} left", UNSAFE),
        ("line \N{LINE SEPARATOR} separator", UNSAFE),
        ("{{ cookiecutter.license }}", JINJA),
        ("{% raw", JINJA),
        ("{# comment", JINJA),
    ],
    "project_slug": [
        ("..", KEBAB),
        ("../up", KEBAB),
        ("/etc/service", KEBAB),
        ("a/b", KEBAB),
        ("a\\b", KEBAB),
        ("c:service", KEBAB),
        ("~service", KEBAB),
        (".hidden", KEBAB),
        ("dot.", KEBAB),
        ("-dash", KEBAB),
        ("dash-", KEBAB),
        ("two--dashes", KEBAB),
        ("My-Service", KEBAB),
        ("my service", KEBAB),
        ("überservice", KEBAB),
        ("3d-service", KEBAB),
        ("x" * 65, "more than 64"),
        ("con", "on Windows"),
        ("lpt1", "on Windows"),
        ("fastapi", DEPENDENCY),
        ("pydantic-settings", DEPENDENCY),
        ("opentelemetry-api", DEPENDENCY),
        ("python", COMMAND),
        ("test", "tests use"),
        ("", "is empty"),
    ],
    "package_name": [
        ("My_Service", IDENTIFIER),
        ("my-service", IDENTIFIER),
        ("my.service", IDENTIFIER),
        ("my service", IDENTIFIER),
        ("2fast", IDENTIFIER),
        ("_private", IDENTIFIER),
        ("größe", IDENTIFIER),
        ("os; import sys", IDENTIFIER),
        ("x" * 41, "more than 40"),
        ("class", KEYWORD),
        ("match", KEYWORD),
        ("json", STANDARD),
        ("distutils", STANDARD),
        ("annotationlib", STANDARD),
        ("nul", "on Windows"),
        ("httpx2", DEPENDENCY),
        ("uvicorn", DEPENDENCY),
        ("conftest", "tests use"),
        ("tests", "tests use"),
        ("", "is empty"),
    ],
    "description": [
        ("x" * 201, LONG),
        ("one\ntwo", UNSAFE),
        ("isolate \N{FIRST STRONG ISOLATE} text", UNSAFE),
        ("{{ 7 * 7 }}", JINJA),
        ("{{", JINJA),
        ("{{{%{#", JINJA),
    ],
    "author_name": [
        ("  ", "is blank"),
        ("x" * 201, LONG),
        ("Ann\nBcc: all", UNSAFE),
        ("{% include 'x' %}", JINJA),
    ],
    "author_email": [
        ("", ADDRESS),
        ("ann", ADDRESS),
        ("ann@", ADDRESS),
        ("@example.com", ADDRESS),
        ("ann@localhost", ADDRESS),
        ("ann@@example.com", ADDRESS),
        ("ann@-example.com", ADDRESS),
        ("ann..lee@example.com", ADDRESS),
        ("ann@example.com, bob@example.com", ADDRESS),
        ("Ann <ann@example.com>", ADDRESS),
        ("ann@example.com\n", UNSAFE),
    ],
    "upstreams": [
        ("github", "of the form name=base_url"),
        ("https://api.github.com", "of the form name=base_url"),
        ("a=https://a.example,", "of the form name=base_url"),
        ("github=", URL),
        ("github=api.github.com", URL),
        ("github=ftp://api.github.com", URL),
        ("github=file:///etc/passwd", URL),
        ("github=https://", "no host"),
        ("github=https:///path", "no host"),
        ("github=https://ann:secret@api.github.com", "credentials"),
        ("github=https://api.github.com?page=1", "query"),
        ("github=https://api.github.com#top", "fragment"),
        ("github=https://api.github.com:0", "invalid port"),
        ("github=https://api.github.com:", "invalid port"),
        ("github=https://api.github.com:99999", "invalid host or port"),
        ("github=https://api.github.com:http", "invalid host or port"),
        ("github=https://[::1", "invalid host or port"),
        ("github=https://-api.example", HOST),
        ("github=https://a..example", HOST),
        ("github=https://999.0.0.1", HOST),
        ("github=https://bücher.example", HOST),
        ("github=https://api.github.com/a b", "percent-encoded"),
        ("github=https://api.github.com/{id}", "percent-encoded"),
        ("github=https://api.github.com/%zz", "percent-encoded"),
        ("github=https://api.github.com/[id]", "percent-encoded"),
        ("github=https://api.github.com\t", "percent-encoded"),
        ("git-hub=https://api.github.com", NAME),
        ("2hub=https://api.github.com", NAME),
        ("my__api=https://api.example.com", NAME),
        ("_api=https://api.example.com", NAME),
        ("api_=https://api.example.com", NAME),
        ("größe=https://api.example.com", NAME),
        (f"{'x' * 21}=https://api.example.com", "more than 20"),
        ("class=https://api.example.com", "reserved name"),
        ("none=https://api.example.com", "reserved name"),
        ("HTTPClient=https://api.example.com", "reserved name"),
        ("exception=https://api.example.com", "reserved name"),
        ("a=https://a.example,A=https://b.example", "the name of another"),
        ("my_api=https://a.example,MyApi=https://b.example", "the name of another"),
    ],
    "features": [
        ("retri", UNKNOWN),
        ("telepathy", UNKNOWN),
        ("none", UNKNOWN),
        ("retry workers", UNKNOWN),
        ("retry,workers\a", SPELLING),
        ("Retry", SPELLING),
        ("WORKERS", SPELLING),
        ("circuit-breaker", SPELLING),
        ("rate limit", SPELLING),
        ("\tretry", SPELLING),
        ("retry,workers,retry", "is repeated"),
        ("retry,Retry", "is repeated"),
        ("retry,", "is empty"),
        (",retry", "is empty"),
        ("retry,,workers", "is empty"),
    ],
}
CHOICES = {name: default for name, default in QUESTIONS.items() if isinstance(default, list)}
SWITCHES = [name for name, default in QUESTIONS.items() if isinstance(default, bool)]


def label(case: tuple[str, str]) -> str:
    return ascii(case[0])[:40]


ONE_BY_ONE = [
    pytest.param(field, *case, id=f"{field}={label(case)}")
    for field, cases in BAD.items()
    for case in cases
]
# The same in few commands, to save time: a row has the next answer to each question, and several
# upstreams in one answer.
ROWS = len(BAD["project_slug"])
TOGETHER = [
    {field: cases[row::ROWS] for field, cases in BAD.items() if cases[row:]} for row in range(ROWS)
]


def reported(output: str) -> list[tuple[str, str]]:
    """The lines of an error message: the field and the rest."""
    return re.findall(
        r"^([\w-]+): (.* \(got .*\)\. Try: .*)$", output.replace("\r", ""), re.MULTILINE
    )


def rejected_fields(output: str) -> list[str]:
    return [field for field, _ in reported(output)]


def command_in(output: str) -> list[str]:
    """The words after `python -m cookiecutter` in the command that an error message ends with."""
    python, *words = shlex.split(output.rstrip().rpartition("\n")[2])
    assert Path(python).parent == Path(sys.executable).parent
    assert words[:2] == ["-m", "cookiecutter"]
    return words[2:]


def given_as(answers: dict[str, str]) -> list[str]:
    return [f"{name}={value}" for name, value in answers.items()]


# --- The rules ------------------------------------------------------------------------------


@pytest.mark.parametrize(("field", "answer", "reason"), ONE_BY_ONE)
def test_an_invalid_answer_is_reported_with_a_valid_one(
    field: str, answer: str, reason: str
) -> None:
    """The line names the field, the reason and the value, and its suggestion is accepted."""
    (problem,) = find_problems({field: answer})
    line = str(problem)

    assert line.startswith(f"{field}: ")
    assert reason in problem.reason
    assert line.isprintable()
    assert problem.suggestion == LEAVE_OUT or find_problems({field: problem.suggestion}) == []
    assert find_problems(problem.fixes) == []


@pytest.mark.parametrize("field", [*CHOICES, *SWITCHES])
@pytest.mark.parametrize("answer", ["nonsense", "", 7, None, ["MIT"]], ids=repr)
def test_an_invalid_choice_is_reported(field: str, answer: object) -> None:
    """A replay or the Python API can give any value, not only text."""
    (problem,) = find_problems({field: answer})

    assert problem.field == field
    assert find_problems(problem.fixes) == []


@pytest.mark.parametrize("field", ["project_name", "upstreams", "features", "package_name"])
def test_an_answer_that_is_not_text_is_reported(field: str) -> None:
    """A config in YAML can answer with a number, a switch or nothing."""

    assert [
        [problem.reason for problem in find_problems({field: answer})] for answer in (7, True, None)
    ] == [["is not text"]] * 3


@pytest.mark.parametrize(
    ("answer", "suggestion"),
    [
        ({"license": "mit"}, "MIT"),
        ({"license": "apache2"}, "Apache-2.0"),
        ({"http_library": "httpx3"}, "httpx"),
        ({"deployment": "k8s-kubernetes"}, "kubernetes"),
        ({"python_version": "3.10"}, "3.11"),
        ({"project_slug": "../Up And Away/"}, "up-and-away"),
        ({"package_name": "my-service"}, "my_service"),
        ({"author_email": "Ann <ann@example.com>"}, "ann@example.com"),
        ({"upstreams": "git-hub=api.github.com"}, "git_hub=https://api.github.com"),
        ({"upstreams": "maß=https://a.example"}, "mass=https://a.example"),
        ({"upstreams": "a=https://u:p@a.example:8443/v1?x=y"}, "a=https://a.example:8443/v1"),
        ({"upstreams": "https://api.github.com"}, "github=https://api.github.com"),
        ({"upstreams": "github:https://api.github.com"}, "github=https://api.github.com"),
        ({"upstreams": "GitHub https://api.github.com"}, "GitHub=https://api.github.com"),
        ({"upstreams": "github => https://api.github.com"}, "github=https://api.github.com"),
        ({"upstreams": "{'github': 'https://api.github.com'}"}, "github=https://api.github.com"),
        ({"upstreams": "https://api.github.com=hub"}, "hub=https://api.github.com"),
        ({"upstreams": "https://api.github.com/v1/?page=2"}, "github=https://api.github.com/v1/"),
        ({"upstreams": "api.github.com/v1"}, "github=https://api.github.com/v1"),
        ({"upstreams": "http://127.0.0.1:9000"}, "upstream=http://127.0.0.1:9000"),
        ({"upstreams": "github"}, "github=https://api.example.com"),
        ({"features": "circuit-breaker"}, "circuit_breaker"),
        ({"features": "Rate Limit"}, "rate_limit"),
        ({"features": "retries"}, "retry"),
        ({"features": "breaker"}, "circuit_breaker"),
        ({"features": "telepathy"}, LEAVE_OUT),
        ({"features": ["Retry", "workers"]}, "retry,workers"),
        ({"features": None}, "leaving it empty"),
    ],
    ids=str,
)
def test_a_suggestion_is_what_was_meant(answer: dict[str, object], suggestion: str) -> None:
    """It keeps as much of the answer as possible."""

    assert [problem.suggestion for problem in find_problems(answer)] == [suggestion]


def test_each_invalid_feature_is_reported_on_its_own_line() -> None:
    """Each line suggests the spelling of its entry, and the command has the corrected list."""
    answers = {"features": "retry, retri, Workers,, breaker, telepathy, workers"}
    choices = ", ".join(FEATURES)

    assert [str(problem).replace(choices, "CHOICES") for problem in find_problems(answers)] == [
        "features: an entry is not one of CHOICES (got 'retri'). Try: leaving it out",
        "features: an entry must be lowercase, with underscores between words (got 'Workers'). "
        "Try: workers",
        "features: an entry is empty (got ''). Try: leaving it out",
        "features: an entry is not one of CHOICES (got 'breaker'). Try: circuit_breaker",
        "features: an entry is not one of CHOICES (got 'telepathy'). Try: leaving it out",
        "features: an entry is repeated (got 'workers'). Try: leaving it out",
    ]
    assert error_message(answers).endswith(" features=retry,workers,circuit_breaker")


@pytest.mark.parametrize("answer", ["", " ", *FEATURES, ", ".join(FEATURES), "workers ,  retry"])
def test_features_that_are_valid(answer: str) -> None:
    """Any of them in any order, with spaces around the commas, or none."""

    assert find_problems({"features": answer}) == []


def test_templates_can_find_a_feature_in_the_answer() -> None:
    """`{% if "retry" in cookiecutter.features %}` is true for that feature only."""

    assert [(a, b) for a in FEATURES for b in FEATURES if a != b and a in b] == []


@pytest.mark.parametrize(
    ("upstreams", "shown"),
    [
        ("github=https://ann:secret@api.github.com", "github=https://***@api.github.com"),
        ("github=https://ann:sec/ret@api.github.com", "github=https://***@api.github.com"),
        ("github=ann:secret@api.github.com", "github=***@api.github.com"),
        ("https://ann:secret@api.github.com", "https://***@api.github.com"),
        ("ann:secret@api.github.com", "***@api.github.com"),
        ("github ann:secret@api.github.com", "github ***@api.github.com"),
        ("github:https://ann:secret@api.github.com", "github:https://***@api.github.com"),
        ("https://ann:sec=ret@api.github.com", "https://***@api.github.com"),
        ("github: https://ann:sec/ret@api.github.com", "github: https://***@api.github.com"),
    ],
)
def test_a_password_is_not_shown(upstreams: str, shown: str) -> None:
    """Terminals and CI logs are kept; neither the line nor the command repeats it."""
    message = error_message({"upstreams": upstreams})

    assert re.search("sec|ret@", message) is None
    assert f"(got '{shown}')" in message


def test_http2_needs_httpcore() -> None:
    """The error message says why, and how to get it."""
    (problem,) = find_problems({"http2": True, "http_transport": "aiohttp"})

    assert problem.reason == "http2=true needs httpcore, because aiohttp speaks HTTP/1.1 only"
    assert problem.fixes == {"http_transport": "httpcore"}
    assert find_problems({"http2": True, "http_transport": "httpcore"}) == []
    assert find_problems({"http2": False, "http_transport": "aiohttp"}) == []


def test_a_name_in_kubernetes_has_63_characters() -> None:
    """A slug of 64 characters is valid without Kubernetes only."""
    slug = "x" * 64

    assert find_problems({"project_slug": slug, "deployment": "docker"}) == []
    assert [
        [
            problem.suggestion
            for problem in find_problems({"project_slug": slug, "deployment": chosen})
        ]
        for chosen in ("kubernetes",)
    ] == [["x" * 63]]


def test_the_defaults_are_good() -> None:
    """Press Enter at every question, and you get a project."""

    assert find_problems(add_defaults({})) == []


@pytest.mark.parametrize(
    ("name", "slug", "package"),
    [
        ("My Service", "my-service", "my_service"),
        ("  C++ & AT&T  ", "c-at-t", "c_at_t"),
        ("Überservice", "uberservice", "uberservice"),
        ("Zoë's Maps", "zoes-maps", "zoes_maps"),
        ("Crème brûlée №5", "creme-brulee-no5", "creme_brulee_no5"),
        ("Hauptstraße", "hauptstrasse", "hauptstrasse"),
        ("ÆRØ, Łódź & Đà Nẵng", "aero-lodz-da-nang", "aero_lodz_da_nang"),
        ("地図2 Maps", "maps", "maps"),
        ("3D Maps", "app-3d-maps", "app_3d_maps"),
        ("FastAPI", "fastapi-service", "fastapi_service"),
        ("Test", "test-service", "test_service"),
        ("Class", "class", "class_service"),
        ("Calendar", "calendar", "calendar_service"),
        ("x" * 200, "x" * 64, "x" * 40),
        (f"{'z' * 63} y", "z" * 63, "z" * 40),
    ],
    ids=lambda text: ascii(text)[:20],
)
def test_names_are_derived(name: str, slug: str, package: str) -> None:
    """A project name is enough to get valid names."""
    answers = add_defaults({"project_name": name})

    assert (slug, package) == (answers["project_slug"], answers["package_name"])
    assert find_problems(answers) == []


@pytest.mark.parametrize("name", ["日本", "日本2", "🚀", "---"])
def test_a_name_without_letters_needs_a_slug(name: str) -> None:
    """A slug that cannot be derived is reported once, without the package name."""
    found = find_problems(add_defaults({"project_name": name}))

    assert [problem.field for problem in found] == ["project_slug"]
    assert "project_name has no word in Latin letters or digits" in found[0].reason
    assert find_problems(add_defaults({"project_name": name, "project_slug": "nippon"})) == []


@given(st.text())
def test_derived_names_are_good_or_empty(text: str) -> None:
    """Any text can be the name of a project."""
    slug, package = default_slug(text), default_package(text)

    assert not slug or find_problems({"project_slug": slug, "package_name": package}) == []


TEXTS = (
    st.text()
    | st.text("{}%#=:/@.,-_ aZ9é\n\u202e")
    | st.sampled_from(["", *chain(*CHOICES.values())])
)


@settings(deadline=None)
@given(
    st.fixed_dictionaries(
        {}, optional={name: TEXTS | st.booleans() | st.none() | st.integers() for name in QUESTIONS}
    )
)
def test_the_suggested_command_is_always_valid(answers: dict[str, object]) -> None:
    """The answers of the suggested command have no problem, for any given ones."""
    corrected = corrected_answers(answers, find_problems(add_defaults(answers)))

    assert find_problems(add_defaults(corrected)) == []


def test_no_project_can_hide_what_it_depends_on(bake: Bake) -> None:
    """Every distribution and module that a service installs is a reserved name."""
    modules: dict[str, set[str]] = {}
    for module, distributions in metadata.packages_distributions().items():
        for distribution in distributions:
            modules.setdefault(distribution.lower(), set()).add(module)
    waiting = [
        (requirement, [""])
        for choice in (
            {"telemetry": True},
            {"http_library": "httpx2", "http_transport": "httpcore", "http2": True},
        )
        for project in [bake(**choice).toml("pyproject.toml")]
        for requirement in (
            *project["project"]["dependencies"],
            *project["dependency-groups"]["dev"],
        )
    ]
    names: set[str] = set()
    while waiting:
        line, extras = waiting.pop()
        requirement = Requirement(line)
        marker = requirement.marker
        if marker is None or any(marker.evaluate({"extra": extra}) for extra in extras):
            found = {requirement.name, *modules.get(requirement.name.lower(), ())}
            if not found <= names:
                names |= found
                inner = ["", *requirement.extras]
                waiting += [(line, inner) for line in metadata.requires(requirement.name) or []]
    slugs = {
        name.lower().replace("_", "-") for name in names if re.match("[a-z]", name, re.IGNORECASE)
    }

    assert len(slugs) > 40
    assert [slug for slug in sorted(slugs) if not find_problems({"project_slug": slug})] == []


# --- The entry points ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "answers", TOGETHER, ids=lambda answers: f"{label(answers['project_slug'][0])}-and-more"
)
def test_bad_answers_on_the_command_line(
    template: Path, cookiecutter: Cookiecutter, answers: dict[str, list[tuple[str, str]]]
) -> None:
    """All are reported together, nothing is written, and the suggested command works."""
    given = {field: ",".join(answer for answer, _ in cases) for field, cases in answers.items()}
    expected = [(field, reason) for field, cases in answers.items() for _, reason in cases]

    rejected = cookiecutter(template, "--no-input", *given_as(given))

    assert (rejected.returncode, rejected.stderr) == (1, "")
    assert cookiecutter.written() == set()
    lines = reported(rejected.stdout)
    assert [field for field, _ in expected] == [field for field, _ in lines]
    assert all(reason in line for (_, reason), (_, line) in zip(expected, lines, strict=True))

    accepted = cookiecutter(*command_in(rejected.stdout))

    assert (accepted.returncode, accepted.stderr) == (0, "")


def test_bad_choices_on_the_command_line(template: Path, cookiecutter: Cookiecutter) -> None:
    """They are reported like other answers, without cookiecutter's traceback."""
    given = {"http_library": "foo", "telemetry": "maybe", "project_slug": "A_b", "http2": "true"}
    rejected = cookiecutter(template, "--no-input", *given_as(given))

    assert (rejected.returncode, rejected.stderr) == (1, "")
    assert cookiecutter.written() == set()
    fields = ["project_slug", "http_library", "telemetry", "http_transport"]
    assert fields == rejected_fields(rejected.stdout)

    message = rejected.stdout.removesuffix("Pre-Prompt Hook script failed\n")
    accepted = cookiecutter(*command_in(message))

    assert (accepted.returncode, accepted.stderr) == (0, "")


def test_no_copy_of_the_template_is_left(template: Path, cookiecutter: Cookiecutter) -> None:
    """cookiecutter runs a template with a pre_prompt hook from a copy, which is removed."""
    for answer in ("license=MIT", "license=none", "project_slug=A_b"):
        cookiecutter(template, "--no-input", answer)

        assert [path for path in cookiecutter.temporary.iterdir() if path.is_dir()] == []


@pytest.fixture
def replay(template: Path, cookiecutter: Cookiecutter) -> dict[str, dict[str, object]]:
    """The replay file that cookiecutter stores for a project; the project itself is removed."""
    assert cookiecutter(template, "--no-input", "--accept-hooks=no").returncode == 0
    for path in sorted(cookiecutter.cwd.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    stored = json.loads(replay_file(template, cookiecutter).read_text(encoding="utf-8"))
    assert isinstance(stored, dict)
    return stored


def replay_file(template: Path, cookiecutter: Cookiecutter) -> Path:
    return cookiecutter.home / ".cookiecutter_replay" / f"{template.name}.json"


@pytest.mark.parametrize("hooks", ["yes", "no"])
def test_bad_answers_of_a_replay(
    template: Path, cookiecutter: Cookiecutter, replay: dict[str, dict[str, object]], hooks: str
) -> None:
    """A replay asks nothing, so its answers are checked just before the directory is made."""
    bad = dict.fromkeys([name for name in QUESTIONS if "name" not in name], "\a")
    replay["cookiecutter"] |= bad
    replay_file(template, cookiecutter).write_text(json.dumps(replay), encoding="utf-8")

    rejected = cookiecutter(template, "--replay", f"--accept-hooks={hooks}")

    assert (rejected.returncode, rejected.stderr) == (1, "")
    assert rejected_fields(rejected.stdout) == list(bad)
    assert list(cookiecutter.cwd.iterdir()) == []
    assert cookiecutter(*command_in(rejected.stdout)).returncode == 0


def test_a_replay_by_file(
    template: Path, cookiecutter: Cookiecutter, replay: dict[str, dict[str, object]]
) -> None:
    """A replay file from elsewhere cannot write outside of the working directory."""
    replay["cookiecutter"]["project_slug"] = "../../elsewhere"
    somewhere = cookiecutter.home / "answers.json"
    somewhere.write_text(json.dumps(replay), encoding="utf-8")

    rejected = cookiecutter(template, "--replay-file", somewhere)

    assert (rejected.returncode, rejected.stderr) == (1, "")
    assert rejected_fields(rejected.stdout) == ["project_slug"]
    assert list(cookiecutter.cwd.iterdir()) == []
    assert "--replay-file" not in command_in(rejected.stdout)


def test_a_replay_without_private_variables(
    template: Path, cookiecutter: Cookiecutter, replay: dict[str, dict[str, object]]
) -> None:
    """A replay file written by hand is rejected, and the message names the remedy."""
    public = {name: replay["cookiecutter"][name] for name in QUESTIONS}
    somewhere = cookiecutter.home / "answers.json"
    somewhere.write_text(json.dumps({"cookiecutter": public}), encoding="utf-8")

    rejected = cookiecutter(template, "--replay-file", somewhere)

    assert (rejected.returncode, rejected.stderr) == (1, "")
    message = "The replay file is missing answers. Run again without --replay or --replay-file."
    assert rejected.stdout == f"{message}\n"
    assert list(cookiecutter.cwd.iterdir()) == []


def test_bad_answers_with_hooks_refused(template: Path, cookiecutter: Cookiecutter) -> None:
    """The rules apply without hooks."""
    rejected = cookiecutter(template, "--no-input", "--accept-hooks=no", "package_name=import")

    assert (rejected.returncode, rejected.stderr) == (1, "")
    assert rejected_fields(rejected.stdout) == ["package_name"]
    assert cookiecutter.written() == set()


def configured(cookiecutter: Cookiecutter, defaults: str) -> Path:
    path = cookiecutter.home / ".cookiecutterrc"
    path.write_text(f"default_context:\n{defaults}", encoding="utf-8")
    return path


def test_bad_texts_of_a_config(template: Path, cookiecutter: Cookiecutter) -> None:
    """A user's own defaults are checked like typed answers; a switch may be a number."""
    configured(
        cookiecutter,
        "  author_name: yes\n  author_email: me\n  http2: 1\n  features: retry, Workers\n",
    )

    rejected = cookiecutter(template, "--no-input", "description=Fine")

    assert (rejected.returncode, rejected.stderr) == (1, "")
    assert rejected_fields(rejected.stdout) == [
        *("author_email", "features", "http_transport", "author_name")
    ]
    assert cookiecutter.written() == {".cookiecutterrc"}
    assert cookiecutter(*command_in(rejected.stdout)).returncode == 0


def test_bad_choices_of_a_config(template: Path, cookiecutter: Cookiecutter) -> None:
    """cookiecutter would drop them, and all defaults after them, with a warning."""
    configured(
        cookiecutter,
        "  python_version: 3.12\n  telemetry: perhaps\n  features: [retry, rate-limit]\n"
        "  author_name: Zoë Müller\n",
    )

    rejected = cookiecutter(template, "--no-input", "telemetry=yes")

    assert rejected.returncode == 1
    assert rejected_fields(rejected.stdout) == ["python_version", "telemetry", "features"]
    assert "in your cookiecutter config (got 3.12, a float)" in rejected.stdout
    assert cookiecutter.written() == {".cookiecutterrc"}
    accepted = cookiecutter(*command_in(rejected.stdout))
    assert (accepted.returncode, accepted.stderr) == (0, "")
    stored = json.loads(replay_file(template, cookiecutter).read_text(encoding="utf-8"))
    assert {
        "python_version": "3.12",
        "telemetry": True,
        "features": "retry,rate_limit",
        "author_name": "Zoë Müller",
    }.items() <= stored["cookiecutter"].items()


@pytest.mark.parametrize(
    "defaults", ["", "  full_name: Zoë Müller\n  project_nam: x\n  telemetry: yes\n"], ids=ascii
)
def test_a_valid_config(template: Path, cookiecutter: Cookiecutter, defaults: str) -> None:
    """It may be empty, or answer questions of other templates."""
    configured(cookiecutter, defaults)

    assert cookiecutter(template, "--no-input").returncode == 0


def test_bad_answers_to_the_python_api(bake: Bake) -> None:
    """They raise cookiecutter's own exception, with the same text."""
    with pytest.raises(FailedHookException) as caught:
        bake(project_name="", upstreams="github", features="retri", http2=True)

    assert rejected_fields(str(caught.value)) == [
        "project_name",
        "upstreams",
        "features",
        "http_transport",
    ]


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("http_libary=httpx2", "http_library=httpx2"),
        ("http-library=httpx2", "http_library=httpx2"),
        ("HTTP_LIBRARY=httpx2", "http_library=httpx2"),
        ("library=httpx2", "http_library=httpx2"),
        ("http_libary=httpz", "http_library=httpx"),
        ("telemetri=yes", "telemetry=true"),
        ("name=Maps", "project_name=Maps"),
        ("slug=../maps", "project_slug=maps"),
        ("licence=mit", "license=MIT"),
        ("python=3.12", "python_version=3.12"),
        ("feature=Retry,", "features=retry"),
        ("zzz=1", None),
    ],
)
def test_an_option_that_does_not_exist(
    template: Path, cookiecutter: Cookiecutter, typed: str, meant: str | None
) -> None:
    """It is rejected before any question, and the error names the closest option."""
    rejected = cookiecutter(template, typed)

    assert (rejected.returncode, rejected.stderr) == (1, "")
    assert rejected_fields(rejected.stdout) == [typed.partition("=")[0]]
    assert f"Try: {meant or LEAVE_OUT}\n" in rejected.stdout
    assert "Project name" not in rejected.stdout
    assert cookiecutter.written() == set()
    assert command_in(rejected.stdout) == [str(template), *([meant] if meant else [])]


@pytest.mark.parametrize("private", ["__checked", "__answers", "__httpx", "_template"])
def test_an_option_that_only_the_template_may_set(
    template: Path, cookiecutter: Cookiecutter, private: str
) -> None:
    """Private variables cannot be used to turn the checks off."""
    rejected = cookiecutter(template, "--no-input", f"{private}=1", "project_slug=../up")

    assert (rejected.returncode, rejected.stderr) == (1, "")
    assert rejected_fields(rejected.stdout) == [private, "project_slug"]
    assert list(cookiecutter.cwd.iterdir()) == []


def test_answers_are_never_rendered(template: Path, cookiecutter: Cookiecutter) -> None:
    """cookiecutter would render them; here they stay text and are rejected."""
    jinja = ["description={{ 7 * 7 }}", "author_name={% raw", "project_name={{ undefined }}"]

    rejected = cookiecutter(template, "--no-input", *jinja)

    assert (rejected.returncode, rejected.stderr) == (1, "")
    assert "(got '{{ 7 * 7 }}')" in rejected.stdout
    assert rejected_fields(rejected.stdout) == ["project_name", "description", "author_name"]


def test_the_suggested_command_keeps_valid_answers(
    template: Path, cookiecutter: Cookiecutter
) -> None:
    """It repeats the options and the valid answers, quoted for the shell."""
    rejected = cookiecutter(
        *(template, "--no-input", "-o", "a b", "--accept-hooks", "no"),
        *("description=It's $HOME", "license=Proprietary", "author_email=me", "project_name=Maps"),
    )

    assert rejected.stdout.splitlines()[-1].partition(" -m ")[2] == (
        f"cookiecutter {template} --no-input --output-dir 'a b' --accept-hooks no "
        "project_name=Maps 'description=It'\"'\"'s $HOME' author_email=you@example.com "
        "license=Proprietary"
    )
    assert cookiecutter(*command_in(rejected.stdout)).returncode == 0
    assert (cookiecutter.cwd / "a b" / "maps" / "pyproject.toml").is_file()


@pytest.mark.parametrize("answer", ["author_email=me", "license=GPL"])
def test_the_suggested_command_can_be_typed(
    template: Path, cookiecutter: Cookiecutter, tmp_path: Path, answer: str
) -> None:
    """uvx runs a program that is not on the user's PATH; nor may one be that is run by its path."""
    program = Path(sys.executable).with_name("cookiecutter")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "cookiecutter").symlink_to(program)
    on_path = {"PATH": str(tmp_path / "bin")}

    def suggested(**env: str) -> str:
        lines = cookiecutter(template, "--no-input", answer, env=env).stdout.splitlines()
        return lines[lines.index("Run this instead:") + 2].partition(f" {template} ")[0]

    assert suggested(**on_path, UV="/somewhere/uv") == "uvx cookiecutter"
    assert suggested(**on_path) == "cookiecutter"
    assert suggested() == f"{program.with_name('python')} -m cookiecutter"


def test_an_existing_directory_keeps_every_file(template: Path, cookiecutter: Cookiecutter) -> None:
    """Neither a second project of that name nor a rejected answer changes it."""
    mine = cookiecutter.cwd / "my-service" / "mine.txt"
    mine.parent.mkdir()
    mine.write_text("years of work", encoding="utf-8")
    (cookiecutter.cwd / "my-service-2").touch()

    taken = cookiecutter(template, "--no-input")
    rejected = cookiecutter(template, "--no-input", "--overwrite-if-exists", "author_email=me")

    assert (taken.returncode, rejected.returncode) == (1, 1)
    assert "existing directory (got 'my-service'). Try: my-service-3\n" in taken.stdout
    assert list(mine.parent.iterdir()) == [mine]
    assert mine.read_text(encoding="utf-8") == "years of work"


# --- A user at the keyboard -----------------------------------------------------------------


def type_at_the_prompts(
    cookiecutter: Cookiecutter, template: Path, answers: dict[str, str]
) -> tuple[int, str]:
    """Answer the questions on a terminal: those given, and Enter at the others."""
    terminal, keyboard = pty.openpty()
    process = subprocess.Popen(
        [Path(sys.executable).with_name("cookiecutter"), template],
        cwd=cookiecutter.cwd,
        env=cookiecutter.environment() | {"TERM": "dumb", "COLUMNS": "200"},
        stdin=keyboard,
        stdout=keyboard,
        stderr=keyboard,
    )
    os.close(keyboard)
    waiting = [answers.get(name, "") for name in QUESTIONS]
    output, unread = "", ""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if not select.select([terminal], [], [], 1)[0]:
            continue
        try:
            text = os.read(terminal, 65536).decode(errors="replace")
        except OSError:  # cookiecutter ended
            break
        output, unread = output + text, unread + text
        if waiting and re.search(r"\): $", unread):
            unread = ""
            os.write(terminal, waiting.pop(0).encode() + b"\n")
    os.close(terminal)
    assert waiting == [], output
    return process.wait(timeout=60), output


def test_answers_typed_at_the_prompts(template: Path, cookiecutter: Cookiecutter) -> None:
    """The prompts explain each choice and feature, and the answers make a project."""
    code, output = type_at_the_prompts(
        cookiecutter,
        template,
        {"project_name": "Maps", "features": " ", "http_library": "2", "telemetry": "y"},
    )

    assert code == 0, output
    assert "[1/16] Project name (human-readable) (My Service): " in output
    assert "1 - httpx: the original (works with openai 2 and 3, anthropic 0)" in output
    assert "2 - httpx2: its maintained fork (works with openai 3, anthropic 1 and 2)" in output
    assert "2 - httpcore: httpx's own pool (its fork httpcore2), supports HTTP/2" in output
    assert re.findall(r"(?m)^    ([a-z0-9_]+): [a-z]", output.replace("\r", "")) == [*FEATURES]
    assert f"({QUESTIONS['features']}): " in output
    stored = json.loads(replay_file(template, cookiecutter).read_text(encoding="utf-8"))
    assert stored["cookiecutter"]["features"] == ""
    assert '"httpx2' in (cookiecutter.cwd / "maps" / "pyproject.toml").read_text(encoding="utf-8")


def test_bad_answers_typed_at_the_prompts(template: Path, cookiecutter: Cookiecutter) -> None:
    """All are reported after the last question, and the command has the other answers."""
    code, output = type_at_the_prompts(
        cookiecutter,
        template,
        {
            "project_slug": "../maps",
            "description": "{{ 7 * 7 }}",
            "features": "workers, retri",
            "http2": "y",
            "license": "2",
        },
    )

    assert code == 1, output
    assert rejected_fields(output) == ["project_slug", "description", "features", "http_transport"]
    assert "Traceback" not in output
    assert cookiecutter.written() == set()
    assert {
        "--no-input",
        "project_slug=maps",
        "http2=true",
        "http_transport=httpcore",
        "license=Apache-2.0",
        "features=workers,retry",
    } < set(command_in(output.replace("\r", "")))
