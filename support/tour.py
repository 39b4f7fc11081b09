"""The README's tour: each step that it shows, applied to a project."""

import re

from support.rendering import Project

SNIPPET = re.compile(r"`([\w/]+\.py)`:\n\n```python\n(.*?)```", re.DOTALL)
SETTINGS = re.compile(r"```dotenv\n(.*?)```", re.DOTALL)


def apply_tour(project: Project) -> set[str]:
    """Write the README's snippets into the project; return their file names."""
    readme = project.read("README.md")
    snippets = SNIPPET.findall(readme)
    for path, text in snippets:
        (project.path / path).write_text(text, encoding="utf-8")
    settings = "".join(SETTINGS.findall(readme))
    (project.path / ".env").write_text(settings, encoding="utf-8")

    (line,) = re.findall(r"`(app\.include_router\(\w+\.router\))`", readme)
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
