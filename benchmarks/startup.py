"""How long does the service take to its first response, compared with a bare FastAPI application?

Both run in the environment that `uv sync --no-dev` makes for the generated project. Each round
starts one after the other, waits for the first response, and reads its memory. The ratios are the
medians of all rounds, with their range.
"""

import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from machine import Process, progress, publish, rendered, table
from rounds import show

from support.process import succeed

ROUNDS = 15
BARE = Path(__file__).parent / "contenders/bare.py"


def main() -> None:
    with tempfile.TemporaryDirectory() as directory:
        project = rendered(Path(directory), upstreams="nobody=http://127.0.0.1:9")
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # it would prevent byte code
        sync = ["uv", "sync", "--quiet", "--no-dev", "--python", sys.executable]
        succeed(project, *sync)
        python = project / ".venv/bin/python"
        (project / "bare.py").write_text(BARE.read_text(encoding="utf-8"), encoding="utf-8")
        modules = {
            "bare FastAPI": ("bare", "bare"),
            "generated service": ("my_service", "my_service.app"),
        }
        measured: dict[str, dict[str, list[float]]] = {
            name: {"first_response_s": [], "import_s": [], "memory_mib": []} for name in modules
        }
        for turn in range(ROUNDS + 1):
            for name, (served, imported) in modules.items():
                started = time.perf_counter()
                succeed(project, python, "-c", f"import {imported}")
                import_s = time.perf_counter() - started
                started = time.perf_counter()
                with Process([python, "-m", served], directory=project) as process:
                    response_s = time.perf_counter() - started
                    memory_mib = process.memory_mib()
                if turn:  # the first round compiles
                    measured[name]["first_response_s"].append(round(response_s, 3))
                    measured[name]["import_s"].append(round(import_s, 3))
                    measured[name]["memory_mib"].append(round(memory_mib, 1))
            progress(f"{turn} of {ROUNDS} rounds")
    publish("startup", {"contenders": measured}, report)


def report(results: dict[str, Any]) -> str:
    rows = []
    for name, of in results["contenders"].items():
        medians = {key: statistics.median(values) for key, values in of.items()}
        seconds = (f"{medians[key]:.2f} s" for key in ("import_s", "first_response_s"))
        rows.append([name, *seconds, f"{medians['memory_mib']:.0f} MiB"])
    times = (show(ratios(results, key)) for key in ("import_s", "first_response_s", "memory_mib"))
    return table(["", "import", "first response", "memory"], *rows, ["ratio", *times])


def ratios(results: dict[str, Any], key: str) -> list[float]:
    """Return the ratio of the service to bare FastAPI in each round."""
    bare, service = results["contenders"].values()
    return [own / other for own, other in zip(service[key], bare[key], strict=True)]


if __name__ == "__main__":
    main()
