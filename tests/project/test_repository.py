"""The repository's own files: what they contain, and what they never contain."""

import re

import pytest
import yaml

from answers.questions import QUESTIONS
from support.process import succeed
from support.repository import ROOT, tracked

TOP_LEVEL = {
    ".ci",
    ".gitattributes",
    ".github",
    ".gitignore",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "DECISIONS.md",
    "LICENSE",
    "Makefile",
    "README.md",
    "SECURITY.md",
    "answers",
    "benchmarks",
    "cookiecutter.json",
    "docs",
    "hooks",
    "pyproject.toml",
    "requirements.in",
    "requirements.txt",
    "support",
    "tests",
    "{{cookiecutter.project_slug}}",
}
# Written as patterns that do not match themselves.
NEVER = {
    "a registry's host": r"(?:p[y]pi|pytho[n]hosted|npmj[s])[.]org|(?:ghcr|docker|quay)[.]io",
    "a path of somebody's machine": r"(?<![\w.~])/(?:home|Users|work)/[\w.]|/opt/pyp[i]|[.]pyenv/",
    "unfinished work": r"\b(?:TOD[O]|FIXM[E]|X{3})\b",
    "a skipped test": r"mark[.]skip|pytest[.]skip\(|mark[.]xfail|unittest[.]skip",
    "an exemption without a code": r"type: ignor[e](?!\[)|# noq[a](?!: )",
    "a space at the end of a line": r"(?m)[ \t]+$",
    "no newline, or several, at the end": r"(?:[^\n]|\n\n)\Z",
}


def makefile_targets() -> dict[str, str]:
    """Return each target that has a `##` description, with it."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    return dict(re.findall(r"(?m)^([a-z]+):.*?## (.+)$", makefile))


def test_the_top_level_holds_little() -> None:
    """The top level contains only the documented files and directories."""

    assert {path.relative_to(ROOT).parts[0] for path in tracked()} <= TOP_LEVEL


@pytest.mark.parametrize("pattern", NEVER.values(), ids=NEVER.keys())
def test_no_file_holds(pattern: str) -> None:
    """No tracked file depends on one machine, is unfinished, or skips a test."""

    found = [
        f"{path.relative_to(ROOT)}: {match.group()!r}"
        for path in tracked()
        if (match := re.search(pattern, path.read_text(encoding="utf-8")))
    ]

    assert found == []


def test_no_lock_file_is_tracked() -> None:
    """No lock file is tracked, because it would name a registry."""

    assert [path for path in tracked() if path.name == "uv.lock"] == []


def test_make_help_names_every_command() -> None:
    """`make` alone lists every command with its description."""
    phony = re.findall(r"(?m)^\.PHONY: (\w+)$", (ROOT / "Makefile").read_text(encoding="utf-8"))
    shown = succeed(ROOT, "make", "--no-print-directory")

    assert list(makefile_targets()) == phony
    assert all(f"make {name}" in shown for name in phony)


def test_the_pages_name_commands_that_exist() -> None:
    """Each `make …` in a page is one of the Makefile's commands."""
    pages = "".join(path.read_text(encoding="utf-8") for path in ROOT.glob("*.md"))
    named = set(re.findall(r"(?m)(?:^ *|`|\$ )make ([a-z]+)", pages))

    assert {"demo", "diff", "test"} <= named <= set(makefile_targets())


@pytest.mark.parametrize("directory", [".", "tests/recipes"])
def test_every_requirement_is_locked_with_its_hash(directory: str) -> None:
    """`requirements.txt` pins everything that `requirements.in` names, with hashes."""
    source = (ROOT / directory / "requirements.in").read_text(encoding="utf-8")
    named = re.findall(r"(?m)^([a-z][\w-]*)", source)
    lock = (ROOT / directory / "requirements.txt").read_text(encoding="utf-8")
    # Some twice, for one Python and for another.
    pins = re.findall(r"(?m)^([a-z][\w-]*)==\S+ (?:; [^\\]+)?(.*)$", lock)

    assert set(named) <= {name for name, _ in pins}
    assert {end for _, end in pins} == {"\\"}
    assert len(pins) == len(re.findall(r"(?m)^[a-z]", lock))


def test_the_workflow_tests_each_supported_python() -> None:
    """GitHub runs `.ci/run` on each Python; the action is pinned, and zizmor finds nothing."""
    path = ROOT / ".github/workflows/ci.yml"
    text = path.read_text(encoding="utf-8")
    job = yaml.safe_load(text)["jobs"]["test"]

    assert job["strategy"]["matrix"] == {"python-version": QUESTIONS["python_version"]}
    assert job["container"].startswith("python:${{ matrix.python-version }}-")
    assert job["steps"][-1] == {"run": ".ci/run"}
    (used,) = re.findall("uses: (.*)", text)
    assert re.fullmatch(r"actions/checkout@[0-9a-f]{40} # v\d+\.\d+\.\d+", used)
    succeed(ROOT, "check-jsonschema", "--builtin-schema", "vendor.github-workflows", path)
    succeed(ROOT, "zizmor", "--offline", "--no-progress", "--quiet", path.parent)
