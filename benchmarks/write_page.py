"""Writes docs/performance.md from the saved results, and the rates in README.md."""

import sys
from types import ModuleType
from typing import Any

import in_flight
import layers
import overload
import pythons
import soak
import startup
import streams
import targets
import throughput
from machine import conditions, saved

from support.repository import ROOT

PAGE = ROOT / "docs/performance.md"
PARTS = {
    "Throughput": throughput,
    "Streams and uploads": streams,
    "Calls in flight": in_flight,
    "Python versions": pythons,
    "Cost per layer": layers,
    "Start": startup,
    "Overload": overload,
    "Soak": soak,
}
RESULTS = "../benchmarks/results"
PLOTS = {
    "Throughput": f"![Requests per second and p99, by callers]({RESULTS}/throughput-small.svg)\n\n",
    "Overload": f"![Goodput, by offered load]({RESULTS}/overload.svg)\n\n",
}


def page() -> str:
    parts = [
        "# Performance\n\n`make bench` measures all of this and writes this page. Figures differ "
        "between machines, so compare the ratios. Each part ends with the Python that ran it and "
        "the load of the machine: distrust a part during which other processes used much CPU. "
        "(The load average before a part includes the part before it.)",
        f"## Targets\n\n{about(targets)}\n\n{target_table()}",
    ]
    results = {title: saved(module.__name__) for title, module in PARTS.items()}
    for title, module in PARTS.items():
        figures = module.report(results[title])
        parts.append(
            f"## {title}\n\n{about(module)}\n\n{PLOTS.get(title, '')}{figures}\n\n"
            f"{conditions(results[title])}"
        )
    machine: dict[str, Any] = results["Throughput"]["machine"]
    if any(each["machine"] != machine for each in results.values()):
        sys.exit("The results are from different machines or versions: run `make bench`.")
    versions = "\n".join(f"- {name}: {what}" for name, what in machine.items())
    return "\n\n".join([*parts, f"## The machine\n\n{versions}\n"])


def about(module: ModuleType) -> str:
    assert module.__doc__ is not None
    return module.__doc__.strip()


def target_table() -> str:
    return targets.report(saved("throughput"), saved("startup"))


def readme_row() -> str:
    """Return the row of README.md with requests per second at 64 callers."""
    rate = {
        cell["contender"]: round(cell["per_s"])
        for cell in saved("throughput")["cells"]
        if cell["body"] == "small" and cell["callers"] == 64
    }
    own = rate[throughput.SERVICE], rate["generated: httpx on httpcore"]
    rates = f"{rate[targets.PLAIN]} | {own[0]}, or {own[1]} on httpcore's pool"
    return f"| requests per second, 64 callers | {rates} | `make bench` |"


def write_readme() -> None:
    """Replace that row."""
    readme = ROOT / "README.md"
    start = readme_row().split(" | ")[0]
    lines = readme.read_text(encoding="utf-8").splitlines()
    (number,) = (number for number, line in enumerate(lines) if line.startswith(start))
    lines[number] = readme_row()
    readme.write_text("\n".join([*lines, ""]), encoding="utf-8")


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    write_readme()
    print(target_table())
    print(f"Written: {PAGE}, and the rates in README.md", file=sys.stderr)
