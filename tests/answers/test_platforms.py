"""The template and what it writes are at home on Windows, and under each Python that may come."""

import os
import re
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from unittest.mock import patch

import pytest

import answer_rules
from answer_rules import destination, shell
from support.rendering import EVERYTHING, Bake, Cookiecutter
from support.repository import ROOT, tracked

from .test_hooks import run_hook

# The longest path that Windows takes has 260 characters; some are for where a project lies.
PATH_LIMIT = 180


def troubles(names: set[str]) -> list[str]:
    """Return the paths that Windows or macOS could not write, or would take for another."""
    parts = {part for name in names for part in name.split("/")}
    bad = {
        part
        for part in parts
        if re.search(r'[<>:"|?*\\\x00-\x1f]|[. ]$', part)
        or part.partition(".")[0].lower() in answer_rules.WINDOWS_DEVICES
        or not part.isascii()
    }
    lower = [name.lower() for name in sorted(names)]
    return sorted(bad | {name for name in lower if lower.count(name) > 1 or len(name) > PATH_LIMIT})


# --- Files ----------------------------------------------------------------------------------


def test_the_template_can_be_cloned_anywhere() -> None:
    """Its own names hold Jinja, and nothing that a file system reserves."""

    assert [] == troubles({path.relative_to(ROOT).as_posix() for path in tracked()})


@pytest.mark.parametrize("ci", ["github", "gitlab"])
def test_a_project_can_be_cloned_anywhere(bake: Bake, ci: str) -> None:
    """The same, with the longest names that can be answered."""
    slug, package = "s" * (answer_rules.SLUG_LIMIT - 1), "p" * answer_rules.PACKAGE_LIMIT
    project = bake(**EVERYTHING, ci=ci, project_slug=slug, package_name=package)

    assert [] == troubles({f"{slug}/{name}" for name in project.files()})


def test_line_endings_are_the_same_everywhere(bake: Bake) -> None:
    """Git on Windows would turn them, and then no shell in a container could read a script."""
    project = bake(**EVERYTHING)

    assert "\n" == answer_rules.CONFIGURATION["_new_lines"]
    for attributes in (ROOT / ".gitattributes", project.path / ".gitattributes"):
        assert attributes.read_text(encoding="utf-8").startswith("* text=auto eol=lf\n")
    assert [] == [name for name in project.files() if "\r" in project.read(name)]


# --- Hooks ----------------------------------------------------------------------------------


def test_hooks_know_no_shell() -> None:
    """They start programs by name, and import nothing that only POSIX has."""
    only_posix = r"\b(fcntl|grp|os\.fork|os\.geteuid|os\.getuid|pty|pwd|resource|termios)\b"
    for hook in (ROOT / "hooks").iterdir():
        source = hook.read_text(encoding="utf-8")

        assert None is re.search(rf"{only_posix}|shell=|os\.system|popen\(", source)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["cookiecutter", r"C:\templates\it", "a=b"], r"cookiecutter C:\templates\it a=b"),
        (["cd", r"My Projects\my-service"], r'cd "My Projects\my-service"'),
        (["description=R&D"], '"description=R&D"'),
        (["description=a|b>c^d"], '"description=a|b>c^d"'),
        (['description="so"'], r'"description=\"so\""'),
        (["description=at C:\\ or C:\\"], r'"description=at C:\ or C:\\"'),
        ([""], '""'),
    ],
)
def test_commands_for_windows(words: list[str], expected: str) -> None:
    """What is to be typed is quoted as its programs and `cmd` read it."""
    with patch("os.name", "nt"):
        assert expected == shell(words)


def test_the_directory_on_windows() -> None:
    """The command to change into it has the separators of that system."""
    answers = {"_output_dir": r"C:\My Projects", "project_slug": "maps"}

    with patch("os.name", "nt"):
        assert r'"C:\My Projects\maps"' == destination(answers)


@pytest.mark.parametrize("hook", ["pre_gen_project", "post_gen_project"])
def test_hooks_run_under_the_names_of_windows(tmp_path: Path, hook: str) -> None:
    """Their answers may hold its separators, and a destination ends no literal of theirs."""
    (tmp_path / "project").mkdir()

    done = run_hook(hook, tmp_path / "project", "nt", _output_dir="C:\\new\\'''\\table")

    assert (0, "") == (done.returncode, done.stderr)
    if hook == "post_gen_project":
        assert "\n  cd \"C:\\new\\'''\\table\\my-service\"\n" in done.stdout


def test_without_a_command_line_to_read_nothing_is_said(tmp_path: Path) -> None:
    """Only Linux shows one process the command line of another; elsewhere the hook lets pass."""
    hook = ROOT / "hooks" / "pre_prompt.py"
    elsewhere = f"import os, runpy\nos.getppid = lambda: 0\nrunpy.run_path({str(hook)!r})\n"
    done = subprocess.run(
        [sys.executable, "-c", elsewhere, "cookiecutter", "license=none"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert (0, "", "") == (done.returncode, done.stdout, done.stderr)


# --- Interpreters ---------------------------------------------------------------------------


def interpreters() -> dict[str, str]:
    """The Pythons of this machine that run, by version from 3.11 on."""
    known = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    found: dict[str, str] = {}
    for minor in range(11, 15):
        version = f"3.{minor}"
        candidates = [
            shutil.which(f"python{version}"),
            *map(str, known.glob(f"{version}.*/bin/python")),
        ]
        for python in filter(None, candidates):
            said = subprocess.run(
                [python, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"],
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
            if said.stdout.strip() == version:
                found[version] = python
    return found


PYTHONS = interpreters()


@pytest.mark.parametrize("python", PYTHONS.values(), ids=PYTHONS.keys())
def test_every_python_of_this_machine(
    template: Path, cookiecutter: Cookiecutter, python: str
) -> None:
    """cookiecutter refuses and writes under each, whatever its standard library has."""
    command = (sys.executable, "-m", "uv", "cache", "dir")
    uv_cache = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    run = [
        *(sys.executable, "-m", "uv", "run", "--quiet", "--no-project", "--python", python),
        *("--with", f"cookiecutter=={metadata.version('cookiecutter')}", "cookiecutter"),
    ]

    def under_it(*args: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*run, str(template), "--no-input", *args],
            cwd=cookiecutter.cwd,
            env={**cookiecutter.environment(), "PATH": os.defpath, "UV_CACHE_DIR": uv_cache},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    refused = under_it("package_name=asyncore", "license=mit", "upstreams=a")
    accepted = under_it("project_name=Zoë's “Maps”")

    assert (1, "") == (refused.returncode, refused.stderr)
    assert ["package_name", "license", "upstreams"] == re.findall(
        r"^(\w+): .* Try: ", refused.stdout, re.MULTILINE
    )
    assert (0, "") == (accepted.returncode, accepted.stderr)
    assert (cookiecutter.cwd / "zoes-maps" / "pyproject.toml").is_file()
