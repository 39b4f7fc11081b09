"""The benchmarks run, and the pages show their kept results."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from support.process import clean_environment, execute
from support.repository import ROOT

BENCHMARKS = ROOT / "benchmarks"
# Uses all cores, first itself and then, for the same time, in processes that are not known to it.
LOAD = """
import json, os, subprocess, sys, time
from load import Load

WORK = "import time\\nwhile time.process_time() < 1.5: pass"

def work():
    return [subprocess.Popen([sys.executable, "-c", WORK]) for _ in range(os.cpu_count())]

load = Load(lambda: 0)
for process in work():
    process.wait()
own = load.sample()
processes = work()
time.sleep(1)
others = load.sample()
print(json.dumps([own, others, load.summary()]))
for process in processes:
    process.wait()
"""
# The table of targets as it would be if the service were so many times as fast.
TARGETS = """
import sys
import machine, targets

throughput = machine.saved("throughput")
for cell in throughput["cells"]:
    for each in cell["rounds"] if cell["contender"] == targets.SERVICE else ():
        each["per_s"] *= float(sys.argv[1])
print(targets.report(throughput, machine.saved("startup")))
"""


def play(*command: str | Path) -> subprocess.CompletedProcess[str]:
    """Run a program that can import the benchmarks."""
    environment = clean_environment() | {"PYTHONPATH": str(BENCHMARKS)}
    return execute([sys.executable, *command], ROOT, env=environment)


def test_the_page_shows_the_kept_results() -> None:
    """The figures in docs/performance.md are those of the kept results."""
    printed = play("-c", "import write_page; print(write_page.page(), end='')").stdout

    assert printed == (ROOT / "docs/performance.md").read_text(encoding="utf-8")


def test_the_pages_show_existing_plots() -> None:
    """Each plot that a page shows is a file."""
    pages = (ROOT / "README.md", ROOT / "docs/performance.md")
    plots = [
        page.parent / target
        for page in pages
        for target in re.findall(r"!\[[^]]*\]\(([^)]+[.]svg)\)", page.read_text(encoding="utf-8"))
    ]

    assert len(plots) >= 3
    assert [plot for plot in plots if not plot.is_file()] == []


def test_the_page_of_faults_has_every_situation() -> None:
    """docs/faults.md has a row for each situation of `make survival`, and README.md the score."""
    asked = "import survival; print(*(each.__doc__ for each in survival.SCENARIOS), sep='\\n')"
    situations = play("-c", asked).stdout.splitlines()
    page = (ROOT / "docs/faults.md").read_text(encoding="utf-8")
    rows = re.findall(
        r"(?m)^\| (?!Situation:|\*\*)(.*?) \| (yes|\*\*no\*\*): .*? \| (yes|\*\*no\*\*): ", page
    )
    score = " | ".join(
        f"{[row[column] for row in rows].count('yes')} of {len(rows)}" for column in (1, 2)
    )

    assert [row[0] for row in rows] == situations
    assert f"| {score} | `make survival` |" in (ROOT / "README.md").read_text(encoding="utf-8")
    assert f"| **Survived** | **{score.replace(' | ', '** | **')}** |" in page


def test_the_readme_shows_the_kept_results() -> None:
    """The rates in README.md are those of the kept results."""
    printed = play("-c", "import write_page; print(write_page.readme_row())").stdout

    assert f"\n{printed}" in (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(("factor", "met"), [(1000, "yes"), (0.001, "**no**")])
def test_a_target_shows_whether_it_is_met(factor: float, met: str) -> None:
    """A ratio is compared with its target: much more, or much less, than the kept results'."""
    rows = play("-c", TARGETS, str(factor)).stdout.splitlines()[2:]

    assert len(rows) == 9
    assert all(row.endswith(f" | {met} |") for row in rows[:7])  # the others are not about rates


def test_load(tmp_path: Path) -> None:
    """The load counts another process's time, and not the benchmark's own."""
    program = tmp_path / "program.py"
    program.write_text(LOAD, encoding="utf-8")
    own, others, summary = json.loads(play(program).stdout)

    assert others > own + 10
    assert summary["others_most_percent"] == pytest.approx(others, abs=0.1)


@pytest.mark.parametrize("contender", ["no outbound", "httpx.Async", "httpx2", "aiohttp.", "gener"])
def test_in_flight(tmp_path: Path, contender: str) -> None:
    """All calls are in flight concurrently, with a connection of their own, and succeed."""
    options = ("--calls=120", "--seconds=1.5", "--rounds=1", "--only", contender)
    play(BENCHMARKS / "in_flight.py", *options, "--output", tmp_path / "out")

    found = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))["contenders"]
    ((name, (measured,)),) = found.items()
    assert contender in name
    assert measured["errors"] == 0
    assert measured["kib_per_call"] > 0
    # Less what the warm-up left open.
    sockets = pytest.approx(1 if contender == "no outbound" else 2, abs=0.1)
    assert measured["descriptors_per_call"] == sockets


def test_soak(tmp_path: Path) -> None:
    """The soak makes the given number of calls and counts how they ended."""
    done = play(
        BENCHMARKS / "soak.py", "--calls", "800", "--more-mib=50", "--output", tmp_path / "out"
    )

    results = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))
    assert sum(results["ends"].values()) == 800
    assert {"200", "502"} <= set(results["ends"])
    assert done.stdout.startswith("| calls | memory | descriptors |")


def test_soak_fails_where_memory_grows(tmp_path: Path) -> None:
    """Memory that grows past the bound ends the benchmark with exit code 1."""
    options = ("--calls", "200", "--more-mib=-1000", "--output", tmp_path / "out")
    done = play(BENCHMARKS / "soak.py", *options)

    assert done.returncode == 1
    assert "Not flat" in done.stderr


@pytest.mark.parametrize("contender", ["plain shared client", "generated service"])
def test_overload(tmp_path: Path, contender: str) -> None:
    """Every call is counted once: the service rejects the excess, or callers leave."""
    play(
        BENCHMARKS / "overload.py",
        "--loads=3",
        "--seconds=2",  # a rate is then a multiple of 0.5, and rounding to tenths changes none
        "--only",
        contender,
        "--output",
        tmp_path / "out",
    )

    (row,) = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))["rows"]
    ends = ("goodput", "rejected", "left", "failed")
    assert row["contender"] == contender
    assert sum(row[f"{end}_per_s"] for end in ends) == pytest.approx(600)
    assert row["rejected_per_s" if contender == "generated service" else "left_per_s"] > 0
    assert "<svg" in (tmp_path / "out.svg").read_text(encoding="utf-8")
