"""cruft updates a project from its template and keeps the owner's edits."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from answers.features import FEATURES
from answers.questions import PROJECT_DIRECTORY, add_defaults
from support.process import clean_environment
from support.rendering import Project

EVERYTHING = {
    "project_name": 'Karten & "Wege" #1',
    "description": "It's C:\\maps, 100 % `done`: 地図 🚀",
    "upstreams": "maps=https://maps.example.com/v1,github=https://api.github.com",
    "features": ", ".join(FEATURES),
    "license": "Apache-2.0",
    "http_library": "httpx2",
    "http_transport": "httpcore",
    "http2": True,
    "telemetry": True,
    "deployment": "kubernetes",
    "ci": "gitlab",
}


@dataclass(frozen=True)
class Person:
    """A user of git and cruft, with the template and a project in their home."""

    home: Path

    @property
    def template(self) -> Path:
        return self.home / "template"

    def run(
        self, *command: str | Path, cwd: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        identity = {
            f"GIT_{who}_{what}": value
            for who in ("AUTHOR", "COMMITTER")
            for what, value in (("NAME", "Ann"), ("EMAIL", "ann@example.com"))
        }
        return subprocess.run(
            command,
            cwd=cwd or self.home,
            env={**clean_environment(), "HOME": str(self.home), "PATH": os.defpath, **identity},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def cruft(self, *args: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        return self.run(Path(sys.executable).with_name("cruft"), *args, cwd=cwd)

    def create(self, **answers: object) -> subprocess.CompletedProcess[str]:
        given = json.dumps(answers)
        return self.cruft("create", str(self.template), "--no-input", "--extra-context", given)

    def commit(self, repository: Path) -> None:
        for command in (("add", "--all"), ("commit", "--quiet", "--message", "Go on")):
            done = self.run("git", *command, cwd=repository)
            assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture
def person(template: Path, tmp_path: Path) -> Person:
    person = Person(tmp_path)
    shutil.copytree(template, person.template)
    assert person.run("git", "init", "--quiet", person.template).returncode == 0
    person.commit(person.template)
    return person


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1
    path.write_text(text.replace(old, new), encoding="utf-8")


def change_the_template(template: Path) -> None:
    """Change, add and remove files, rules and filters, as a later revision may."""
    inner = template / PROJECT_DIRECTORY
    package = inner / "src" / "{{cookiecutter.package_name}}"
    (retry,) = (package / "http_client" / "layers").glob("*}retry.py*")
    edit(retry, "_MAX_BUDGET = 10.0\n", "_MAX_BUDGET = 20.0\n")
    edit(inner / "README.md", "## Configure\n", "## Settings\n")
    (package / "news.py").write_text(
        '"""{{ cookiecutter.project_name | shout }}"""\n', encoding="utf-8"
    )
    (inner / "tests" / "test_docs.py").unlink()
    edit(template / "cookiecutter.json", '"ci": [', '"colour": "red",\n  "ci": [')
    answers = template / "answers"
    rules = answers / "rules.py"
    edit(rules, '"description": (', '"colour": (lambda _: None, str),\n    "description": (')
    (answers / "shouting.py").write_text(
        "def shout(text: str) -> str:\n    return text.upper()\n", encoding="utf-8"
    )
    edit(
        answers / "extension.py",
        "FILTERS = (\n",
        "from .shouting import shout\n\nFILTERS = (\n    shout,\n",
    )


@pytest.mark.parametrize("answers", [{}, EVERYTHING], ids=["defaults", "everything"])
def test_a_project_is_updated_and_keeps_its_owners_edits(
    person: Person, answers: dict[str, object]
) -> None:
    """Created, edited, behind, updated, up to date: no conflict, nothing lost, still clean."""
    created = person.create(**answers)
    assert (created.returncode, created.stderr) == (0, "")
    assert "is ready. Start it:" in created.stdout
    complete = add_defaults(answers)
    project = Project(person.home / str(complete["project_slug"]), complete)
    person.commit(project.path)
    in_project = project.path

    assert person.cruft("check", cwd=in_project).returncode == 0
    assert person.cruft("diff", "--exit-code", cwd=in_project).returncode == 0

    # The owner's work, in files that the template will change and in others.
    edit(in_project / "README.md", "## Deploy\n", "## Whom to call\n\nAnn.\n\n## Deploy\n")
    layers = project.package / "http_client" / "layers"
    edit(layers / "retry.py", "_DISCARD_S = 0.1\n", "_DISCARD_S = 0.2\n")
    (project.package / "own.py").write_text('"""Mine."""\n', encoding="utf-8")
    (in_project / "tests" / "test_log.py").unlink()
    person.commit(in_project)
    change_the_template(person.template)
    person.commit(person.template)

    assert person.cruft("check", cwd=in_project).returncode == 1
    updated = person.cruft("update", "--skip-apply-ask", cwd=in_project)

    assert (updated.returncode, updated.stderr) == (0, "")
    assert "is ready" not in updated.stdout
    assert person.cruft("check", cwd=in_project).returncode == 0
    changed = person.run("git", "status", "--porcelain", cwd=in_project).stdout.splitlines()
    package = f"src/{complete['package_name']}"
    assert set(changed) == {
        " M .cruft.json",
        "M  README.md",
        f"M  {package}/http_client/layers/retry.py",
        f"A  {package}/news.py",
        "D  tests/test_docs.py",
    }
    readme = project.read("README.md")
    assert "## Whom to call" in readme
    assert "## Settings" in readme
    retry = project.read(f"{package}/http_client/layers/retry.py")
    assert "_MAX_BUDGET = 20.0" in retry
    assert "_DISCARD_S = 0.2" in retry
    assert project.read(f"{package}/news.py") == f'"""{str(complete["project_name"]).upper()}"""\n'
    stored = json.loads(project.read(".cruft.json"))["context"]["cookiecutter"]
    assert complete == {name: stored[name] for name in complete}
    assert stored["colour"] == "red"


def test_bad_answers_to_cruft(person: Person) -> None:
    """They are reported without a traceback, and with a cruft command that works."""
    rejected = person.create(
        package_name="json",
        http_libary="httpx2",
        description="It's $HOME",
        features="retry, Retry",
    )

    assert (rejected.returncode, rejected.stdout) == (1, "")
    assert rejected.stderr.startswith(
        "3 invalid answers:\n"
        "\n"
        "http_libary: is not a question of this template (got 'httpx2'). Try: http_library=httpx2\n"
        "package_name: is a module of Python's standard library (got 'json'). Try: json_service\n"
        "features: an entry is repeated (got 'Retry'). Try: leaving it out\n"
    )
    assert [path.name for path in person.home.iterdir()] == ["template"]

    accepted = person.run("sh", "-c", rejected.stderr.splitlines()[-1])
    repeated = person.create()

    assert (accepted.returncode, accepted.stderr) == (0, "")
    assert "existing directory (got 'my-service'). Try: my-service-2\n" in repeated.stderr
    stored = json.loads((person.home / "my-service" / ".cruft.json").read_text("utf-8"))
    assert {
        "package_name": "json_service",
        "http_library": "httpx2",
        "description": "It's $HOME",
        "features": "retry",
    }.items() <= stored["context"]["cookiecutter"].items()


def test_an_answer_that_a_later_rule_rejects(person: Person) -> None:
    """The update reports it, and suggests a command with a valid one."""
    assert person.create(package_name="gizmo").returncode == 0
    project = person.home / "my-service"
    person.commit(project)
    edit(person.template / "answers" / "names.py", '{"conftest",', '{"conftest", "gizmo",')
    person.commit(person.template)

    rejected = person.cruft("update", "--skip-apply-ask", cwd=project)

    assert (rejected.returncode, rejected.stdout) == (1, "")
    assert "package_name: is a name that the project's tests use (got 'gizmo')" in rejected.stderr
    assert person.run("git", "status", "--porcelain", cwd=project).stdout == ""
    suggested = rejected.stderr.splitlines()[-1].partition(" -m ")[2]
    assert suggested == 'cruft update --variables-to-update \'{"package_name": "gizmo_service"}\''


def test_projects_do_not_depend_on_where_they_are_made(person: Person) -> None:
    """No file contains the machine's paths or user, and the same answers give the same files.

    The exception is `.cruft.json`, where cruft stores the template's address.
    """
    assert person.create(**EVERYTHING).returncode == 0
    first = person.home / "first"
    made = person.home / str(add_defaults(EVERYTHING)["project_slug"])
    made.rename(first)
    assert person.create(**EVERYTHING).returncode == 0

    def contents(project: Path) -> dict[str, bytes]:
        return {
            str(path.relative_to(project)): path.read_bytes()
            for path in project.rglob("*")
            if path.is_file() and ".git" not in path.relative_to(project).parts
        }

    assert contents(made) == contents(first)
    places = (str(person.home), str(Path.home()), str(Path(sys.prefix)))
    assert [
        name
        for name, content in contents(first).items()
        if name != ".cruft.json" and any(place.encode() in content for place in places)
    ] == []
