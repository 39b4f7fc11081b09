"""Finds the word that a misspelling meant."""

import difflib
import re
from collections.abc import Iterable

LEAST_LIKENESS = 0.6


def closest(word: str, candidates: Iterable[str]) -> str | None:
    """Return the most similar candidate, the first of equals, or None if none is similar."""
    word = plain(word)

    def likeness(candidate: str) -> float:
        if word in re.split(r"[\W_]+", candidate.lower()):
            return 1
        return difflib.SequenceMatcher(None, plain(candidate), word).ratio()

    best = max(candidates, key=likeness)
    return best if likeness(best) >= LEAST_LIKENESS else None


def plain(word: str) -> str:
    """Drop case, dashes and underscores."""
    return re.sub(r"[\W_]", "", word).lower()
