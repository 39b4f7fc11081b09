"""Refuse a choice or a switch that cookiecutter itself would answer with a traceback.

cookiecutter reads choices before it loads the template's extension, and only this hook comes before
that. It is not told the answers, so it reads the command line of the cookiecutter that started it,
where the system shows that (Linux); elsewhere cookiecutter's own words must do.
"""

import json
import os
import shutil
import sys
from pathlib import Path

# A copy in the temporary directory, which cookiecutter leaves there when this hook fails.
TEMPLATE = Path.cwd()
SWITCHES = {"1", "true", "t", "yes", "y", "on", "0", "false", "f", "no", "n", "off"}


def main() -> None:
    try:
        command = Path(f"/proc/{os.getppid()}/cmdline").read_bytes()
    except OSError:
        return
    words = [os.fsdecode(word) for word in command.split(b"\0")[:-1]]
    programs = [n for n, word in enumerate(words) if Path(word).stem == "cookiecutter"]
    questions = json.loads((TEMPLATE / "cookiecutter.json").read_text(encoding="utf-8"))
    given = dict(word.split("=", 1) for word in words if "=" in word)
    if not programs or all(is_readable(questions.get(n), given[n]) for n in given):
        return
    if message := complaint(words[programs[0] + 1 :]):
        print(message)
        shutil.rmtree(TEMPLATE.parent, ignore_errors=True)
        sys.exit(1)


def is_readable(question: object, value: str) -> bool:
    if isinstance(question, list):
        return value in question
    if isinstance(question, bool):
        return value.strip().lower() in SWITCHES
    return True


def complaint(words: list[str]) -> str:
    sys.path.insert(0, str(TEMPLATE))
    # For a bad answer only, because they take longer than all the rest of this hook.
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
