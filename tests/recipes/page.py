"""Reads docs/recipes.md, and applies its sections to a project as a reader would."""

import re
import shlex
from pathlib import Path

from support.rendering import Project
from support.repository import ROOT

PAGE = (ROOT / "docs/recipes.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"(?ms)^## (.+?)$(.*?)(?=^## |\Z)", PAGE))
BLOCK = re.compile(r"(?ms)(?:`([\w/]+\.py)`:\n\n)?^```(python|diff|dotenv|console)\n(.*?)^```")


def answers() -> dict[str, str]:
    """Return the answers of the command with which the page's project was generated."""
    command = next(text for _, kind, text in BLOCK.findall(PAGE) if kind == "console")
    return dict(word.split("=", 1) for word in shlex.split(command) if "=" in word)


def apply(project: Project, *titles: str) -> None:
    """Write the files of these sections, change those that they change, and set their settings."""
    settings = ""
    routes = []
    for title in titles:
        for path, kind, text in BLOCK.findall(SECTIONS[title]):
            file = project.path / path
            if kind == "dotenv":
                settings += text
            elif kind == "python":
                file.write_text(for_library(project, text), encoding="utf-8")
                routes += [file.stem] if file.parent.name == "routes" else []
            elif kind == "diff":
                file.write_text(patched(file, text), encoding="utf-8")
    (project.path / ".env").write_text(settings, encoding="utf-8")
    include(project.package / "app.py", routes)


def for_library(project: Project, text: str) -> str:
    """Remove the 2 of httpx2, as the page says, for a project on httpx."""
    if project.answers["http_library"] == "httpx2":
        return text
    return re.sub(r"(?i)\b_?(httpx)2", r"\1", text)


def patched(file: Path, diff: str) -> str:
    """Return a file's text with a diff applied. Each hunk must fit exactly once."""
    text = file.read_text(encoding="utf-8")
    for hunk in diff.split("@@\n"):
        lines = hunk.splitlines(keepends=True)
        before = "".join(line[1:] for line in lines if line[0] in " -")
        after = "".join(line[1:] for line in lines if line[0] in " +")
        assert text.count(before) == 1, f"does not fit {file.name}:\n{hunk}"
        text = text.replace(before, after)
    return text


def include(app: Path, routes: list[str]) -> None:
    """Include the routers of these modules in the application."""
    text = app.read_text(encoding="utf-8")
    (imported,) = re.findall(r"(?m)^from \.routes import (.+)$", text)
    names = ", ".join(sorted([*imported.split(", "), *routes]))
    text = text.replace(f"from .routes import {imported}", f"from .routes import {names}")
    last = "    app.include_router(health.router)\n"
    assert text.count(last) == 1
    lines = "".join(f"    app.include_router({name}.router)\n" for name in routes)
    app.write_text(text.replace(last, f"{last}{lines}"), encoding="utf-8")
