import json
import sys
from pathlib import Path

from support.process import succeed
from support.repository import ROOT

BENCHMARKS = ROOT / "benchmarks"
# Of the default project, from the innermost outwards; Send is part of the client's row.
LAYERS = [
    "ResponseLimit",
    "AttemptTimeout",
    "CircuitBreaker",
    "Retry",
    "Deadline",
    "ConcurrencyLimit",
    "OriginGuard",
    "CallLog",
]


def test_throughput(tmp_path: Path) -> None:
    """Every contender answers under load; table, JSON and plot are made."""
    options = ("--seconds=1", "--rounds=1", "--callers", "2", "--bodies", "small")
    command = (sys.executable, BENCHMARKS / "throughput.py", *options, "--output", tmp_path / "out")
    printed = succeed(tmp_path, *command)

    cells = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))["cells"]
    assert len(cells) == 9
    assert all(cell["requests"] > 0 and cell["errors"] == 0 for cell in cells)
    assert all(f"| {cell['contender']} |" in printed for cell in cells)
    assert "<svg" in (tmp_path / "out-small.svg").read_text(encoding="utf-8")


def test_layers(tmp_path: Path) -> None:
    """Each layer is measured, in the order in which it is added."""
    options = ("--rounds", "1", "--output", tmp_path / "out")
    command = (sys.executable, BENCHMARKS / "layers.py", *options)
    printed = succeed(tmp_path, *command)

    costs = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))["us_per_call"]
    assert costs["CallLog"] > costs["aiohttp alone"] > 0
    assert all(f"| {name} |" in printed for name in LAYERS)
    assert list(costs)[-len(LAYERS) :] == LAYERS
