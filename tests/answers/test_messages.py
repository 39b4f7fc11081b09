"""docs/messages.md shows terminal sessions exactly as they happen."""

import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from support.process import run
from support.repository import ROOT

PROMPT = "$ "
PROGRAMS = {
    name: Path(sys.executable).with_name(name) if name.startswith("c") and name != "cat" else None
    for name in ("cookiecutter", "cruft", "cat", "git", "mkdir")
}


def sessions() -> dict[str, str]:
    """Each block of the page that starts with a prompt, by its commands."""
    page = (ROOT / "docs/messages.md").read_text(encoding="utf-8")
    blocks = re.findall(r"(?ms)^```console\n(\$ .*?)^```$", page)
    return {", ".join(re.findall(r"(?m)^\$ (.*)$", block)): block for block in blocks}


SESSIONS = sessions()


@pytest.fixture
def home(template: Path, tmp_path: Path) -> Path:
    """A home with the template under git, an empty working directory, and few programs."""
    shutil.copytree(template, tmp_path / "template")
    person = ("-c", "user.name=Ann", "-c", "user.email=ann@example.com")
    for command in (("init", "--quiet"), ("add", "."), (*person, "commit", "--quiet", "-m", "It")):
        subprocess.run(["git", *command], cwd=tmp_path / "template", check=True)
    (tmp_path / "work").mkdir()
    (tmp_path / "bin").mkdir()
    for name, path in PROGRAMS.items():
        found = path or shutil.which(name)
        assert found is not None
        (tmp_path / "bin" / name).symlink_to(found)
    return tmp_path


def test_every_session_is_found() -> None:
    """docs/messages.md has eight."""

    assert len(SESSIONS) == 8


@pytest.mark.parametrize("session", SESSIONS.values(), ids=SESSIONS.keys())
def test_a_session_shows_what_happens(home: Path, session: str) -> None:
    """Every command is run; a file that `cat` prints is written first."""
    happened = ""
    for step in session.removeprefix(PROMPT).split(f"\n{PROMPT}"):
        command, _, shown = step.partition("\n")
        if command.startswith("cat "):
            file = Path(command.removeprefix("cat ").replace("~", str(home)))
            (home / "work" / file).write_text(f"{shown}\n", encoding="utf-8")
        done = run(home / "work", "/bin/sh", "-c", command, HOME=str(home), PATH=f"{home}/bin")
        printed = done.stdout.replace(str(home), "~").replace(sysconfig.get_path("purelib"), "…")
        happened += f"{PROMPT}{command}\n{printed}"

    assert session == happened
