import json
import platform
import sys
from pathlib import Path

import pytest

from support.process import succeed
from support.repository import ROOT

BENCHMARKS = ROOT / "benchmarks"
# Of a project with every feature, from the innermost outwards; Send is part of the client's row.
LAYERS = [
    "ResponseLimit",
    "AttemptTimeout",
    "Pushback",
    "RateLimit",
    "CircuitBreaker",
    "Retry",
    "Deadline",
    "ConcurrencyLimit",
    "PushbackGate",
    "OriginGuard",
    "Telemetry",
    "CallLog",
]


def test_throughput(tmp_path: Path) -> None:
    """Every contender answers under load; table, JSON and plot are made."""
    options = ("--seconds=1", "--rounds=1", "--callers", "2", "--bodies", "small")
    command = (sys.executable, BENCHMARKS / "throughput.py", *options, "--output", tmp_path / "out")
    printed = succeed(tmp_path, *command)

    cells = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))["cells"]
    assert len(cells) == 10
    assert all(cell["requests"] > 0 and cell["errors"] == 0 for cell in cells)
    assert all(0 <= cell["others_percent"] <= 100 for cell in cells)
    assert all(f"| {cell['contender']} |" in printed for cell in cells)
    assert f"Python {platform.python_version()}. Load average before the run: " in printed
    assert "<svg" in (tmp_path / "out-small.svg").read_text(encoding="utf-8")


@pytest.mark.parametrize("transfer", ["response of 100 kB", "upload of 1 MB"])
def test_streams(tmp_path: Path, transfer: str) -> None:
    """Every contender relays the whole body, without errors."""
    options = ("--seconds=1", "--rounds=1", "--transfers", transfer, "--output", tmp_path / "out")
    printed = succeed(tmp_path, sys.executable, BENCHMARKS / "streams.py", *options)

    cells = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))["cells"]
    assert len(cells) == 4
    assert all(cell["requests"] > 0 and cell["errors"] == 0 for cell in cells)
    assert all(f"| {transfer} | {cell['contender']} |" in printed for cell in cells)


def test_pythons(tmp_path: Path) -> None:
    """The service answers on each Python, whose name the table shows."""
    options = ("--seconds=1", "--rounds=1", "--callers=2", "--output", tmp_path / "out")
    printed = succeed(tmp_path, sys.executable, BENCHMARKS / "pythons.py", *options)

    results = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))
    assert results["pythons"][0] == platform.python_version()
    assert len(results["cells"]) == 4 * len(results["pythons"])
    assert all(cell["requests"] > 0 and cell["errors"] == 0 for cell in results["cells"])
    assert all(f"httpx on aiohttp, Python {each} |" in printed for each in results["pythons"])


def test_layers(tmp_path: Path) -> None:
    """Each layer is measured, in the order in which it is added."""
    options = ("--rounds=1", "--calls=50", "--output", tmp_path / "out")
    command = (sys.executable, BENCHMARKS / "layers.py", *options)
    printed = succeed(tmp_path, *command)

    results = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))
    costs = results["us_per_call"]
    assert costs["CallLog"] > costs["aiohttp alone"] > 0
    assert all(f"| {name} |" in printed for name in LAYERS)
    assert list(costs)[-len(LAYERS) :] == LAYERS
    assert {results["features"][name] for name in ("Retry", "RateLimit", "Telemetry")} == {
        *("retry", "rate_limit", "telemetry")
    }
    assert "CallLog" not in results["features"]
    assert results["us_added"]["RequestMiddleware (request id, access line)"] > 0
