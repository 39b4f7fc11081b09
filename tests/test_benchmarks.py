import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
BENCHMARKS = ROOT / "benchmarks"


def run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": str(BENCHMARKS)}
    return subprocess.run(
        [sys.executable, *command], check=True, capture_output=True, text=True, env=environment
    )


def test_the_page_tells_what_was_measured() -> None:
    """The figures in benchmarks/README.md are those of the kept results, and none else."""
    printed = run("-c", "import write_readme; print(write_readme.text(), end='')").stdout

    assert printed == (BENCHMARKS / "README.md").read_text(encoding="utf-8")


def test_the_readme_tells_what_was_measured() -> None:
    """The table in README.md is one of those."""
    rates = "throughput.rates(throughput.saved('throughput'), 'small')"
    printed = run(
        "-c", f"import throughput, machine; throughput.saved = machine.saved; print({rates})"
    )

    assert printed.stdout.strip() in (ROOT / "README.md").read_text(encoding="utf-8")


def test_soak(tmp_path: Path) -> None:
    """It runs, and sees a service that is flat."""
    done = run(BENCHMARKS / "soak.py", "--calls", "800", "--output", tmp_path / "soak")

    results = json.loads((tmp_path / "soak.json").read_text(encoding="utf-8"))
    assert 800 == sum(results["ends"].values())
    assert results["ends"]["200"] > 700
    assert done.stdout.startswith("| calls | memory | descriptors |")


@pytest.mark.parametrize("contender", ["plain shared client", "generated service"])
def test_overload(tmp_path: Path, contender: str) -> None:
    """At twice the upstream's capacity, who sheds still answers as much as the upstream can."""
    run(
        BENCHMARKS / "overload.py",
        "--loads",
        "2",
        "--only",
        contender,
        "--output",
        tmp_path / "out",
    )

    (row,) = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))["rows"]
    assert "<svg" in (tmp_path / "out.svg").read_text(encoding="utf-8")
    assert contender == row["contender"]
    assert row["failed_per_s"] == 0
    if contender == "generated service":
        assert row["refused_per_s"] > 0
        assert row["left_per_s"] == 0
    else:
        assert row["refused_per_s"] == 0
        assert row["left_per_s"] > 0
