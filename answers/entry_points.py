"""Stops cookiecutter or cruft with all problems of the answers and a command that works."""

import itertools
import json
from collections.abc import Mapping, MutableMapping
from dataclasses import replace
from pathlib import Path

from cookiecutter.exceptions import FailedHookException  # type: ignore[import-untyped]

from .command import Command, cruft_arguments, current_command, start_of
from .names import SLUG_LIMIT
from .problems import Problem, report
from .questions import QUESTIONS, TEMPLATE, as_answer
from .rules import corrected_answers, find_problems, unknown_options

# cookiecutter runs a template that has a pre_prompt hook from a copy, and leaves some of it behind.
COPY = TEMPLATE.parent if TEMPLATE.parent.name.startswith("cookiecutter") else None


def check(answers: MutableMapping[str, object]) -> str:
    """Reject invalid answers; a filter, so it returns an empty text."""
    # cookiecutter before 2.7 leaves a switch of the command line as text.
    answers.update({name: as_answer(name, answers[name]) for name in QUESTIONS if name in answers})
    reject(error_message(answers, is_new=True))
    return ""


def check_command_line() -> None:
    """Reject invalid answers on the command line, before the first question."""
    command = current_command()
    if command is not None and command.asks:
        given = {name: command.given[name] for name in QUESTIONS if name in command.given}
        answers = {name: as_answer(name, value) for name, value in given.items()}
        reject(error_message(answers, asked=False))


def reject(message: str) -> None:
    """Stop with this message, if there is one, and without a traceback."""
    if message:
        # cruft prints a traceback for any other exception.
        raise SystemExit(message) if cruft_arguments() else FailedHookException(message)


def error_message(answers: Mapping[str, object], asked: bool = True, is_new: bool = False) -> str:
    """Return the report of all problems, or an empty text.

    The command in it does not ask the questions again if they were asked. A project that is new
    needs a directory of its own.
    """
    command = current_command()
    if command is None:
        template = TEMPLATE.name if COPY else str(TEMPLATE)
        command = Command([*start_of("cookiecutter"), template], {}, {}, asks=True)
    problems = unknown_options(command.given) + find_problems(answers)
    if is_new and all(problem.field != "project_slug" for problem in problems):
        problems += _taken(str(answers["project_slug"]), command)
    options = ["--no-input"] if asked and command.asks else []
    if dropped := _dropped(command.configured, command.given):
        fields = {problem.field for problem in dropped}
        problems = [problem for problem in problems if problem.field not in fields] + dropped
        options.append("--default-config")
        unused = command.configured.keys() - command.given.keys()
        answers = {**answers, **{name: command.configured[name] for name in unused}}
    if not problems:
        return ""
    return report(problems, command.with_answers(corrected_answers(answers, problems), *options))


def _taken(slug: str, command: Command) -> list[Problem]:
    """Return a problem if the directory exists: cookiecutter's own error loses the answers."""
    parent = command.output_dir
    if parent is None or command.overwrites or not Path(str(parent), slug).exists():
        return []
    names = (f"{slug[: SLUG_LIMIT - 4].rstrip('-')}-{number}" for number in itertools.count(2))
    free = next(name for name in names if not Path(str(parent), name).exists())
    fixes = {"project_slug": free}
    return [Problem("project_slug", "is the name of an existing directory", slug, free, fixes)]


def _dropped(configured: Mapping[str, object], given: Mapping[str, object]) -> list[Problem]:
    """Return the configured defaults that cookiecutter misreads, or drops with all after them."""
    return [
        replace(
            problem,
            reason=f"{problem.reason}, in your cookiecutter config",
            suggestion=json.dumps(problem.fixes[name], ensure_ascii=False),  # as YAML reads it
            fixes={} if name in given else problem.fixes,
        )
        for name, value in configured.items()
        if not _is_understood(name, value)
        for problem in find_problems({name: value})
    ]


def _is_understood(name: str, value: object) -> bool:
    if isinstance(QUESTIONS[name], list):
        return value in QUESTIONS[name]
    if isinstance(QUESTIONS[name], bool):
        return not isinstance(as_answer(name, value), str)
    return not isinstance(value, bool | list | dict)
