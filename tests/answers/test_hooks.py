"""What the hooks do before and after generation, and that answers are never code in them."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from unittest.mock import patch

import pytest
from cookiecutter.utils import create_env_with_context  # type: ignore[import-untyped]

from answers.questions import CONFIGURATION, PROJECT_DIRECTORY, add_defaults
from support.rendering import Bake, Cookiecutter
from support.repository import ROOT

HOSTILE = {
    "project_name": "'''\n__import__('pathlib').Path('owned').touch()\n'''",
    "project_slug": "$(touch owned)`touch owned`; touch owned",
    "description": '"""\n__import__("pathlib").Path("owned").touch()\n"""',
    "author_name": "\\'''); __import__('pathlib').Path('owned').touch() #\\",
    "author_email": "{{ ''.__class__ }}{% raw %}",
    "upstreams": "</script>\u2028\x00\\",
}


# A filter that lists which revisions the loaded modules belong to.
WRITTEN_BY = """

def written_by(_: object) -> str:
    return " ".join(sorted({module.REVISION for module in MODULES}))


MODULES = [module for name, module in sys.modules.items() if name.startswith("answers")]
FILTERS = (*FILTERS, written_by)
"""


def run_hook(
    name: str, project: Path, system: str = os.name, **more: object
) -> subprocess.CompletedProcess[str]:
    """Render a hook and run it in a directory, as cookiecutter does on that system.

    Only the standard library can be imported, because hooks run with any Python.
    """
    context = {"cookiecutter": {**CONFIGURATION, **add_defaults({}), **more}}
    source = (ROOT / "hooks" / f"{name}.py").read_text(encoding="utf-8")
    script = project.parent / f"rendered_{name}.py"
    template = create_env_with_context(context).from_string(source)
    with patch("os.name", system):
        rendered = template.render(**context)
    script.write_text(rendered, encoding="utf-8")
    return subprocess.run(
        [sys.executable, "-I", "-S", script],
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
    """A directory for programs, used as the whole PATH."""
    directory = tmp_path / "tools"
    directory.mkdir()
    return directory


def add_git(tools: Path) -> None:
    git = shutil.which("git")
    assert git is not None
    (tools / "git").symlink_to(git)


def add_uv(tools: Path, script: str) -> None:
    """Add a stand-in for uv, which would call the registry."""
    (tools / "uv").write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    (tools / "uv").chmod(0o755)


# --- Both -----------------------------------------------------------------------------------


@pytest.mark.parametrize("hook", ["pre_gen_project", "post_gen_project"])
@pytest.mark.parametrize("field", HOSTILE)
def test_an_answer_is_never_code(project: Path, hook: str, field: str) -> None:
    """An answer can neither end the literal that contains it nor be rendered again."""
    done = run_hook(hook, project, **{field: HOSTILE[field]})

    # A broken literal would be a SyntaxError.
    assert re.fullmatch(r"(\d invalid answers?:\n.*)?", done.stderr, re.DOTALL)
    assert list(project.parent.rglob("owned")) == []
    assert list(project.iterdir()) == []


# --- Before ---------------------------------------------------------------------------------


def test_the_hook_before_generation_applies_the_same_rules(project: Path) -> None:
    """They reach programs that render the template in their own way."""
    rejected = run_hook("pre_gen_project", project, **HOSTILE, http2=True)
    accepted = run_hook("pre_gen_project", project)

    assert rejected.returncode == 1
    bad = [name for name in HOSTILE if name != "author_name"]  # That one is printable text.
    assert re.findall(r"^(\w+): ", rejected.stderr, re.MULTILINE) == [*bad, "http_transport"]
    assert "Traceback" not in rejected.stderr
    assert (accepted.returncode, accepted.stdout, accepted.stderr) == (0, "", "")


# --- After ----------------------------------------------------------------------------------


def test_a_directory_that_cannot_be_removed_stays(project: Path, tmp_path: Path) -> None:
    """The hook succeeds all the same; if it failed, cookiecutter would delete the project."""
    (tmp_path / "elsewhere").mkdir()
    (project / "deploy").symlink_to(tmp_path / "elsewhere")  # empty, but not a directory

    done = run_hook("post_gen_project", project)

    assert (done.returncode, done.stderr) == (0, "")
    assert (project / "deploy").is_symlink()


def test_a_repository_and_a_lock_are_made(
    template: Path, cookiecutter: Cookiecutter, tools: Path
) -> None:
    """With git and uv the project is ready, and the next commands are printed."""
    add_git(tools)
    add_uv(tools, 'echo "$@" > uv.lock')

    done = cookiecutter(template, "--no-input", "-o", "some where", env={"PATH": str(tools)})

    written = cookiecutter.cwd / "some where" / "my-service"
    assert (done.returncode, done.stderr) == (0, "")
    assert (written / ".git" / "HEAD").read_text(encoding="utf-8") == "ref: refs/heads/main\n"
    assert (written / "uv.lock").read_text("utf-8") == "lock --quiet --no-python-downloads\n"
    assert done.stdout == (
        "Locking the dependencies ...\n"
        "\n"
        "my-service is ready. Start it:\n"
        "\n"
        "  cd 'some where/my-service'\n"
        "  uv sync\n"
        "  uv run my-service\n"
        "\n"
        "Then call it from another terminal:\n"
        "\n"
        "  curl http://127.0.0.1:8000/external\n"
        "\n"
        "See README.md for the rest.\n"
    )
    assert max(map(len, done.stdout.splitlines())) <= 80


def test_the_printed_command_reaches_the_service(bake: Bake, project: Path) -> None:
    """It names the port that the service listens on."""
    printed = run_hook("post_gen_project", project, _output_dir=".").stdout
    (port,) = re.findall(r"http://127\.0\.0\.1:(\d+)/", printed)

    assert re.search(rf"^    port: .* = {port}$", bake().read("src/my_service/settings.py"), re.M)


def test_missing_tools_are_reported_with_their_remedy(
    template: Path, cookiecutter: Cookiecutter
) -> None:
    """The project is written all the same."""
    done = cookiecutter(template, "--no-input", "upstreams=")

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(
        "Could not create a Git repository: install git and run `git init`.\n"
        "\n"
        "my-service is ready. Start it:\n"
        "\n"
        "  pip install uv  # or see https://docs.astral.sh/uv\n"
        "  cd my-service\n"
    )
    assert "curl http://127.0.0.1:8000/readyz" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 81
    assert (cookiecutter.cwd / "my-service" / "pyproject.toml").is_file()


@pytest.mark.parametrize(
    "script",
    ["exit 1", "kill -9 $$", "exec /bin/sleep 60"],
    ids=["fails", "dies", "takes too long"],
)
def test_a_failed_lock_is_reported(
    template: Path, cookiecutter: Cookiecutter, tools: Path, tmp_path: Path, script: str
) -> None:
    """The project stays, the wait is bounded, and the message names the next command."""
    short_timeout = tmp_path / "short-timeout"
    shutil.copytree(template, short_timeout)
    hook = short_timeout / "hooks" / "post_gen_project.py"
    source = hook.read_text(encoding="utf-8")
    assert "LOCK_SECONDS = 60\n" in source
    hook.write_text(source.replace("LOCK_SECONDS = 60\n", "LOCK_SECONDS = 1\n"), encoding="utf-8")
    add_uv(tools, f'[ "$1" = python ] || {script}')

    done = cookiecutter(short_timeout, "--no-input", env={"PATH": str(tools)})

    assert (done.returncode, done.stderr) == (0, "")
    assert "Locking failed. Run `uv sync` to lock them, or to see the error.\n" in done.stdout
    assert (cookiecutter.cwd / "my-service" / "pyproject.toml").is_file()


def test_a_missing_python_is_not_a_failure(
    template: Path, cookiecutter: Cookiecutter, tools: Path
) -> None:
    """uv makes no lock without a Python of that version, which the next command downloads."""
    uv = Path(sys.executable).with_name("uv")
    add_uv(tools, f'exec {uv} --no-cache "$@"')
    nowhere = {"UV_PYTHON_INSTALL_DIR": str(tools), "UV_PYTHON_PREFERENCE": "only-managed"}

    done = cookiecutter(
        template, "--no-input", "python_version=3.12", env={"PATH": str(tools), **nowhere}
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[1:3] == [
        "Locking the dependencies ...",
        "No Python 3.12 or later: `uv sync` downloads one and locks the dependencies.",
    ]


def test_a_repository_is_not_made_inside_another(
    template: Path, cookiecutter: Cookiecutter, tools: Path
) -> None:
    """In a monorepo, the project is a directory of the existing repository."""
    add_git(tools)
    (cookiecutter.cwd / ".git").mkdir()

    assert cookiecutter(template, "--no-input", env={"PATH": str(tools)}).returncode == 0
    assert not (cookiecutter.cwd / "my-service" / ".git").exists()


def test_git_and_uv_touch_no_other_project(
    template: Path, cookiecutter: Cookiecutter, tools: Path
) -> None:
    """An alias and a hook of git, and `rebase --exec`, export variables that name a repository."""
    add_git(tools)
    add_uv(tools, 'echo "$UV_PROJECT$UV_WORKING_DIR" > uv.lock')
    other = cookiecutter.home / "other"
    subprocess.run([tools / "git", "init", "--quiet", other], check=True)
    config = (other / ".git" / "config").read_text(encoding="utf-8")
    names = {"GIT_DIR": f"{other}/.git", "UV_PROJECT": str(other), "UV_WORKING_DIR": str(other)}

    done = cookiecutter(template, "--no-input", env={"PATH": str(tools), **names})

    assert (done.returncode, done.stderr) == (0, "")
    project = cookiecutter.cwd / "my-service"
    assert (project / ".git" / "HEAD").is_file()
    assert (project / "uv.lock").read_text(encoding="utf-8") == "\n"
    assert (other / ".git" / "config").read_text(encoding="utf-8") == config


def test_the_hooks_can_run_again(template: Path, cookiecutter: Cookiecutter, tools: Path) -> None:
    """Existing files stay unchanged: the lock, the repository, and the owner's own."""
    add_git(tools)
    add_uv(tools, "echo again >> uv.lock")
    assert cookiecutter(template, "--no-input", env={"PATH": str(tools)}).returncode == 0
    written = cookiecutter.cwd / "my-service"
    (written / "deploy").mkdir(exist_ok=True)
    (written / "deploy" / "mine.yaml").write_text("mine", encoding="utf-8")
    (written / "empty").mkdir()
    (written / ".git" / "HEAD").write_text("ref: refs/heads/mine\n", encoding="utf-8")

    done = cookiecutter(template, "--no-input", "-f", env={"PATH": str(tools)})

    assert (done.returncode, done.stderr) == (0, "")
    assert (written / "uv.lock").read_text(encoding="utf-8") == "again\n"
    assert (written / ".git" / "HEAD").read_text(encoding="utf-8") == "ref: refs/heads/mine\n"
    assert (written / "deploy" / "mine.yaml").read_text(encoding="utf-8") == "mine"
    assert (written / "empty").is_dir()


def test_the_hooks_change_no_file(template: Path, cookiecutter: Cookiecutter) -> None:
    """With the hooks refused, every file is the same, byte for byte."""
    options = ("--no-input", "deployment=none", "ci=none")

    assert cookiecutter(template, *options, "-o", "with").returncode == 0
    assert cookiecutter(template, *options, "-o", "without", "--accept-hooks=no").returncode == 0
    accepted, refused = (
        {
            path.relative_to(cookiecutter.cwd / name): path.read_bytes() if path.is_file() else None
            for path in (cookiecutter.cwd / name).rglob("*")
        }
        for name in ("with", "without")
    )

    only_without_hooks = refused.keys() - accepted.keys()
    assert {path: refused[path] for path in accepted} == accepted
    assert {refused[path] for path in only_without_hooks} == {None}
    assert {path.parts[1] for path in only_without_hooks} == {".github", "deploy", "monitoring"}


def test_nothing_is_prepared_for_cruft(project: Path) -> None:
    """cruft renders projects to compare them, where a repository or a lock would differ."""
    done = run_hook("post_gen_project", project)

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert list(project.iterdir()) == []


@pytest.mark.parametrize("directory", ["{}", "both"], ids=["two directories", "one directory"])
def test_two_revisions_in_one_process(template: Path, tmp_path: Path, directory: str) -> None:
    """cruft renders two revisions in one process: each gets its own rules, in every module."""
    revisions = ("old", "new")
    for revision in revisions:
        copy = shutil.copytree(template, tmp_path / "revisions" / revision)
        modules = [*(copy / "answers").glob("*.py")]
        assert len(modules) > 10
        for module in modules:
            text = module.read_text(encoding="utf-8")
            module.write_text(f"{text}\nREVISION = {revision!r}\n", encoding="utf-8")
        extension = copy / "answers" / "extension.py"
        with extension.open("a", encoding="utf-8") as file:
            file.write(WRITTEN_BY)
        inner = copy / PROJECT_DIRECTORY
        shutil.rmtree(inner)
        inner.mkdir()
        (inner / "answers.txt").write_text("{{ 0 | written_by }}", encoding="utf-8")
        for path in copy.rglob("*"):
            os.utime(path, (0, 0))
    script = (
        "import shutil, sys; from cookiecutter.main import cookiecutter\n"
        f"for name in {revisions}:\n"
        f"    used = {directory!r}.format(name)\n"
        "    shutil.copytree(f'revisions/{name}', used, dirs_exist_ok=True)\n"
        "    cookiecutter(used, no_input=True, output_dir=f'from-{name}', accept_hooks=False)\n"
    )

    subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        env={"PATH": "", "HOME": str(tmp_path)},
        check=True,
        timeout=60,
    )

    assert [
        (tmp_path / f"from-{name}" / "my-service" / "answers.txt").read_text("utf-8").split()
        for name in revisions
    ] == [["old"], ["new"]]
