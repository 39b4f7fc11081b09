"""Refuse a choice or a switch that cookiecutter itself would answer with a traceback.

cookiecutter reads choices before it loads the template's extension, and only this hook comes before
that. It is not told the answers, so it reads the command line of the cookiecutter that started it,
where the system shows that (Linux); elsewhere cookiecutter's own words must do.

It runs each time, so it imports little: what it needs for a bad answer takes longer than the rest.
"""

import os
import sys

SWITCHES = {"1", "true", "t", "yes", "y", "on", "0", "false", "f", "no", "n", "off"}


def main() -> None:
    words = words_of(os.getppid())
    given = dict(word.split("=", 1) for word in words if "=" in word)
    if not given:
        return
    import json  # noqa: PLC0415 - see above

    with open("cookiecutter.json", encoding="utf-8") as file:
        questions = json.load(file)
    if not all(is_readable(questions.get(name), given[name]) for name in given):
        complain(words)


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


def complain(words: list[str]) -> None:
    from pathlib import Path  # noqa: PLC0415 - see above
    from shutil import rmtree  # noqa: PLC0415

    programs = [n for n, word in enumerate(words) if Path(word).stem == "cookiecutter"]
    if programs and (message := complaint(words[programs[0] + 1 :])):
        print(message)
        # A copy in the temporary directory, which cookiecutter leaves there when this hook fails.
        rmtree(Path.cwd().parent, ignore_errors=True)
        sys.exit(1)


def complaint(words: list[str]) -> str:
    sys.path.insert(0, os.getcwd())
    from cookiecutter.cli import main as cookiecutter  # type: ignore[import-untyped] # noqa: PLC0415

    import answer_rules as rules  # noqa: PLC0415

    with cookiecutter.make_context("cookiecutter", words) as context:
        command = rules.typed_to_cookiecutter(context)
        # Where nothing is asked, the defaults are answers as well.
        given = {**({} if command.asks else command.defaults), **command.given}
        known = {n: rules.as_answer(n, given[n]) for n in given if n in rules.QUESTIONS}
        answers = known if command.asks else rules.completed(known)
        return rules.complaint(answers, asked=False)


main()
