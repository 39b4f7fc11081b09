"""The questions of cookiecutter.json, and their defaults."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .names import default_package, default_slug

TEMPLATE = Path(__file__).resolve().parent.parent
PROJECT_DIRECTORY = "{{cookiecutter.project_slug}}"
CONFIGURATION: dict[str, Any] = json.loads((TEMPLATE / "cookiecutter.json").read_text("utf-8"))
QUESTIONS = {name: value for name, value in CONFIGURATION.items() if not name.startswith("_")}
# The question that each derived default comes from.
DERIVED = {"project_slug": "project_name", "package_name": "project_slug"}


def as_typed(answer: object) -> str:
    """Write an answer as it is typed on the command line."""
    return str(answer).lower() if isinstance(answer, bool) else str(answer)


def as_answer(name: str, value: object) -> object:
    """Read a switch as cookiecutter does, and return anything else unchanged."""
    if isinstance(QUESTIONS[name], bool) and isinstance(value, str):
        for answer, words in ((True, "1 true t yes y on"), (False, "0 false f no n off")):
            if value.strip().lower() in words.split():
                return answer
    return value


def default(name: str, answers: Mapping[str, object]) -> object:
    """Return the default of a question, given the answers before it."""
    if name in DERIVED:
        derive = default_slug if name == "project_slug" else default_package
        return derive(as_typed(answers[DERIVED[name]]))
    value = QUESTIONS[name]
    return value[0] if isinstance(value, list) else value


def add_defaults(given: Mapping[str, object]) -> dict[str, object]:
    """Add the default of every question that has no answer."""
    answers: dict[str, object] = {}
    for name in QUESTIONS:
        answers[name] = given[name] if name in given else default(name, answers)
    return answers
