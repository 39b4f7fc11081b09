"""Reject an invalid choice or switch, which cookiecutter itself answers with a traceback.

cookiecutter reads choices before it loads the template's extension, and only this hook runs before
that. The hook does not receive the answers, so it reads the command line of the cookiecutter that
started it. Only Linux exposes that; on other systems cookiecutter's traceback remains.

It runs at each generation, so it imports as little as possible until an answer is invalid.
"""

from __future__ import annotations

import os
import sys

SWITCHES = {"1", "true", "t", "yes", "y", "on", "0", "false", "f", "no", "n", "off"}


def main() -> None:
    make_removable()
    words = words_of(os.getppid())
    given = dict(word.split("=", 1) for word in words if "=" in word)
    if not given:
        return
    import json  # noqa: PLC0415 - see above

    with open("cookiecutter.json", encoding="utf-8") as file:
        questions = json.load(file)
    if not all(is_readable(questions.get(name), given[name]) for name in given):
        reject(words)


def make_removable() -> None:
    """Make the temporary copy writable, or cookiecutter cannot remove that of a read-only one."""
    if not os.access(".", os.W_OK):
        for directory, _, _ in os.walk("."):
            os.chmod(directory, 0o700)


def words_of(process: int) -> list[str]:
    try:
        with open(f"/proc/{process}/cmdline", "rb") as file:
            return [os.fsdecode(word) for word in file.read().split(b"\0")[:-1]]
    except OSError:
        return []


def is_readable(question: object, value: str) -> bool:
    if isinstance(question, list):
        return value in question
    if isinstance(question, bool):
        return value.strip().lower() in SWITCHES
    return True


def reject(words: list[str]) -> None:
    from pathlib import Path  # noqa: PLC0415 - see above
    from shutil import rmtree  # noqa: PLC0415

    programs = [n for n, word in enumerate(words) if Path(word).stem == "cookiecutter"]
    if programs and (message := error_message(words[programs[0] + 1 :])):
        print(message)
        # cookiecutter runs this hook in a temporary copy, and does not remove it if the hook fails.
        rmtree(Path.cwd().parent, ignore_errors=True)
        sys.exit(1)


def error_message(words: list[str]) -> str:
    sys.path.insert(0, os.getcwd())
    from cookiecutter.cli import main as cookiecutter  # type: ignore[import-untyped] # noqa: PLC0415

    from answers import command, entry_points, questions  # noqa: PLC0415

    with cookiecutter.make_context("cookiecutter", words) as context:
        parsed = command.cookiecutter_command(context)
        # With --no-input the configured defaults are answers too.
        given = {**({} if parsed.asks else parsed.configured), **parsed.given}
        known = {n: questions.as_answer(n, given[n]) for n in given if n in questions.QUESTIONS}
        answers = known if parsed.asks else questions.add_defaults(known)
        return entry_points.error_message(answers, asked=False)


main()
