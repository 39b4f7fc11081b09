"""The command that was typed to cookiecutter or to cruft, and one like it that works."""

import inspect
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

import click
from click.core import ParameterSource
from cookiecutter.config import get_user_config  # type: ignore[import-untyped]
from cookiecutter.exceptions import CookiecutterException  # type: ignore[import-untyped]

from .questions import QUESTIONS, as_typed


@dataclass(frozen=True)
class Command:
    """A command, without its answers; those given with it, and those of the user's config."""

    words: list[str]
    given: Mapping[str, object]
    configured: Mapping[str, object]
    asks: bool
    output_dir: object = None
    overwrites: bool = False
    # cruft takes all answers as one JSON object after this option.
    json_option: str = ""

    def with_answers(self, answers: Mapping[str, object], *options: str) -> str:
        """Write this command for a terminal, with these options and answers."""
        words = [*self.words, *options]
        if self.json_option:
            return quote([*words, self.json_option, json.dumps(answers, ensure_ascii=False)])
        return quote([*words, *(f"{name}={as_typed(value)}" for name, value in answers.items())])


def quote(words: list[str]) -> str:
    """Quote words for the shell of this machine, and join them."""
    if os.name != "nt":
        return shlex.join(words)
    return " ".join(
        word if re.fullmatch(r"[\w./\\:=@+-]+", word) else _in_quotes(word) for word in words
    )


def _in_quotes(word: str) -> str:
    # list2cmdline quotes only words with a space, but `&` and `|` need quotes too.
    return '"' + subprocess.list2cmdline([f" {word}"]).removeprefix('" ')


def start_of(program: str) -> list[str]:
    """Return the words that start this Python program in the user's shell."""
    if "UV" in os.environ:  # uvx sets it, and adds the program to its own PATH only
        return ["uvx", program]
    return [program] if shutil.which(program) else [sys.executable, "-m", program]


def current_command() -> Command | None:
    """Return the command that renders the template, or None under the Python API."""
    if context := cookiecutter_context():
        return cookiecutter_command(context)
    if arguments := cruft_arguments():
        return _cruft_command(arguments)
    return None


def cookiecutter_context() -> click.Context | None:
    context = click.get_current_context(silent=True)
    if context is None or getattr(context.command.callback, "__module__", "") != "cookiecutter.cli":
        return None
    return context


def cookiecutter_command(context: click.Context) -> Command:
    params = context.params
    return Command(
        [*start_of("cookiecutter"), params["template"], *_given_options(context)],
        params["extra_context"] or {},
        # A replay does not read the user's config.
        {} if replays(context) else _configured(params["config_file"], params["default_config"]),
        asks=not params["no_input"],
        output_dir=params["output_dir"],
        overwrites=params["overwrite_if_exists"],
    )


def replays(context: click.Context) -> bool:
    return bool(context.params["replay"] or context.params["replay_file"])


def _given_options(context: click.Context) -> Iterator[str]:
    """Repeat the options of the command line, except those that name a replay."""
    for option in context.command.params:
        name = option.name or ""
        if (
            isinstance(option, click.Option)
            and context.get_parameter_source(name) is ParameterSource.COMMANDLINE
            and name not in {"replay", "replay_file"}
        ):
            yield option.opts[-1]
            if not option.is_flag:
                yield str(context.params[name])


def cruft_arguments() -> Mapping[str, Any] | None:
    """Return the arguments of the cruft that renders this template, found in its frames."""
    frame = inspect.currentframe()
    while frame is not None:
        module = frame.f_globals.get("__name__", "")
        if module in {"cruft._commands.create", "cruft._commands.update"}:
            return frame.f_locals
        frame = frame.f_back
    return None


def _cruft_command(arguments: Mapping[str, Any]) -> Command:
    given = arguments["extra_context"] or {}
    if "template_git_url" not in arguments:  # An update has the answers of the creation.
        words = [*start_of("cruft"), "update"]
        return Command(words, given, {}, asks=False, json_option="--variables-to-update")
    words = [*start_of("cruft"), "create", str(arguments["template_git_url"])]
    for name in ("output_dir", "config_file", "checkout"):
        if arguments[name] not in {None, Path()}:
            words += [f"--{name.replace('_', '-')}", str(arguments[name])]
    if arguments["no_input"]:
        words.append("--no-input")
    return Command(
        words,
        given,
        _configured(arguments["config_file"], arguments["default_config"]),
        asks=not arguments["no_input"],
        output_dir=arguments["output_dir"],
        overwrites=arguments["overwrite_if_exists"],
        json_option="--extra-context",
    )


def _configured(file: object, defaults_only: bool) -> dict[str, object]:
    try:
        configured = get_user_config(file and str(file), defaults_only)["default_context"] or {}
    except (CookiecutterException, OSError):
        # Hooks run in another directory, where a relative path leads nowhere.
        return {}
    return {name: value for name, value in configured.items() if name in QUESTIONS}


def destination(answers: Mapping[str, object]) -> str:
    """Return the project's directory as the user would type it.

    Empty where cruft renders a project only to compare it with another.
    """
    command = current_command()
    parent = command.output_dir if command else answers.get("_output_dir")
    if parent is None:
        return ""
    return quote([str(PurePath(str(parent), str(answers["project_slug"])))])
