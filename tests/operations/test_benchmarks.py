"""The benchmarks run, and the pages show their kept results."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from support.process import clean_environment, execute
from support.repository import ROOT

BENCHMARKS = ROOT / "benchmarks"


def play(*command: str | Path) -> subprocess.CompletedProcess[str]:
    """Run a program that can import the benchmarks."""
    environment = clean_environment() | {"PYTHONPATH": str(BENCHMARKS)}
    return execute([sys.executable, *command], ROOT, env=environment)


def test_the_page_shows_the_kept_results() -> None:
    """The figures in benchmarks/README.md are those of the kept results."""
    printed = play("-c", "import write_readme; print(write_readme.text(), end='')").stdout

    assert printed == (BENCHMARKS / "README.md").read_text(encoding="utf-8")


def test_the_readme_shows_the_kept_results() -> None:
    """The table in README.md is that of the kept results."""
    rates = "throughput.rates(machine.saved('throughput'), 'small')"
    printed = play("-c", f"import throughput, machine; print({rates})")

    assert printed.stdout.strip() in (ROOT / "README.md").read_text(encoding="utf-8")


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
        "--seconds=4",
        "--only",
        contender,
        "--output",
        tmp_path / "out",
    )

    (row,) = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))["rows"]
    ends = ("goodput", "refused", "left", "failed")
    assert row["contender"] == contender
    assert sum(row[f"{end}_per_s"] for end in ends) == pytest.approx(600)
    assert row["refused_per_s" if contender == "generated service" else "left_per_s"] > 0
    assert "<svg" in (tmp_path / "out.svg").read_text(encoding="utf-8")
