"""Problems of answers, and their report."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from .questions import as_typed

SHOWN_LIMIT = 60
LEAVE_OUT = "leaving it out"
# After `//` or `=`, or as `user:password@`.
_CREDENTIALS = r"(//|=(?!\w+://))[^,]*@|[^\s,:@/=]+:(?!(?:\w+:)?//)[^\s,@]*@"


@dataclass(frozen=True)
class Problem:
    """An invalid answer, and the answers that are valid in its place."""

    field: str
    reason: str
    got: object
    suggestion: str
    fixes: Mapping[str, object]

    def __str__(self) -> str:
        return f"{self.field}: {self.reason} (got {show(self.got)}). Try: {self.suggestion}"


@dataclass(frozen=True)
class EntryError:
    """An invalid entry of a list, and the one in its place, if any."""

    reason: str
    entry: str
    suggestion: str | None


def show(answer: object) -> str:
    """Write an answer for a terminal: short, on one line, without invisible characters.

    Terminals and CI logs are kept, so the credentials in a URL are not repeated.
    """
    if not isinstance(answer, str):
        return f"{as_typed(answer)[:SHOWN_LIMIT]}, a {type(answer).__name__}"
    text = re.sub(_CREDENTIALS, r"\1***@", answer)
    return repr(text) if len(text) <= SHOWN_LIMIT else f"{text[:SHOWN_LIMIT]!r} and so on"


def report(problems: list[Problem], command: str) -> str:
    """List all problems, then the command that works."""
    title = "invalid answers" if len(problems) > 1 else "invalid answer"
    lines = (*map(str, problems), "", "Run this instead:", "", command)
    return "\n".join([f"{len(problems)} {title}:", "", *lines])
