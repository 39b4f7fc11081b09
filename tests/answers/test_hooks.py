"""What the hooks do before and after a project is written, and what they never do."""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from unittest.mock import patch

import pytest
from cookiecutter.utils import create_env_with_context  # type: ignore[import-untyped]

import answer_rules
from support.rendering import Bake, Cookiecutter
from support.repository import ROOT

# Those that are rendered; pre_prompt.py runs beside the rules, from a copy of the template.
HOOKS = [ROOT / "hooks" / f"{moment}_gen_project.py" for moment in ("pre", "post")]
HOSTILE = {
    "project_name": "'''\n__import__('pathlib').Path('owned').touch()\n'''",
    "project_slug": "$(touch owned)`touch owned`; touch owned",
    "description": '"""\n__import__("pathlib").Path("owned").touch()\n"""',
    "author_name": "\\'''); __import__('pathlib').Path('owned').touch() #\\",
    "author_email": "{{ ''.__class__ }}{% raw %}",
    "upstreams": "</script>\u2028\x00\\",
}


def run_hook(
    name: str, project: Path, system: str = os.name, **more: object
) -> subprocess.CompletedProcess[str]:
    """Render a hook and run it in a directory, as cookiecutter does on that system."""
    context = {"cookiecutter": {**answer_rules.CONFIGURATION, **answer_rules.completed({}), **more}}
    source = (ROOT / "hooks" / f"{name}.py").read_text(encoding="utf-8")
    script = project.parent / f"rendered_{name}.py"
    template = create_env_with_context(context).from_string(source)
    with patch("os.name", system):
        rendered = template.render(**context)
    script.write_text(rendered, encoding="utf-8")
    return subprocess.run(
        [sys.executable, script],
        cwd=project,
        env={"PATH": os.defpath},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture
def project(tmp_path: Path) -> Path:
    path = tmp_path / "projects" / "my-service"
    path.mkdir(parents=True)
    return path


@pytest.fixture
def tools(tmp_path: Path) -> Path:
    """A directory of programs, to be somebody's whole PATH."""
    directory = tmp_path / "tools"
    directory.mkdir()
    return directory


def add_git(tools: Path) -> None:
    git = shutil.which("git")
    assert git is not None
    (tools / "git").symlink_to(git)


def add_uv(tools: Path, script: str) -> None:
    """A stand-in for uv, which would call the registry."""
    (tools / "uv").write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    (tools / "uv").chmod(0o755)


# --- Both -----------------------------------------------------------------------------------


@pytest.mark.parametrize("hook", HOOKS, ids=lambda path: path.name)
def test_a_hook_needs_the_standard_library_only(hook: Path) -> None:
    """It runs with whatever Python runs cookiecutter, and cannot import its neighbours."""
    imported = {
        name.partition(".")[0]
        for node in ast.walk(ast.parse(hook.read_text(encoding="utf-8")))
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or "."]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }

    assert imported <= sys.stdlib_module_names


@pytest.mark.parametrize("hook", ["pre_gen_project", "post_gen_project"])
@pytest.mark.parametrize("field", HOSTILE)
def test_an_answer_is_never_code(project: Path, hook: str, field: str) -> None:
    """However an answer tries to end the literal that it is in, or to be rendered again."""
    done = run_hook(hook, project, **{field: HOSTILE[field]})

    # Nothing is said but what the rules say; a broken literal would be a SyntaxError.
    assert re.fullmatch(r"(\d answers? that cannot be used:\n.*)?", done.stderr, re.DOTALL)
    assert [] == list(project.parent.rglob("owned"))
    assert [] == list(project.iterdir())


# --- Before ---------------------------------------------------------------------------------


def test_the_hook_before_tells_the_same_rules(project: Path) -> None:
    """A program that renders the template by its own ways meets them here."""
    refused = run_hook("pre_gen_project", project, **HOSTILE, http2=True)
    accepted = run_hook("pre_gen_project", project)

    assert 1 == refused.returncode
    bad = [name for name in HOSTILE if name != "author_name"]  # That one is printable text.
    assert [*bad, "http_transport"] == re.findall(r"^(\w+): ", refused.stderr, re.MULTILINE)
    assert "Traceback" not in refused.stderr
    assert (0, "", "") == (accepted.returncode, accepted.stdout, accepted.stderr)


# --- After ----------------------------------------------------------------------------------


def test_what_cannot_be_removed_stays(project: Path, tmp_path: Path) -> None:
    """A hook that fails would take the project with it."""
    (tmp_path / "elsewhere").mkdir()
    (project / "deploy").symlink_to(tmp_path / "elsewhere")  # which is empty, and no directory

    done = run_hook("post_gen_project", project)

    assert (0, "") == (done.returncode, done.stderr)
    assert (project / "deploy").is_symlink()


def test_a_repository_and_a_lock_are_made(
    template: Path, cookiecutter: Cookiecutter, tools: Path
) -> None:
    """With git and uv there is nothing to prepare; then come the commands to type."""
    add_git(tools)
    add_uv(tools, 'echo "$@" > uv.lock')

    done = cookiecutter(template, "--no-input", "-o", "some where", env={"PATH": str(tools)})

    written = cookiecutter.cwd / "some where" / "my-service"
    assert (0, "") == (done.returncode, done.stderr)
    assert "ref: refs/heads/main\n" == (written / ".git" / "HEAD").read_text(encoding="utf-8")
    assert "lock --quiet --no-python-downloads\n" == (written / "uv.lock").read_text("utf-8")
    assert (
        "Locking the dependencies ...\n"
        "\n"
        "my-service is ready. Start it:\n"
        "\n"
        "  cd 'some where/my-service'\n"
        "  uv sync\n"
        "  uv run my-service\n"
        "\n"
        "and call it, in another terminal:\n"
        "\n"
        "  curl http://127.0.0.1:8000/external\n"
        "\n"
        "README.md tells the rest.\n"
    ) == done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80


def test_the_command_to_type_reaches_the_service(bake: Bake) -> None:
    """It names the port that the service listens at."""
    hook = (ROOT / "hooks" / "post_gen_project.py").read_text(encoding="utf-8")
    (port,) = re.findall(r"http://127\.0\.0\.1:(\d+)/", hook)

    assert re.search(rf"^    port: .* = {port}$", bake().read("src/my_service/settings.py"), re.M)


def test_missing_tools_are_told_with_their_remedy(
    template: Path, cookiecutter: Cookiecutter
) -> None:
    """They cost a convenience, not the project."""
    done = cookiecutter(template, "--no-input", "upstreams=")

    assert (0, "") == (done.returncode, done.stderr)
    assert done.stdout.startswith(
        "There is no Git repository yet: type `git init` when git is installed.\n"
        "uv is not installed yet: type `pipx install uv`, or see https://docs.astral.sh/uv\n"
    )
    assert "curl http://127.0.0.1:8000/readyz" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 81
    assert (cookiecutter.cwd / "my-service" / "pyproject.toml").is_file()


@pytest.mark.parametrize(
    "script",
    ["exit 2", "kill -9 $$", "exec /bin/sleep 60"],
    ids=["fails", "dies", "takes too long"],
)
def test_a_lock_that_cannot_be_made_is_told(
    template: Path, cookiecutter: Cookiecutter, tools: Path, tmp_path: Path, script: str
) -> None:
    """The project stays, the wait is bounded, and the next command is the remedy."""
    impatient = tmp_path / "impatient"
    shutil.copytree(template, impatient)
    hook = impatient / "hooks" / "post_gen_project.py"
    source = hook.read_text(encoding="utf-8")
    assert "LOCK_SECONDS = 60\n" in source
    hook.write_text(source.replace("LOCK_SECONDS = 60\n", "LOCK_SECONDS = 1\n"), encoding="utf-8")
    add_uv(tools, script)

    done = cookiecutter(impatient, "--no-input", env={"PATH": str(tools)})

    assert (0, "") == (done.returncode, done.stderr)
    assert "That failed. `uv sync` will lock them, and say what is wrong.\n" in done.stdout
    assert (cookiecutter.cwd / "my-service" / "pyproject.toml").is_file()


def test_a_repository_is_not_made_inside_another(
    template: Path, cookiecutter: Cookiecutter, tools: Path
) -> None:
    """A service in a repository of many is a directory of it."""
    add_git(tools)
    (cookiecutter.cwd / ".git").mkdir()

    assert 0 == cookiecutter(template, "--no-input", env={"PATH": str(tools)}).returncode
    assert not (cookiecutter.cwd / "my-service" / ".git").exists()


def test_the_hooks_can_run_again(template: Path, cookiecutter: Cookiecutter, tools: Path) -> None:
    """What is there is left alone: the lock, the repository, and files that nobody wrote for it."""
    add_git(tools)
    add_uv(tools, "echo again >> uv.lock")
    assert 0 == cookiecutter(template, "--no-input", env={"PATH": str(tools)}).returncode
    written = cookiecutter.cwd / "my-service"
    (written / "deploy").mkdir(exist_ok=True)
    (written / "deploy" / "mine.yaml").write_text("mine", encoding="utf-8")
    (written / "empty").mkdir()
    (written / ".git" / "HEAD").write_text("ref: refs/heads/mine\n", encoding="utf-8")

    done = cookiecutter(template, "--no-input", "-f", env={"PATH": str(tools)})

    assert (0, "") == (done.returncode, done.stderr)
    assert "again\n" == (written / "uv.lock").read_text(encoding="utf-8")
    assert "ref: refs/heads/mine\n" == (written / ".git" / "HEAD").read_text(encoding="utf-8")
    assert "mine" == (written / "deploy" / "mine.yaml").read_text(encoding="utf-8")
    assert (written / "empty").is_dir()


def test_the_hooks_change_no_file(template: Path, cookiecutter: Cookiecutter) -> None:
    """What is written needs no repair: with the hooks refused it is the same, byte for byte."""
    options = ("--no-input", "deployment=none", "ci=none")

    assert 0 == cookiecutter(template, *options, "-o", "with").returncode
    assert 0 == cookiecutter(template, *options, "-o", "without", "--accept-hooks=no").returncode
    accepted, refused = (
        {
            path.relative_to(cookiecutter.cwd / name): path.read_bytes() if path.is_file() else None
            for path in (cookiecutter.cwd / name).rglob("*")
        }
        for name in ("with", "without")
    )

    only_without_hooks = refused.keys() - accepted.keys()
    assert {path: refused[path] for path in accepted} == accepted
    assert {None} == {refused[path] for path in only_without_hooks}
    assert {".github", "deploy", "monitoring"} == {path.parts[1] for path in only_without_hooks}


def test_nothing_is_prepared_for_cruft(project: Path) -> None:
    """An update writes projects to compare them, where a repository or a lock would differ."""
    done = run_hook("post_gen_project", project)

    assert (0, "", "") == (done.returncode, done.stdout, done.stderr)
    assert [] == list(project.iterdir())


def test_two_revisions_in_one_process(template: Path, tmp_path: Path) -> None:
    """cruft renders the old and the new template in one process: each by its own rules."""
    revisions = {"old": "httpx", "new": "requests"}
    for name, library in revisions.items():
        shutil.copytree(template, tmp_path / name)
        configuration = tmp_path / name / "cookiecutter.json"
        answers = json.loads(configuration.read_text(encoding="utf-8"))
        answers["__httpx"] = f"{{{{ '{library}' | shout }}}}"
        configuration.write_text(json.dumps(answers), encoding="utf-8")
        rules = tmp_path / name / "answer_rules.py"
        text = rules.read_text(encoding="utf-8")
        new = text.replace(
            "def python_string(",
            f"def shout(text: str) -> str:\n    return text + '{name}'\n\n\ndef python_string(",
        )
        rules.write_text(
            new.replace(
                "parse_upstreams, python_string,", "parse_upstreams, shout, python_string,"
            ),
            encoding="utf-8",
        )
        directory = tmp_path / name / answer_rules.PROJECT_DIRECTORY
        shutil.rmtree(directory)
        directory.mkdir()
        (directory / "library.txt").write_text("{{ cookiecutter.__httpx }}", encoding="utf-8")
    script = (
        "import sys; from cookiecutter.main import cookiecutter\n"
        "for name in ('old', 'new'):\n"
        "    cookiecutter(name, no_input=True, output_dir='from-' + name, accept_hooks=False)\n"
    )

    subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        env={"PATH": "", "HOME": str(tmp_path)},
        check=True,
        timeout=60,
    )

    assert {"old": "httpxold", "new": "requestsnew"} == {
        name: (tmp_path / f"from-{name}" / "my-service" / "library.txt").read_text("utf-8")
        for name in revisions
    }
