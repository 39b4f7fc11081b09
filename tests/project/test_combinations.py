"""Every valid pair of option values, rendered and checked; and tested, where it changes code."""

import ast
import itertools
import json
import random
import re
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest
import yaml

from answers.features import FEATURES
from answers.questions import QUESTIONS, add_defaults
from answers.rules import find_problems
from support.generated import COMBINATIONS
from support.rendering import EVERYTHING, NOTHING, Bake

UPSTREAMS = {
    "no-upstream": "",
    "one-upstream": "httpbin=https://httpbin.org",
    "two-upstreams": "github=https://api.github.com,my_api=http://localhost:9000/v1",
}

# Every part together, and none.
EXTREMES = [EVERYTHING, NOTHING]
# These change no module; of a project's own checks, only ruff reads the lowest Python.
BESIDE_THE_CODE = {"license", "python_version", "deployment", "ci"}
# Words that show that something was chosen, in a file's name or text.
TRACES = {
    "deployment": r"(?i)docker|container|compose|kube|\bpods?\b|\breplicas?\b|\bdeploy\b|\bimage\b",
    "ci": r"\bCI\b|\.github/|GitHub Actions|(?i:gitlab|workflow|pre-commit|prek)"
    r"|(?i:dependabot|renovate|hadolint|zizmor)",
    "telemetry": r"(?i)telemetry|otel|otlp|prometheus|grafana|/metrics|\bspans?\b|traceparent",
}

LEFT_OVER = re.compile(r"\{\{|\{%|%\}|\{#|cookiecutter\.")
# Expressions of workflows, Grafana's legends and Prometheus' annotations, which look like Jinja.
OWN_EXPRESSIONS = {
    ".github": r"\$\{\{ .*? \}\}",
    "monitoring": r"\{\{([a-z_]+| \$[a-z][\w.]*( \| \w+)? )\}\}",
}
PARSERS: dict[str, Callable[[str], object]] = {
    ".json": json.loads,
    ".py": ast.parse,
    ".toml": tomllib.loads,
    ".yaml": lambda text: list(yaml.safe_load_all(text)),
    ".yml": lambda text: list(yaml.safe_load_all(text)),
}

Value = str | bool
Row = dict[str, Value]
Pair = frozenset[tuple[str, Value]]


def options() -> dict[str, list[Value]]:
    """Return each question with its choices, and each feature: a new one cannot be forgotten."""
    choices = {name: default for name, default in QUESTIONS.items() if isinstance(default, list)}
    switches = [name for name, default in QUESTIONS.items() if isinstance(default, bool)]
    return {
        "upstreams": list(UPSTREAMS.values()),
        **choices,
        **{name: [False, True] for name in (*switches, *FEATURES)},
    }


def answers_of(row: Row) -> dict[str, object]:
    """Return the answers of a row, in which each feature is a switch."""
    chosen = ", ".join(feature for feature in FEATURES if row.get(feature))
    return {"features": chosen} | {name: row[name] for name in row if name not in FEATURES}


def row_of(answers: dict[str, object]) -> Row:
    """Return the part of a row that these answers decide."""
    chosen = str(answers["features"]).split(", ")
    return {feature: feature in chosen for feature in FEATURES} | {
        name: value
        for name, value in answers.items()
        if name in OPTIONS and isinstance(value, Value)
    }


def pairs(row: Row) -> set[Pair]:
    return set(map(frozenset, itertools.combinations(row.items(), 2)))


def possible_pairs() -> Iterator[Pair]:
    for one, two in itertools.combinations(OPTIONS, 2):
        for first, second in itertools.product(OPTIONS[one], OPTIONS[two]):
            yield frozenset({(one, first), (two, second)})


def is_valid(row: Row) -> bool:
    return not find_problems(answers_of(row))


OPTIONS = options()
# With this seed 21 rows are enough, and 11 for the pairs of the options that change code. When a
# question or a feature is added, look for another one.
SEED, CANDIDATES = 760, 10
VALID = {pair for pair in possible_pairs() if is_valid(dict(pair))}
IN_CODE = {pair for pair in VALID if not BESIDE_THE_CODE & dict(pair).keys()}


def installed_rows() -> list[Row]:
    """Return the rows that test_default_project.py installs and puts through the same checks."""
    return [row_of(add_defaults(dict(answers))) for answers in COMBINATIONS.values()]


def covering_rows() -> tuple[list[Row], list[Row]]:
    """Return few rows that contain every valid pair: those to be tested, and the others.

    The tested ones are the installed ones and the extremes, and then, as all others, always the
    best of many. They contain every pair of the options that change code.
    """
    chance = random.Random(SEED)
    missing = VALID.difference(*map(pairs, installed_rows()))
    seeds = [row_of(answers) for answers in EXTREMES]

    def added(wanted: set[Pair]) -> Iterator[Row]:
        def gain(row: Row) -> tuple[int, int]:
            new = pairs(row) & missing
            return len(new & wanted), len(new)

        while seeds or missing & wanted:
            start = seeds.pop(0) if seeds else {}
            best = max((grown(start, missing, chance) for _ in range(CANDIDATES)), key=gain)
            missing.difference_update(pairs(best))
            yield best

    return [*installed_rows(), *added(IN_CODE)], list(added(VALID))


def grown(row: Row, missing: set[Pair], chance: random.Random) -> Row:
    """Add the other options in random order, each with the value that adds most missing pairs."""
    row = dict(row)

    def added(name: str, value: Value) -> tuple[int, float]:
        new = {frozenset({(name, value), other}) for other in row.items()}
        return (len(new & missing) if new <= VALID else -1, chance.random())

    open_options = [name for name in OPTIONS if name not in row]
    for name in chance.sample(open_options, k=len(open_options)):
        row[name] = max(OPTIONS[name], key=lambda value: added(name, value))
    return {name: row[name] for name in OPTIONS}


def name_of(row: Row) -> str:
    shown = {
        **row,
        "upstreams": next(name for name, value in UPSTREAMS.items() if value == row["upstreams"]),
        "python_version": f"py{row['python_version']}",
    }
    words = (
        f"no-{name}" if value == "none" else name if value is True else value
        for name, value in shown.items()
    )
    return "-".join(word for word in words if word)


TESTED, OTHERS = covering_rows()
ROWS = TESTED + OTHERS
INSTALLED = installed_rows()
every_combination = pytest.mark.parametrize("row", ROWS, ids=name_of)
every_tested_combination = pytest.mark.parametrize(
    "row", [row for row in TESTED if row not in INSTALLED], ids=name_of
)


def test_every_valid_pair_is_covered() -> None:
    """Each valid pair of option values, features included, is in a project that is tested."""
    assert {pair for row in ROWS for pair in pairs(row)} == VALID
    assert set(possible_pairs()) - VALID == {
        frozenset({("http_transport", "aiohttp"), ("http2", True)})
    }
    assert {pair for row in TESTED for pair in pairs(row)} >= IN_CODE
    assert all(is_valid(row) for row in ROWS)
    assert len(ROWS) <= 21
    assert len(TESTED) <= 11


@pytest.mark.parametrize("option", sorted(BESIDE_THE_CODE))
def test_options_beside_the_code(bake: Bake, option: str) -> None:
    """These options change no module, no setting and no tool's configuration."""
    contents = []
    for value in OPTIONS[option]:
        project = bake(**EVERYTHING | {option: value})
        files = {name: project.read(name) for name in project.files() if name.endswith(".py")}
        tools = project.toml("pyproject.toml")["tool"]
        contents.append((files, project.read(".env.example"), tools))

    assert len(contents[0][0]) > 100
    assert all(content == contents[0] for content in contents)


@pytest.mark.parametrize("part", TRACES)
def test_what_was_not_chosen_leaves_no_trace(bake: Bake, part: str) -> None:
    """A part that was not chosen leaves no file and no word, whatever else was chosen."""
    traces = {
        name: {
            f"{path}: {match.group()}"
            for path in project.files()
            for match in re.finditer(TRACES[part], f"{path}\n{project.read(path)}")
        }
        for name, project in {
            "all": bake(**EVERYTHING, ci="github"),
            "all else": bake(**EVERYTHING | {"ci": "github"} | {part: NOTHING[part]}),
            "nothing": bake(**NOTHING),
        }.items()
    }

    assert len(traces.pop("all")) > 10
    assert traces == {"all else": set(), "nothing": set()}


def test_what_handlers_import(bake: Bake) -> None:
    """Handlers import the default client, an alias for each upstream, and `upstream()`."""
    project = bake(upstreams="github=https://api.github.com,my_api=https://api.example.com")
    module = ast.parse(project.read("src/my_service/http_client/__init__.py"))
    defined = {
        ast.unparse(node.targets[0]): node.value
        for node in module.body
        if isinstance(node, ast.Assign)
    }
    listed = ast.literal_eval(defined.pop("__all__"))

    assert sorted(listed) == ["GitHub", "HTTPClient", "MyApi", "upstream"]
    assert {*listed} == {*defined, "upstream"}


@every_combination
def test_what_is_written_is_well_formed(bake: Bake, row: Row) -> None:
    """Each file is free of template tags, and its parser accepts it."""
    project = bake(**answers_of(row))
    directories = [path for path in project.path.rglob("*") if path.is_dir()]

    assert [path for path in directories if not any(path.iterdir())] == []
    assert [
        f"{name} {fault}" for name in project.files() for fault in faults(project.path / name)
    ] == []


def faults(path: Path) -> Iterator[str]:
    """Describe what is wrong with a written file."""
    text = path.read_text(encoding="utf-8")
    own = text
    for directory, expression in OWN_EXPRESSIONS.items():
        if directory in path.parts:
            own = re.sub(expression, "", own)
    if LEFT_OVER.search(str(path)) or LEFT_OVER.search(own):
        yield "contains a tag of the template"
    if text and not re.search(r"[^\n]\n\Z", text):
        yield "does not end in one newline"
    if re.search(r"[ \t\r]$", text, re.MULTILINE):
        yield "has trailing white space"
    if re.search(r"\n{4}" if path.suffix in (".py", ".md") else r"\n{3}", text):
        yield "has too many blank lines"
    try:
        PARSERS.get(path.suffix, str)(text)
    except (SyntaxError, ValueError, yaml.YAMLError) as error:
        yield f"cannot be parsed: {error}"


@every_combination
def test_ruff_finds_nothing(bake: Bake, row: Row) -> None:
    """A project passes its own format check and lint."""
    project = bake(**answers_of(row))

    project.run("ruff", "format", "--check", ".")
    project.run("ruff", "check", ".")


@every_tested_combination
def test_it_passes_its_own_tests(bake: Bake, row: Row, tmp_path: Path) -> None:
    """A project passes its own types and tests, and skips none."""
    project = bake(**answers_of(row))
    report = tmp_path / "report.xml"

    project.run("mypy")
    project.run("pytest", f"--junitxml={report}", f"--basetemp={tmp_path / 'own'}")
    (suite,) = ElementTree.parse(report).getroot()

    assert int(suite.attrib["tests"]) > 20
    assert suite.attrib["skipped"] == "0"
