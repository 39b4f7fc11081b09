"""Which answers are refused, at every door that they come by, and what is said about them."""

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

import answer_rules
from answer_rules import QUESTIONS, completed, default_package, default_slug, mended, problems
from support.rendering import Bake, Cookiecutter

# For each question, answers that are refused, each with some words of the reason.
UNSAFE, JINJA, LONG = "control character", "holds Jinja", "more than 200"
KEBAB, DEPENDENCY, COMMAND = "not kebab-case", "services depend on", "a command"
IDENTIFIER, STANDARD, KEYWORD = "not a lowercase ASCII", "standard library", "a keyword"
ADDRESS, NAME, HOST, URL = "not an email address", "needs a name", "bad host", "that begins with"
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
        ("con", "device on Windows"),
        ("lpt1", "device on Windows"),
        ("fastapi", DEPENDENCY),
        ("pydantic-settings", DEPENDENCY),
        ("opentelemetry-api", DEPENDENCY),
        ("python", COMMAND),
        ("test", "the tests use"),
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
        ("nul", "device on Windows"),
        ("httpx2", DEPENDENCY),
        ("uvicorn", DEPENDENCY),
        ("conftest", "the tests use"),
        ("tests", "the tests use"),
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
        ("github=https://api.github.com:0", "bad port"),
        ("github=https://api.github.com:", "bad port"),
        ("github=https://api.github.com:99999", "bad host or port"),
        ("github=https://api.github.com:http", "bad host or port"),
        ("github=https://[::1", "bad host or port"),
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
        ("class=https://api.example.com", "something else in Python"),
        ("none=https://api.example.com", "something else in Python"),
        ("HTTPClient=https://api.example.com", "something else in Python"),
        ("exception=https://api.example.com", "something else in Python"),
        ("a=https://a.example,A=https://b.example", "the name of another"),
        ("my_api=https://a.example,MyApi=https://b.example", "the name of another"),
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
# The same, many at once, because each command takes its time: a row holds the next answer to each
# question, and several upstreams in one answer.
ROWS = len(BAD["project_slug"])
TOGETHER = [
    {field: cases[row::ROWS] for field, cases in BAD.items() if cases[row:]} for row in range(ROWS)
]


def refusals(output: str) -> list[tuple[str, str]]:
    """The lines of a complaint: the field and the rest."""
    return re.findall(
        r"^([\w-]+): (.* \(got .*\)\. Try: .*)$", output.replace("\r", ""), re.MULTILINE
    )


def refused_fields(output: str) -> list[str]:
    return [field for field, _ in refusals(output)]


def command_in(output: str) -> list[str]:
    """The words after `cookiecutter` in the command that a complaint ends with."""
    program, *words = shlex.split(output.rstrip().rpartition("\n")[2])
    assert program == "cookiecutter"
    return words


def given_as(answers: dict[str, str]) -> list[str]:
    return [f"{name}={value}" for name, value in answers.items()]


# --- The rules ------------------------------------------------------------------------------


@pytest.mark.parametrize(("field", "answer", "reason"), ONE_BY_ONE)
def test_a_bad_answer_is_told_with_a_better_one(field: str, answer: str, reason: str) -> None:
    """The line names the field, the reason and the value, and what it suggests is accepted."""
    (problem,) = problems({field: answer})
    line = str(problem)

    assert line.startswith(f"{field}: ")
    assert reason in problem.what
    assert line.isprintable()
    assert [] == problems({field: problem.suggestion})
    assert [] == problems(problem.fixes)


@pytest.mark.parametrize("field", [*CHOICES, *SWITCHES])
@pytest.mark.parametrize("answer", ["nonsense", "", 7, None, ["MIT"]], ids=repr)
def test_a_bad_choice_is_told(field: str, answer: object) -> None:
    """An answer of a replay or of the Python API may be no choice, or not even text."""
    (problem,) = problems({field: answer})

    assert problem.field == field
    assert [] == problems(problem.fixes)


@pytest.mark.parametrize("field", ["project_name", "upstreams", "package_name"])
def test_what_is_not_text_is_told(field: str) -> None:
    """A configuration in YAML can answer with a number, a switch or nothing."""

    assert [["is not text"]] * 3 == [
        [problem.what for problem in problems({field: answer})] for answer in (7, True, None)
    ]


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
        ({"upstreams": "a=https://u:p@a.example:8443/v1?x=y"}, "a=https://a.example:8443/v1"),
    ],
    ids=str,
)
def test_a_suggestion_is_what_was_meant(answer: dict[str, str], suggestion: str) -> None:
    """It keeps of the answer what can be kept."""

    assert [suggestion] == [problem.suggestion for problem in problems(answer)]


def test_a_password_is_not_shown() -> None:
    """Terminals and the logs of CI are kept; neither the line nor the command repeats it."""
    answers = {"upstreams": "github=https://ann:secret@api.github.com"}
    found = problems(answers)

    assert "secret" not in answer_rules.complaint(answers)
    assert "(got 'github=https://***@api.github.com')" in str(found[0])


def test_http2_needs_httpcore() -> None:
    """The reason and the remedy are told."""
    (problem,) = problems({"http2": True, "http_transport": "aiohttp"})

    assert "http2=true needs httpcore, because aiohttp speaks HTTP/1.1 only" == problem.what
    assert {"http_transport": "httpcore"} == problem.fixes
    assert [] == problems({"http2": True, "http_transport": "httpcore"})
    assert [] == problems({"http2": False, "http_transport": "aiohttp"})


def test_a_name_in_kubernetes_has_63_characters() -> None:
    """A slug of 64 is good without Kubernetes only."""
    slug = "x" * 64

    assert [] == problems({"project_slug": slug, "deployment": "docker"})
    assert [["x" * 63]] == [
        [problem.suggestion for problem in problems({"project_slug": slug, "deployment": chosen})]
        for chosen in ("kubernetes",)
    ]


def test_the_defaults_are_good() -> None:
    """Who presses Enter at every question gets a project."""

    assert [] == problems(completed({}))


@pytest.mark.parametrize(
    ("name", "slug", "package"),
    [
        ("My Service", "my-service", "my_service"),
        ("  C++ & AT&T  ", "c-at-t", "c_at_t"),
        ("Überservice", "uberservice", "uberservice"),
        ("Zoë's Maps", "zoes-maps", "zoes_maps"),
        ("Crème brûlée №5", "creme-brulee-no5", "creme_brulee_no5"),
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
    """Nobody needs to know the rules for names to get good ones."""
    answers = completed({"project_name": name})

    assert (slug, package) == (answers["project_slug"], answers["package_name"])
    assert [] == problems(answers)


@pytest.mark.parametrize("name", ["日本", "🚀", "---"])
def test_a_name_without_letters_needs_a_slug(name: str) -> None:
    """What cannot be derived is asked for, once, and not guessed."""
    found = problems(completed({"project_name": name}))

    assert ["project_slug"] == [problem.field for problem in found]
    assert "nothing in project_name could be used for it" in found[0].what
    assert [] == problems(completed({"project_name": name, "project_slug": "nippon"}))


@given(st.text())
def test_derived_names_are_good_or_empty(text: str) -> None:
    """Whatever the name of the project is."""
    slug, package = default_slug(text), default_package(text)

    assert not slug or [] == problems({"project_slug": slug, "package_name": package})


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
def test_the_command_to_type_instead_is_always_good(answers: dict[str, object]) -> None:
    """However bad the answers are, those of the suggested command have no problem."""
    good = mended(answers, problems(completed(answers)))

    assert [] == problems(completed(good))


def test_no_project_can_hide_what_it_depends_on(bake: Bake) -> None:
    """The names of all that a service installs, as distributions and as modules, are taken."""
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
    assert [] == [slug for slug in sorted(slugs) if not problems({"project_slug": slug})]


# --- The doors ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "answers", TOGETHER, ids=lambda answers: f"{label(answers['project_slug'][0])}-and-more"
)
def test_bad_answers_on_the_command_line(
    template: Path, cookiecutter: Cookiecutter, answers: dict[str, list[tuple[str, str]]]
) -> None:
    """All are told at once, nothing is written, and the command that is suggested works."""
    given = {field: ",".join(answer for answer, _ in cases) for field, cases in answers.items()}
    expected = [(field, reason) for field, cases in answers.items() for _, reason in cases]

    refused = cookiecutter(template, "--no-input", *given_as(given))

    assert (1, "") == (refused.returncode, refused.stderr)
    assert set() == cookiecutter.written()
    told = refusals(refused.stdout)
    assert [field for field, _ in expected] == [field for field, _ in told]
    assert all(reason in line for (_, reason), (_, line) in zip(expected, told, strict=True))

    accepted = cookiecutter(*command_in(refused.stdout))

    assert (0, "") == (accepted.returncode, accepted.stderr)


def test_bad_choices_on_the_command_line(template: Path, cookiecutter: Cookiecutter) -> None:
    """What cookiecutter would answer with a traceback is told as all the rest is."""
    given = {"http_library": "foo", "telemetry": "maybe", "project_slug": "A_b", "http2": "true"}
    refused = cookiecutter(template, "--no-input", *given_as(given))

    assert (1, "") == (refused.returncode, refused.stderr)
    assert set() == cookiecutter.written()
    told = [field for field, _ in refusals(refused.stdout)]
    assert told == ["project_slug", "http_library", "telemetry", "http_transport"]

    complaint = refused.stdout.removesuffix("Pre-Prompt Hook script failed\n")
    accepted = cookiecutter(*command_in(complaint))

    assert (0, "") == (accepted.returncode, accepted.stderr)


def test_no_copy_of_the_template_is_left(template: Path, cookiecutter: Cookiecutter) -> None:
    """cookiecutter runs a template that has a hook before the prompts from a copy."""
    for answer in ("license=MIT", "license=none", "project_slug=A_b"):
        cookiecutter(template, "--no-input", answer)

        assert [] == [path for path in cookiecutter.temporary.iterdir() if path.is_dir()]


def test_many_bad_answers_are_refused_by_the_command() -> None:
    """The test above uses the whole table."""

    assert 100 < len(ONE_BY_ONE) == sum(len(cases) for row in TOGETHER for cases in row.values())


@pytest.fixture
def replay(template: Path, cookiecutter: Cookiecutter) -> dict[str, dict[str, object]]:
    """What cookiecutter keeps of a project that was written, which is then removed."""
    assert 0 == cookiecutter(template, "--no-input", "--accept-hooks=no").returncode
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

    refused = cookiecutter(template, "--replay", f"--accept-hooks={hooks}")

    assert (1, "") == (refused.returncode, refused.stderr)
    assert list(bad) == refused_fields(refused.stdout)
    assert [] == list(cookiecutter.cwd.iterdir())
    assert 0 == cookiecutter(*command_in(refused.stdout)).returncode


def test_a_replay_by_file(
    template: Path, cookiecutter: Cookiecutter, replay: dict[str, dict[str, object]]
) -> None:
    """A path among the answers of somebody else's file leads nowhere."""
    replay["cookiecutter"]["project_slug"] = "../../elsewhere"
    somewhere = cookiecutter.home / "answers.json"
    somewhere.write_text(json.dumps(replay), encoding="utf-8")

    refused = cookiecutter(template, "--replay-file", somewhere)

    assert (1, "") == (refused.returncode, refused.stderr)
    assert ["project_slug"] == refused_fields(refused.stdout)
    assert [] == list(cookiecutter.cwd.iterdir())
    assert "--replay-file" not in command_in(refused.stdout)


def test_a_replay_without_what_the_template_adds(
    template: Path, cookiecutter: Cookiecutter, replay: dict[str, dict[str, object]]
) -> None:
    """A replay that was written by hand is refused in words."""
    public = {name: replay["cookiecutter"][name] for name in QUESTIONS}
    somewhere = cookiecutter.home / "answers.json"
    somewhere.write_text(json.dumps({"cookiecutter": public}), encoding="utf-8")

    refused = cookiecutter(template, "--replay-file", somewhere)

    assert (1, "") == (refused.returncode, refused.stderr)
    assert "The replay lacks answers. Give them without a replay.\n" == refused.stdout
    assert [] == list(cookiecutter.cwd.iterdir())


def test_bad_answers_with_hooks_refused(template: Path, cookiecutter: Cookiecutter) -> None:
    """The rules are no hook."""
    refused = cookiecutter(template, "--no-input", "--accept-hooks=no", "package_name=import")

    assert (1, "") == (refused.returncode, refused.stderr)
    assert ["package_name"] == refused_fields(refused.stdout)
    assert set() == cookiecutter.written()


def configured(cookiecutter: Cookiecutter, defaults: str) -> Path:
    path = cookiecutter.home / ".cookiecutterrc"
    path.write_text(f"default_context:\n{defaults}", encoding="utf-8")
    return path


def test_bad_texts_of_a_configuration(template: Path, cookiecutter: Cookiecutter) -> None:
    """A person's own defaults are checked as if they had been typed."""
    configured(cookiecutter, "  author_name: yes\n  author_email: me\n  http2: 1\n")

    refused = cookiecutter(template, "--no-input", "description=Fine")

    assert (1, "") == (refused.returncode, refused.stderr)
    assert ["author_email", "http2", "author_name"] == refused_fields(refused.stdout)
    assert {".cookiecutterrc"} == cookiecutter.written()
    assert 0 == cookiecutter(*command_in(refused.stdout)).returncode


def test_bad_choices_of_a_configuration(template: Path, cookiecutter: Cookiecutter) -> None:
    """cookiecutter would drop them, and all defaults after them, with a warning."""
    configured(
        cookiecutter, "  python_version: 3.12\n  telemetry: perhaps\n  author_name: Zoë Müller\n"
    )

    refused = cookiecutter(template, "--no-input", "telemetry=yes")

    assert 1 == refused.returncode
    assert ["python_version", "telemetry"] == refused_fields(refused.stdout)
    assert "in your configuration of cookiecutter (got 3.12, a float)" in refused.stdout
    assert {".cookiecutterrc"} == cookiecutter.written()
    accepted = cookiecutter(*command_in(refused.stdout))
    assert (0, "") == (accepted.returncode, accepted.stderr)
    stored = json.loads(replay_file(template, cookiecutter).read_text(encoding="utf-8"))
    assert {"python_version": "3.12", "telemetry": True, "author_name": "Zoë Müller"} == {
        name: stored["cookiecutter"][name]
        for name in ("python_version", "telemetry", "author_name")
    }


@pytest.mark.parametrize(
    "defaults", ["", "  full_name: Zoë Müller\n  project_nam: x\n  telemetry: yes\n"], ids=ascii
)
def test_a_configuration_that_is_good(
    template: Path, cookiecutter: Cookiecutter, defaults: str
) -> None:
    """It may be empty, and hold answers to questions that only other templates ask."""
    configured(cookiecutter, defaults)

    assert 0 == cookiecutter(template, "--no-input").returncode


def test_bad_answers_to_the_python_api(bake: Bake) -> None:
    """They raise cookiecutter's own exception, with the same text."""
    with pytest.raises(FailedHookException) as caught:
        bake(project_name="", upstreams="github", http2=True)

    assert ["project_name", "upstreams", "http_transport"] == refused_fields(str(caught.value))


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
        ("zzz=1", None),
    ],
)
def test_an_option_that_does_not_exist(
    template: Path, cookiecutter: Cookiecutter, typed: str, meant: str | None
) -> None:
    """It is an error with the closest question, not ignored, and refused before any question."""
    refused = cookiecutter(template, typed)

    assert (1, "") == (refused.returncode, refused.stderr)
    assert [typed.partition("=")[0]] == refused_fields(refused.stdout)
    assert f"Try: {meant or 'leaving it out'}\n" in refused.stdout
    assert "Name of the service" not in refused.stdout
    assert set() == cookiecutter.written()
    assert [str(template), *([meant] if meant else [])] == command_in(refused.stdout)


@pytest.mark.parametrize("private", ["__checked", "__answers", "__httpx", "_template"])
def test_an_option_that_is_not_for_people(
    template: Path, cookiecutter: Cookiecutter, private: str
) -> None:
    """The variables that make the checks work cannot be used to turn them off."""
    refused = cookiecutter(template, "--no-input", f"{private}=1", "project_slug=../up")

    assert (1, "") == (refused.returncode, refused.stderr)
    assert [private, "project_slug"] == refused_fields(refused.stdout)
    assert [] == list(cookiecutter.cwd.iterdir())


def test_answers_are_never_rendered(template: Path, cookiecutter: Cookiecutter) -> None:
    """cookiecutter renders what the command line gives; here it stays text, and is refused."""
    jinja = ["description={{ 7 * 7 }}", "author_name={% raw", "project_name={{ undefined }}"]

    refused = cookiecutter(template, "--no-input", *jinja)

    assert (1, "") == (refused.returncode, refused.stderr)
    assert "(got '{{ 7 * 7 }}')" in refused.stdout
    assert ["project_name", "description", "author_name"] == refused_fields(refused.stdout)


def test_the_suggested_command_keeps_what_was_good(
    template: Path, cookiecutter: Cookiecutter
) -> None:
    """The options and the other answers are in it, quoted for the shell."""
    refused = cookiecutter(
        *(template, "--no-input", "-o", "a b", "--accept-hooks", "no"),
        *("description=It's $HOME", "license=Proprietary", "author_email=me", "project_name=Maps"),
    )

    assert (
        f"cookiecutter {template} --no-input --output-dir 'a b' --accept-hooks no "
        "project_name=Maps 'description=It'\"'\"'s $HOME' author_email=you@example.com "
        "license=Proprietary"
    ) == refused.stdout.splitlines()[-1]
    assert 0 == cookiecutter(*command_in(refused.stdout)).returncode
    assert (cookiecutter.cwd / "a b" / "maps" / "pyproject.toml").is_file()


def test_an_existing_directory_keeps_every_file(template: Path, cookiecutter: Cookiecutter) -> None:
    """Neither a project of the same name nor a refusal harms what is there."""
    mine = cookiecutter.cwd / "my-service" / "mine.txt"
    mine.parent.mkdir()
    mine.write_text("years of work", encoding="utf-8")

    taken = cookiecutter(template, "--no-input")
    refused = cookiecutter(template, "--no-input", "--overwrite-if-exists", "author_email=me")

    assert (1, 1) == (taken.returncode, refused.returncode)
    assert 'Error: "my-service" directory already exists\n' == taken.stdout
    assert [mine] == list(mine.parent.iterdir())
    assert "years of work" == mine.read_text(encoding="utf-8")


# --- A person at the keyboard ---------------------------------------------------------------


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
        except OSError:  # The other end is closed.
            break
        output, unread = output + text, unread + text
        if waiting and re.search(r"\): $", unread):
            unread = ""
            os.write(terminal, waiting.pop(0).encode() + b"\n")
    os.close(terminal)
    assert [] == waiting, output
    return process.wait(timeout=60), output


def test_answers_typed_at_the_prompts(template: Path, cookiecutter: Cookiecutter) -> None:
    """The questions are in English, and a good project comes of the answers."""
    code, output = type_at_the_prompts(
        cookiecutter, template, {"project_name": "Maps", "http_library": "2", "telemetry": "y"}
    )

    assert 0 == code, output
    assert "[1/15] Name of the service, for people (My Service): " in output
    assert "1 - httpx: the original, stable since 2024" in output
    assert "2 - httpx2: the maintained fork, same API" in output
    assert '"httpx2' in (cookiecutter.cwd / "maps" / "pyproject.toml").read_text(encoding="utf-8")


def test_bad_answers_typed_at_the_prompts(template: Path, cookiecutter: Cookiecutter) -> None:
    """All are told after the last question, and the command has the other answers."""
    code, output = type_at_the_prompts(
        cookiecutter,
        template,
        {"project_slug": "../maps", "description": "{{ 7 * 7 }}", "http2": "y", "license": "2"},
    )

    assert 1 == code, output
    assert ["project_slug", "description", "http_transport"] == refused_fields(output)
    assert "Traceback" not in output
    assert set() == cookiecutter.written()
    assert {
        "--no-input",
        "project_slug=maps",
        "http2=true",
        "http_transport=httpcore",
        "license=Apache-2.0",
    } < set(command_in(output.replace("\r", "")))
