"""The files of `ci`: pipelines that run the project's own commands, checked by their linters.

Also the files that every project has for git.
"""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from support.process import in_turn_with_mypy, run
from support.rendering import EVERYTHING, Bake, Project

WORKFLOW = ".github/workflows/ci.yml"
DEPENDABOT = ".github/dependabot.yml"
PIPELINE = ".gitlab-ci.yml"
RENOVATE = "renovate.json"
HOOKS = ".pre-commit-config.yaml"

PYTHONS = ["3.11", "3.12", "3.13", "3.14"]
CHECKS = [
    "uv sync --locked",
    "uv run ruff format --check .",
    "uv run ruff check .",
    "uv run mypy",
    "uv run pytest",
]
SCHEMAS = [
    ("github", WORKFLOW, ["vendor.github-workflows"]),
    ("github", DEPENDABOT, ["vendor.dependabot"]),
    ("gitlab", PIPELINE, ["vendor.gitlab-ci", "--data-transform=gitlab-ci"]),
    ("gitlab", RENOVATE, ["vendor.renovate"]),
]

with_and_without_container = pytest.mark.parametrize("deployment", ["kubernetes", "none"])


def load(project: Project, path: str) -> Any:
    return yaml.safe_load(project.read(path))


def github_job(project: Project, name: str) -> list[str]:
    """The commands of a job, in order."""
    return [step["run"] for step in load(project, WORKFLOW)["jobs"][name]["steps"] if "run" in step]


@pytest.mark.parametrize(
    ("ci", "expected"),
    [
        ("github", {WORKFLOW, DEPENDABOT, HOOKS}),
        ("gitlab", {PIPELINE, RENOVATE, HOOKS}),
        ("none", set()),
    ],
    ids=["github", "gitlab", "none"],
)
def test_only_the_chosen_files_are_written(bake: Bake, ci: str, expected: set[str]) -> None:
    """A project has only the files of its own pipeline."""
    files = {WORKFLOW, DEPENDABOT, PIPELINE, RENOVATE, HOOKS}

    assert files & bake(ci=ci).files() == expected


@with_and_without_container
@pytest.mark.parametrize(("ci", "path", "schema"), SCHEMAS, ids=[path for _, path, _ in SCHEMAS])
def test_the_file_fits_its_schema(
    bake: Bake, ci: str, path: str, schema: list[str], deployment: str
) -> None:
    """Every key is one that the file's reader knows."""
    project = bake(**EVERYTHING | {"ci": ci, "deployment": deployment})

    project.run("check_jsonschema", "--builtin-schema", *schema, path)


@with_and_without_container
def test_the_workflow_is_safe(bake: Bake, deployment: str) -> None:
    """zizmor, a linter for attacks on workflows, finds nothing."""
    project = bake(**EVERYTHING | {"ci": "github", "deployment": deployment})
    done = run(project.path, "zizmor", "--offline", "--no-progress", "--quiet", ".github")

    assert done.returncode == 0, done.stdout


def test_the_workflow_uses_known_names(bake: Bake) -> None:
    """Every expression names something that exists; GitHub ignores unknown names silently."""
    workflow = bake(ci="github").read(WORKFLOW)
    steps = load(bake(ci="github"), WORKFLOW)["jobs"]["check"]["steps"]
    asked = re.findall(r"\$\{\{ (.*?) \}\}", workflow)

    assert set(asked) == {
        "github.workflow",
        "github.ref",
        "github.event_name == 'pull_request'",
        "matrix.python-version",
    }
    assert steps[1]["with"]["python-version"] == "${{ matrix.python-version }}"


def test_actions_are_pinned_by_commit(bake: Bake) -> None:
    """Each action is pinned by its commit, with the version as a comment for people and bots."""
    text = bake(ci="github").read(WORKFLOW)
    used = re.findall(r"uses: (.*)", text)

    assert used
    assert [
        each
        for each in used
        if not re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", each)
    ] == []


def test_the_workflow_may_do_little(bake: Bake) -> None:
    """A job may only read the code, and the checkout keeps no credentials."""
    workflow = load(bake(ci="github"), WORKFLOW)
    steps = [step for job in workflow["jobs"].values() for step in job["steps"]]
    checkouts = [step for step in steps if "actions/checkout" in step.get("uses", "")]

    assert workflow["permissions"] == {"contents": "read"}
    assert not any("permissions" in job for job in workflow["jobs"].values())
    assert len(workflow["jobs"]) == len(checkouts)
    assert all(step["with"] == {"persist-credentials": False} for step in checkouts)


@pytest.mark.parametrize("lowest", PYTHONS)
def test_each_supported_python_runs_every_check(bake: Bake, lowest: str) -> None:
    """The project's own commands run on every Python from the lowest supported to the newest."""
    github = bake(ci="github", python_version=lowest)
    gitlab = load(bake(ci="gitlab", python_version=lowest), PIPELINE)["check"]
    supported = PYTHONS[PYTHONS.index(lowest) :]

    assert load(github, WORKFLOW)["jobs"]["check"]["strategy"]["matrix"] == {
        "python-version": supported
    }
    assert gitlab["parallel"]["matrix"] == [{"PYTHON": supported}]
    assert "$PYTHON" in gitlab["image"]
    assert github_job(github, "check") == CHECKS
    assert gitlab["script"][: len(CHECKS)] == CHECKS


def test_the_audit_lets_nothing_pass_unseen(bake: Bake) -> None:
    """Both pipelines audit exactly the packages of uv.lock, and fail if they cannot."""
    commands = github_job(bake(ci="github"), "audit")
    export, audit = commands

    assert load(bake(ci="gitlab"), PIPELINE)["audit"]["script"] == commands
    assert {"--locked", "--all-extras", "--no-emit-project"} <= set(export.split())
    assert {"--strict", "--require-hashes"} <= set(audit.split())
    assert export.split()[-1] == audit.split()[-1]


@with_and_without_container
def test_the_container_is_checked_where_there_is_one(bake: Bake, deployment: str) -> None:
    """Both pipelines lint the Dockerfile, and GitHub's waits for the image to be healthy."""
    github = bake(ci="github", deployment=deployment)
    gitlab = load(bake(ci="gitlab", deployment=deployment), PIPELINE)
    text = github.read(WORKFLOW)
    is_there = deployment != "none"

    assert ("hadolint/hadolint-action@" in text) == is_there
    assert ("docker compose up --build --wait" in text) == is_there
    assert (gitlab.get("container", {}).get("script") == ["hadolint Dockerfile"]) == is_there
    assert ("package-ecosystem: docker" in github.read(DEPENDABOT)) == is_there


def test_one_version_of_uv_builds_and_checks(bake: Bake) -> None:
    """Pipelines and image use one version of uv, which can read its own uv.lock."""
    pattern = r'(?:astral/uv:|UV_VERSION: |version: ")(\d+\.\d+\.\d+)'
    found = {
        path: set(re.findall(pattern, bake(ci=ci).read(path)))
        for ci, path in (("github", WORKFLOW), ("gitlab", PIPELINE), ("none", "Dockerfile"))
    }

    assert all(len(versions) == 1 for versions in found.values()), found
    assert len(set.union(*found.values())) == 1, found


def test_updates_wait_a_week(bake: Bake) -> None:
    """Updates are proposed for everything pinned, a week after each release."""
    updates = load(bake(ci="github"), DEPENDABOT)["updates"]
    renovate = load(bake(ci="gitlab"), RENOVATE)

    assert [each["package-ecosystem"] for each in updates] == ["uv", "github-actions", "docker"]
    assert {each["cooldown"]["default-days"] for each in updates} == {7}
    assert renovate["minimumReleaseAge"] == "7 days"


@pytest.mark.parametrize("tool", ["pre-commit", "prek"])
def test_the_hooks_reject_what_ci_would(bake: Bake, tool: str, tmp_path: Path) -> None:
    """A new project passes its hooks unchanged; a file that CI would reject fails them."""
    directory = bake(**EVERYTHING, ci="github").path
    homes = {"PRE_COMMIT_HOME": str(tmp_path), "PREK_HOME": str(tmp_path)}
    for command in ("git init --quiet", "uv lock --quiet", "git add ."):
        done = run(directory, *command.split())
        assert done.returncode == 0, done.stdout

    with in_turn_with_mypy():
        clean = run(directory, tool, "run", "--all-files", **homes)
        (directory / "tests" / "test_untidy.py").write_text("import os\nx: int = ''\n")
        run(directory, "git", "add", ".")
        untidy = run(directory, tool, "run", "--all-files", **homes)

    assert clean.returncode == 0, clean.stdout
    assert clean.stdout.count("Passed") == 4
    assert untidy.returncode != 0
    assert {
        name: len(re.findall(rf"(?m)^{name}\.+.*Failed", untidy.stdout))
        for name in ("ruff format", "ruff check", "mypy")
    } == {"ruff format": 1, "ruff check": 1, "mypy": 1}


def test_git_ignores_secrets_and_caches(bake: Bake) -> None:
    """`git add .` takes the example of the settings, but no settings and no caches."""
    directory = bake().path
    written = {".env", ".env.production", ".venv/a", "dist/a", "src/my_service/__pycache__/a"}
    for name in written:
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).touch()
    for command in ("git init --quiet", "git add ."):
        assert run(directory, *command.split()).returncode == 0
    added = set(run(directory, "git", "ls-files").stdout.splitlines())

    assert added & written == set()
    assert {".env.example", "LICENSE", "pyproject.toml"} <= added


def test_lines_end_alike_everywhere(bake: Bake) -> None:
    """A checkout on Windows keeps LF line endings, which Docker and shells need."""
    directory = bake().path
    run(directory, "git", "init", "--quiet")
    attributes = run(directory, "git", "check-attr", "text", "eol", "--", "Dockerfile").stdout

    assert attributes.splitlines() == ["Dockerfile: text: auto", "Dockerfile: eol: lf"]
