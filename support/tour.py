"""The tour of a project's pages: each step that they show, applied to it."""

import re

from support.rendering import Project

SNIPPET = re.compile(r"`([\w/]+\.py)`:\n\n```python\n(.*?)```", re.DOTALL)
SETTINGS = re.compile(r"```dotenv\n(.*?)```", re.DOTALL)


def apply_tour(project: Project) -> set[str]:
    """Write the pages' snippets into the project; return their file names."""
    pages = [name for name in sorted(project.files()) if name.endswith(".md")]
    shown = "".join(map(project.read, pages))
    snippets = SNIPPET.findall(shown)
    for path, text in snippets:
        (project.path / path).write_text(text, encoding="utf-8")
    settings = "".join(SETTINGS.findall(shown))
    (project.path / ".env").write_text(settings, encoding="utf-8")

    (line,) = re.findall(r"`(app\.include_router\(repos\.router\))`", shown)
    app = project.package / "app.py"
    text = app.read_text(encoding="utf-8")
    for before, after in (
        ("import external, health\n", "import external, health, repos\n"),
        ("    problems.install(app)\n", f"    {line}\n    problems.install(app)\n"),
    ):
        assert text.count(before) == 1
        text = text.replace(before, after)
    app.write_text(text, encoding="utf-8")
    return {path.rpartition("/")[2] for path, _ in snippets}
