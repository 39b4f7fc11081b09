"""The optional features, and the check of the answer that lists them."""

from .problems import EntryError
from .spelling import closest, plain
from .text import entries

# Templates look for a feature in the answer's text, so no name may contain another.
FEATURES = ("retry", "circuit_breaker", "rate_limit", "oauth2", "cache", "workers")


def check_features(text: str) -> tuple[str, list[EntryError]]:
    """Return the corrected answer, and what is wrong with each invalid entry."""
    corrected: list[str] = []
    errors: list[EntryError] = []
    for entry in entries(text):
        meant = closest(entry, FEATURES)
        new = None if meant in corrected else meant
        if reason := _entry_error(entry, meant, new):
            errors.append(EntryError(reason, entry, new))
        if new:
            corrected.append(new)
    return ",".join(corrected), errors


def _entry_error(entry: str, meant: str | None, new: str | None) -> str | None:
    if not entry:
        return "is empty"
    if meant is None or plain(entry) != plain(meant):
        return f"is not one of {', '.join(FEATURES)}"
    if new is None:
        return "is repeated"
    return None if entry == meant else "must be lowercase, with underscores between words"
