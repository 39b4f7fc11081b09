"""Alternating rounds, and what they have in common: medians, ranges, ratios."""

import math
import statistics
from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

Cell = TypeVar("Cell")


def alternate(cells: Sequence[Cell], rounds: int) -> Iterator[tuple[str, Cell]]:
    """Yield each cell once per round, in reverse every other round, with the progress."""
    for turn in range(rounds):
        for done, cell in enumerate(cells if turn % 2 == 0 else cells[::-1], 1):
            yield f"{turn * len(cells) + done} of {rounds * len(cells)}", cell


def summarize(measured: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the median of each figure and every round's; errors are added up."""
    return {
        **{key: statistics.median(each[key] for each in measured) for key in measured[0]},
        "errors": sum(each["errors"] for each in measured),
        "others_percent": max(each["others_percent"] for each in measured),
        "rounds": [
            {key: each[key] for key in ("per_s", "memory_mib") if key in each} for each in measured
        ],
    }


def ratios(own: dict[str, Any], other: dict[str, Any], key: str) -> list[float]:
    """Return the ratio of two cells in each round; infinite where the other did nothing."""
    return [
        mine[key] / theirs[key] if theirs[key] else math.inf
        for mine, theirs in zip(own["rounds"], other["rounds"], strict=True)
    ]


def show(values: Sequence[float]) -> str:
    """Return the median with its range, such as ``0.85 (0.81 to 0.90)``."""
    return f"{statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f})"
