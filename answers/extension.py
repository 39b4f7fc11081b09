"""The Jinja extension that cookiecutter.json names: the filters, and where answers are checked."""

import atexit
import shutil
import sys
import tempfile
from pathlib import Path

from cookiecutter.exceptions import FailedHookException  # type: ignore[import-untyped]
from jinja2 import Environment
from jinja2.ext import Extension

from . import remove_byte_code
from .command import cookiecutter_context, destination, replays
from .entry_points import COPY, check, check_command_line, error_message
from .filters import escape_python, markdown_text, python_string, toml_string
from .names import default_package, default_slug
from .questions import CONFIGURATION, PROJECT_DIRECTORY
from .upstreams import parse_upstreams

FILTERS = (
    *(default_slug, default_package, check, error_message, destination),
    *(parse_upstreams, python_string, toml_string, markdown_text, escape_python),
)
# Every text of cookiecutter.json that may be rendered while cookiecutter asks.
OWN_TEMPLATES = {
    text
    for value in CONFIGURATION.values()
    for text in (value if isinstance(value, list) else [value])
    if isinstance(text, str)
}


class AnswerRules(Extension):
    """Adds the filters, and checks the answers before anything is written.

    cookiecutter makes one environment with this extension to ask the questions, another to write
    the files, and one for each hook. The same rules apply at five entry points, in this order:

    `hooks/pre_prompt.py`       invalid choices, which cookiecutter answers with a traceback
    `treat_answers_as_data`     the command line, before the first question
    `"__checked"`               all answers, after the last question
    the directory's name        the same, for a replay, which keeps the stored `"__checked"`
    `hooks/pre_gen_project.py`  the same, for programs that render in their own way
    """

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        if COPY and COPY.parent == Path(tempfile.gettempdir()).resolve():
            atexit.register(shutil.rmtree, COPY, ignore_errors=True)
        self.answers_are_data = False
        environment.globals["treat_answers_as_data"] = self.treat_answers_as_data
        environment.filters |= {function.__name__: function for function in FILTERS}
        remove_byte_code()
        if cookiecutter_context() is None:
            forget_modules()

    def treat_answers_as_data(self) -> str:
        """Start the questions: from here on, answers are not rendered."""
        self.answers_are_data = True
        context = cookiecutter_context()
        if context and replays(context):  # A complete replay file has this answer, too.
            message = (
                "The replay file is missing answers. Run again without --replay or --replay-file."
            )
            raise FailedHookException(message)
        check_command_line()
        return ""

    def preprocess(self, source: str, *_names: str | None, **_more: str | None) -> str:
        """Return the template to render in place of this one."""
        if self.answers_are_data and source not in OWN_TEMPLATES:
            # cookiecutter renders an answer of the command line or a file like a default.
            return "{{ " + ascii(source) + " }}"
        if source == PROJECT_DIRECTORY:
            # Rendered just before the directory is made; a replay renders nothing earlier.
            return source + "{{ cookiecutter | check }}"
        return source


def forget_modules() -> None:
    """Let the next environment import the package again.

    cruft renders two revisions of a template in one process, and each needs its own rules.
    """
    for name in [*sys.modules]:
        if name.partition(".")[0] == __package__:
            del sys.modules[name]
