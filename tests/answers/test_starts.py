"""Every way to start a generation that cookiecutter documents gives the same project."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from support.process import clean_environment, execute, succeed
from support.rendering import Cookiecutter

Words = list[str | Path]
BYTE_CODE = {"PYTHONDONTWRITEBYTECODE": ""}  # a machine may have turned it off
AUTHOR = "default_context:\r\n  author_name: Ann\r\n"


def zipped(template: Path) -> Words:
    return [shutil.make_archive(str(template), "zip", template.parent, template.name)]


def cloned(template: Path) -> Words:
    repository = template.parent / "template.git"
    person = ("-c", "user.name=Ann", "-c", "user.email=ann@example.com")
    for command in (("init", "--quiet"), ("add", "."), (*person, "commit", "--quiet", "-m", "It")):
        succeed(template, "git", *command)
    succeed(template, "git", "tag", "v1")
    succeed(template, "git", "clone", "--quiet", "--bare", ".", str(repository))
    return [f"file://{repository}", "--checkout", "v1"]


def linked(template: Path) -> Words:
    link = template.parent / "link"
    link.symlink_to(template)
    return [link]


def configured(template: Path) -> Words:
    config = template.parent / "config.yaml"
    config.write_text(f"abbreviations:\n  my: {template.parent}/{{0}}\n", encoding="utf-8")
    return ["--config-file", config, f"my:{template.name}"]


WAYS: dict[str, Callable[[Path], Words]] = {
    "zip": zipped,
    "git": cloned,
    "link": linked,
    "abbreviation": configured,
    "directory": lambda template: [template.parent, "--directory", template.name],
    "no hooks": lambda template: [template, "--accept-hooks", "no"],
    "verbose": lambda template: [template, "--verbose", "--debug-file", "debug.log"],
    "flags": lambda template: [template, "-f", "-s", "--keep-project-on-failure"],
    "default config": lambda template: [template, "--default-config"],
    "replay": lambda template: [template],
}


@pytest.fixture
def own_template(template: Path, tmp_path: Path) -> Path:
    """A template that the test may change."""
    return shutil.copytree(template, tmp_path / "own" / "template")


def files(directory: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(directory)): path.read_bytes()
        for path in directory.rglob("*")
        if path.is_file() and ".git" not in path.relative_to(directory).parts
    }


@pytest.mark.parametrize("way", WAYS)
def test_every_way_gives_the_same_project(
    own_template: Path, cookiecutter: Cookiecutter, way: str
) -> None:
    """The template stays as it was, and neither a copy nor byte code is left."""
    assert cookiecutter(own_template, "--no-input", "-o", "plain").returncode == 0
    before = files(own_template)
    options = ["--replay"] if way == "replay" else ["--no-input"]
    arguments = WAYS[way](own_template)
    # cookiecutter itself leaves what it extracts.
    temporary = set(cookiecutter.temporary.glob("*/"))

    env = BYTE_CODE | {"PATH": os.defpath}
    done = cookiecutter(*arguments, *options, "-o", "so", env=env)

    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert files(cookiecutter.cwd / "so") == files(cookiecutter.cwd / "plain")
    assert files(own_template) == before
    left = {path for path in cookiecutter.temporary.iterdir() if path.is_dir()} - temporary
    assert [path for path in left if path.name.startswith("cookiecutter")] == []


def test_several_in_one_process(own_template: Path, tmp_path: Path) -> None:
    """The Python API leaves no byte code in the template, with or without hooks."""
    script = (
        "from cookiecutter.main import cookiecutter\n"
        "for hooks in (False, True, False):\n"
        f"    cookiecutter({str(own_template)!r}, no_input=True, accept_hooks=hooks,\n"
        "        output_dir='o', overwrite_if_exists=True)\n"
    )
    environment = clean_environment() | BYTE_CODE | {"HOME": str(tmp_path), "PATH": ""}

    done = execute([sys.executable, "-c", script], tmp_path, env=environment)

    assert (done.returncode, done.stderr) == (0, "")
    assert [*own_template.rglob("__pycache__")] == []


@pytest.mark.parametrize("by", ["--config-file", "COOKIECUTTER_CONFIG"])
@pytest.mark.parametrize(("answer", "code"), [("license=MIT", 0), ("license=GPL", 1)])
def test_a_relative_config(
    template: Path, cookiecutter: Cookiecutter, by: str, answer: str, code: int
) -> None:
    """Hooks run in other directories, where its path leads nowhere."""
    (cookiecutter.cwd / "c.yaml").write_text(AUTHOR, encoding="utf-8", newline="")
    options, env = ([by, "c.yaml"], {}) if by.startswith("-") else ([], {by: "c.yaml"})

    done = cookiecutter(template, "--no-input", answer, *options, env=env)

    assert (done.returncode, done.stderr) == (code, "")
    project = cookiecutter.cwd / "my-service"
    assert project.exists() == (code == 0)
    assert code or 'name = "Ann"' in (project / "pyproject.toml").read_text(encoding="utf-8")


def test_a_project_stays_if_nobody_reads_the_output(
    template: Path, cookiecutter: Cookiecutter
) -> None:
    """In `cookiecutter … | head -1`, the last lines cannot be printed."""
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [Path(sys.executable).with_name("cookiecutter"), str(template), "--no-input"],
        cwd=cookiecutter.cwd,
        env=cookiecutter.environment(),
        stdin=subprocess.DEVNULL,
        stdout=writer,
        stderr=subprocess.PIPE,
        check=False,
        text=True,
        timeout=60,
    )
    os.close(writer)

    assert (done.returncode, done.stderr) == (0, "")
    assert (cookiecutter.cwd / "my-service" / "pyproject.toml").is_file()


def test_the_copy_of_a_read_only_template_can_be_removed(tmp_path: Path) -> None:
    """cookiecutter copies the template with its modes, and then cannot remove the copy."""
    copy = tmp_path / "copy"
    (copy / "inner").mkdir(parents=True)
    for directory in (copy / "inner", copy):
        directory.chmod(0o555)
    hook = Path(__file__).parents[2] / "hooks" / "pre_prompt.py"
    # The administrator, as whom tests may run, can write anywhere.
    script = (
        "import os, runpy\n"
        "os.access = lambda *_: False\n"
        "os.getppid = lambda: 0\n"
        f"runpy.run_path({str(hook)!r})\n"
    )

    succeed(copy, sys.executable, "-c", script)

    assert [oct(path.stat().st_mode & 0o777) for path in (copy, copy / "inner")] == ["0o700"] * 2
