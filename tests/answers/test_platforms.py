"""The template and its projects work on Windows, and with each supported Python and release."""

import os
import re
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from unittest.mock import patch

import pytest

from answers.command import destination, quote
from answers.names import PACKAGE_LIMIT, SLUG_LIMIT, WINDOWS_DEVICES
from answers.questions import CONFIGURATION
from support.process import execute
from support.rendering import EVERYTHING, Bake, Cookiecutter
from support.repository import ROOT, tracked

from .test_hooks import run_hook

# Windows allows 260 characters in a path; the rest is for the directory of the project.
PATH_LIMIT = 180


def invalid_paths(names: set[str]) -> list[str]:
    """Return the paths that Windows or macOS cannot write, or confuse with another."""
    parts = {part for name in names for part in name.split("/")}
    bad = {
        part
        for part in parts
        if re.search(r'[<>:"|?*\\\x00-\x1f]|[. ]$', part)
        or part.partition(".")[0].lower() in WINDOWS_DEVICES
        or not part.isascii()
    }
    lower = [name.lower() for name in sorted(names)]
    return sorted(bad | {name for name in lower if lower.count(name) > 1 or len(name) > PATH_LIMIT})


# --- Files ----------------------------------------------------------------------------------


def test_the_template_can_be_cloned_anywhere() -> None:
    """Its own names contain Jinja, but no reserved name or character."""

    assert invalid_paths({path.relative_to(ROOT).as_posix() for path in tracked()}) == []


@pytest.mark.parametrize("ci", ["github", "gitlab"])
def test_a_project_can_be_cloned_anywhere(bake: Bake, ci: str) -> None:
    """The same, with the longest valid names."""
    slug, package = "s" * (SLUG_LIMIT - 1), "p" * PACKAGE_LIMIT
    project = bake(**EVERYTHING, ci=ci, project_slug=slug, package_name=package)

    assert invalid_paths({f"{slug}/{name}" for name in project.files()}) == []


def test_line_endings_are_the_same_everywhere(bake: Bake) -> None:
    """Git on Windows would convert them, and no shell in a container could read the scripts."""
    project = bake(**EVERYTHING)

    assert CONFIGURATION["_new_lines"] == "\n"
    for attributes in (ROOT / ".gitattributes", project.path / ".gitattributes"):
        assert attributes.read_text(encoding="utf-8").startswith("* text=auto eol=lf\n")
    assert [name for name in project.files() if "\r" in project.read(name)] == []


# --- Hooks ----------------------------------------------------------------------------------


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
    """Commands are quoted the way `cmd` and Windows programs parse them."""
    with patch("os.name", "nt"):
        assert quote(words) == expected


def test_the_directory_on_windows() -> None:
    """The `cd` command uses backslashes."""
    answers = {"_output_dir": r"C:\My Projects", "project_slug": "maps"}

    with patch("os.name", "nt"):
        assert destination(answers) == r'"C:\My Projects\maps"'


@pytest.mark.parametrize("hook", ["pre_gen_project", "post_gen_project"])
def test_hooks_run_under_the_names_of_windows(tmp_path: Path, hook: str) -> None:
    """A destination with backslashes and quotes stays one literal."""
    (tmp_path / "project").mkdir()

    done = run_hook(hook, tmp_path / "project", "nt", _output_dir="C:\\new\\'''\\table")

    assert (done.returncode, done.stderr) == (0, "")
    if hook == "post_gen_project":
        assert "\n  cd \"C:\\new\\'''\\table\\my-service\"\n" in done.stdout


def test_the_hook_passes_where_it_cannot_read_the_command_line(tmp_path: Path) -> None:
    """Only Linux exposes another process's command line; elsewhere nothing is printed."""
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

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


# --- Interpreters ---------------------------------------------------------------------------


def interpreters() -> dict[str, str]:
    """The Pythons of this machine, by version from 3.9 on."""
    known = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    found: dict[str, str] = {}
    for minor in range(9, 15):
        version = f"3.{minor}"
        candidates = [
            shutil.which(f"python{version}"),
            *map(str, known.glob(f"{version}.*/bin/python")),
        ]
        for python in filter(None, candidates):
            printed = subprocess.run(
                [python, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"],
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
            if printed.stdout.strip() == version:
                found[version] = python
    return found


PYTHONS = interpreters()


RELEASES = ["2.1.1", "2.2.3", "2.3.1", "2.4.0", "2.5.0", "2.6.0", "2.7.0"]


def generate(
    template: Path, cookiecutter: Cookiecutter, python: str, release: str, *answers: str
) -> subprocess.CompletedProcess[str]:
    """Run this release of cookiecutter with that Python."""
    command = (sys.executable, "-m", "uv", "cache", "dir")
    uv_cache = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    run = [
        *(sys.executable, "-m", "uv", "run", "--quiet", "--no-project", "--python", python),
        *("--with", f"cookiecutter=={release}", "cookiecutter", str(template), "--no-input"),
    ]
    environment = {**cookiecutter.environment(), "PATH": os.defpath, "UV_CACHE_DIR": uv_cache}
    return execute([*run, *answers], cookiecutter.cwd, env=environment)


def outdated(release: str, python: str) -> str:
    return (
        "This template needs cookiecutter 2.4 or newer, on Python 3.10 or newer (got cookiecutter "
        f"{release} on Python {python}). Try: uvx --python 3.11 cookiecutter@latest\n"
    )


@pytest.mark.parametrize("release", RELEASES)
def test_every_release_of_cookiecutter(
    template: Path, cookiecutter: Cookiecutter, release: str
) -> None:
    """It writes a project, or names the release that is needed and writes nothing."""
    done = generate(template, cookiecutter, sys.executable, release, "telemetry=yes", "http2=false")

    new = release >= "2.4"
    assert (done.returncode, done.stderr) == (0 if new else 1, "")
    assert (cookiecutter.cwd / "my-service" / "monitoring").exists() == new
    if not new:
        assert done.stdout == outdated(release, f"3.{sys.version_info.minor}")
        assert cookiecutter.written() == set()


@pytest.mark.parametrize("version", PYTHONS)
def test_every_python_of_this_machine(
    template: Path, cookiecutter: Cookiecutter, version: str
) -> None:
    """Answers are rejected and projects written; one that is too old is named instead."""
    if version == "3.9":
        done = generate(template, cookiecutter, PYTHONS[version], "2.6.0")
        assert (done.returncode, done.stdout) == (1, outdated("2.6.0", version))
        return
    python, release = PYTHONS[version], metadata.version("cookiecutter")

    def under_it(*answers: str) -> subprocess.CompletedProcess[str]:
        return generate(template, cookiecutter, python, release, *answers)

    rejected = under_it("package_name=asyncore", "license=mit", "upstreams=a")
    accepted = under_it("project_name=Zoë's “Maps”")

    assert (rejected.returncode, rejected.stderr) == (1, "")
    assert re.findall(r"^(\w+): .* Try: ", rejected.stdout, re.MULTILINE) == [
        "package_name",
        "license",
        "upstreams",
    ]
    assert (accepted.returncode, accepted.stderr) == (0, "")
    assert (cookiecutter.cwd / "zoes-maps" / "pyproject.toml").is_file()
