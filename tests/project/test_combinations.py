"""Every valid pair of option values, rendered and put through the project's own checks."""

import ast
import itertools
import json
import os
import random
import re
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml

import answer_rules
from support.generated import COMBINATIONS
from support.rendering import EVERYTHING, NOTHING, Bake

ROOT = Path(__file__).parents[2]
UPSTREAMS = {
    "no-upstream": "",
    "one-upstream": "httpbin=https://httpbin.org",
    "two-upstreams": "github=https://api.github.com,my_api=http://localhost:9000/v1",
}

# Every part together, with either pipeline, and none.
EXTREMES = [EVERYTHING | {"ci": "github"}, EVERYTHING | {"ci": "gitlab"}, NOTHING]
# Words that show that something was chosen, in a file's name or text.
TRACES = {
    "deployment": r"(?i)docker|container|compose|kube|\bpods?\b|\breplicas?\b|\bdeploy\b|\bimage\b",
    "ci": r"\bCI\b|\.github/|GitHub Actions|(?i:gitlab|workflow|pre-commit|prek)"
    r"|(?i:dependabot|renovate|hadolint|zizmor)",
    "telemetry": r"(?i)telemetry|otel|otlp|prometheus|grafana|/metrics|\bspans?\b|traceparent",
}

LEFT_OVER = re.compile(r"\{\{|\{%|%\}|\{#|cookiecutter\.")
# All that may look like the template's: what workflows, Grafana's legends and Prometheus'
# annotations say in their own languages.
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
    """Return each question with its choices, so that a new one cannot be forgotten here."""
    questions = json.loads((ROOT / "cookiecutter.json").read_text(encoding="utf-8"))
    asked = {name: default for name, default in questions.items() if not name.startswith("_")}
    choices = {name: default for name, default in asked.items() if isinstance(default, list)}
    switches = {name: [False, True] for name, default in asked.items() if default in (False, True)}
    return {"upstreams": list(UPSTREAMS.values()), **choices, **switches}


def is_valid(row: Row) -> bool:
    return not answer_rules.problems(row)


def valid_rows() -> list[Row]:
    names, values = zip(*options().items(), strict=True)
    rows = (dict(zip(names, row, strict=True)) for row in itertools.product(*values))
    return [row for row in rows if is_valid(row)]


def pairs(row: Row) -> frozenset[Pair]:
    return frozenset(map(frozenset, itertools.combinations(row.items(), 2)))


def installed_rows() -> list[Row]:
    """Return the rows that test_default_project.py installs and puts through the same checks."""
    completed: list[dict[str, Any]] = [
        answer_rules.completed(dict(answers)) for answers in COMBINATIONS.values()
    ]
    return [{name: each[name] for name in options()} for each in completed]


def covering_rows() -> list[Row]:
    """Return few rows that contain every valid pair.

    First the installed ones and the extremes, then always one that adds the most pairs.
    """
    candidates = [(row, pairs(row)) for row in valid_rows()]
    # Without this the ties would all go to the first values. This seed needs few rows.
    random.Random(3).shuffle(candidates)
    missing = frozenset[Pair]().union(*(covered for _, covered in candidates))
    chosen = [
        *installed_rows(),
        *(next(row for row, _ in candidates if each.items() <= row.items()) for each in EXTREMES),
    ]
    missing -= frozenset[Pair]().union(*map(pairs, chosen))
    while missing:
        row, covered = max(candidates, key=lambda candidate: len(candidate[1] & missing))
        chosen.append(row)
        missing -= covered
    return chosen


def name_of(row: Row) -> str:
    shown = {
        **row,
        "upstreams": next(name for name, value in UPSTREAMS.items() if value == row["upstreams"]),
        "python_version": f"py{row['python_version']}",
    }
    words = (
        f"no-{name}" if value in ("none", False) else name if value is True else value
        for name, value in shown.items()
    )
    return "-".join(word for word in words if word)


ROWS = covering_rows()
INSTALLED = installed_rows()
every_combination = pytest.mark.parametrize("row", ROWS, ids=name_of)
every_other_combination = pytest.mark.parametrize(
    "row", [row for row in ROWS if row not in INSTALLED], ids=name_of
)


def test_every_valid_pair_is_covered() -> None:
    """Every valid pair of option values is in a project that is tested."""
    valid = {pair for row in valid_rows() for pair in pairs(row)}
    possible = {
        frozenset(((one, first), (two, second)))
        for one, two in itertools.combinations(options(), 2)
        for first, second in itertools.product(options()[one], options()[two])
    }

    assert {pair for row in ROWS for pair in pairs(row)} == valid
    assert possible - valid == {frozenset({("http_transport", "aiohttp"), ("http2", True)})}
    assert all(is_valid(row) for row in ROWS)
    assert len(ROWS) <= 20


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
    project = bake(**row)
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
        yield "has a line that ends in white space"
    if re.search(r"\n{4}" if path.suffix in (".py", ".md") else r"\n{3}", text):
        yield "has too many blank lines"
    try:
        PARSERS.get(path.suffix, str)(text)
    except (SyntaxError, ValueError, yaml.YAMLError) as error:
        yield f"cannot be parsed: {error}"


@every_other_combination
def test_what_is_written_passes_its_own_checks(
    bake: Bake, row: Row, mypy_cache: Path, tmp_path: Path
) -> None:
    """A project passes its own format check, lint, types and tests, and skips none."""
    project = bake(**row)
    report = tmp_path / "report.xml"

    project.run("ruff", "format", "--check", ".")
    project.run("ruff", "check", ".")
    project.run("mypy", f"--cache-dir={mypy_cache}")
    project.run("pytest", f"--junitxml={report}", f"--basetemp={tmp_path / 'own'}")
    (suite,) = ElementTree.parse(report).getroot()

    assert int(suite.attrib["tests"]) > 20
    assert suite.attrib["skipped"] == "0"


@pytest.fixture(scope="session")
def mypy_cache(worker_id: str) -> Path:
    """One mypy cache per worker, because all projects use the same libraries."""
    return Path(os.environ.get("MYPY_CACHE_DIR", ROOT / ".mypy_cache"), f"services-{worker_id}")
