"""The repository and its projects avoid a list of words, each with its replacements."""

import re
from collections.abc import Iterable, Iterator

from support.rendering import EVERYTHING, Bake
from support.repository import ROOT, tracked

# Each pattern with its replacement. Names in code count too: `_` separates words as a space does.
WORDS = {
    r"tell(?:s|ing)?|told": "log, report, return, print, expose, raise, send",
    r"of late|lately": "recently",
    r"but for": "except, apart from",
    r"mend(?:s|ed|ing)?": "fix, correct",
    r"anew": "again",
    r"who-?ever": "you, anyone who",
    r"(?:is|are) (?-i:none)": "is invalid, is missing, is not a …",
    r"in vain": "without effect",
    r"(?:is|are) to be": "must be",
    r"beneath": "under, inner, below",
    r"impatien(?:t|ce)|patien(?:t|ce)": "wait timeout, deadline",
    r"troubles?": "error, reason, fault",
    r"engines?(?!\.py)": "transport",
    r"silence": "read timeout, no response",
}
PATTERNS = {
    re.compile(rf"(?<![^\W_])(?:{word.replace(' ', '[ _]')})(?![^\W_])", re.IGNORECASE): instead
    for word, instead in WORDS.items()
}
SUFFIXES = (".json", ".md", ".py", ".toml", ".yaml", ".yml")
NAMES = ("Makefile", "Dockerfile", ".env.example")
# Words of others: published texts, what was measured, and the list itself.
LEFT_OUT = ("LICENSE", "benchmarks/results/", "requirements.txt", "tests/project/test_prose.py")


def find_words(name: str, text: str) -> Iterator[str]:
    """Find each word of the list, as `file:line: word (write: replacement)`."""
    if name.startswith(LEFT_OUT) or "{% if cookiecutter.license" in name:
        return
    for number, line in enumerate(text.splitlines(), start=1):
        for pattern, instead in PATTERNS.items():
            for match in pattern.finditer(line):
                yield f"{name}:{number}: {match[0]} (write: {instead})"


def report(files: Iterable[tuple[str, str]]) -> str:
    return "\n".join(found for name, text in files for found in find_words(name, text))


def test_the_repository_uses_the_fields_words() -> None:
    """No tracked page, program or configuration has a word of the list."""
    files = [
        (path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8"))
        for path in tracked()
        if path.name.removesuffix("{% endif %}").endswith((*SUFFIXES, *NAMES))
    ]

    found = report(files)
    assert not found, found


def test_a_project_uses_the_fields_words(bake: Bake) -> None:
    """No file of a project with every part has a word of the list."""
    project = bake(**EVERYTHING)

    found = report((name, project.read(name)) for name in project.files())
    assert not found, found
