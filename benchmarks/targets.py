"""Does the default service reach its targets?

Ratios of measurements of the same round: the median of all rounds, with its range. More is better
for the first rows, less for the last two.
"""

from statistics import median
from typing import Any

import startup
from machine import saved, table
from rounds import ratios, show
from throughput import PER_CALL, SERVICE

AIOHTTP = "one shared aiohttp.ClientSession"
PLAIN = "one shared httpx.AsyncClient"
SHORT = {
    AIOHTTP: "raw aiohttp",
    PLAIN: "a plain shared httpx client",
    PER_CALL: PER_CALL,
}
AT_LEAST = {
    **{(AIOHTTP, callers): 0.8 for callers in (16, 64, 256)},
    (PLAIN, 64): 5,
    (PLAIN, 256): 6,
    **{(PER_CALL, callers): 60 for callers in (64, 256)},
}
MEMORY_AT_MOST = 1.25
START_AT_MOST = 1.5


def report(throughput: dict[str, Any], start: dict[str, Any]) -> str:
    """Return the table of targets, from the results of throughput and of startup."""
    cells = {
        (cell["contender"], cell["callers"]): cell
        for cell in throughput["cells"]
        if cell["body"] == "small"
    }
    rows = []
    for (name, callers), target in AT_LEAST.items():
        values = ratios(cells[SERVICE, callers], cells[name, callers], "per_s")
        title = f"{SHORT[name]}: requests per second, {callers} callers"
        rows.append([title, f"at least {target}", show(values), met(median(values) >= target)])
    at_most = {
        f"{SHORT[PLAIN]}: memory after load": (
            MEMORY_AT_MOST,
            ratios(cells[SERVICE, 256], cells[PLAIN, 256], "memory_mib"),
        ),
        "bare FastAPI: time to the first response": (
            START_AT_MOST,
            startup.ratios(start, "first_response_s"),
        ),
    }
    for title, (target, values) in at_most.items():
        rows.append([title, f"at most {target}", show(values), met(median(values) <= target)])
    return table(["the service, as a multiple of", "target", "measured", "met"], *rows)


def met(reached: bool) -> str:
    return "yes" if reached else "**no**"


if __name__ == "__main__":
    print(report(saved("throughput"), saved("startup")))
