"""How long does the service take to its first answer, beside a bare FastAPI application?

Both run in the environment that `uv sync --no-dev` makes of the generated project. Starts each in
turn as a process, asks until it answers, and reads how much memory it has.
"""

import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from machine import Process, rendered, save, table

from support.process import succeed

ROUNDS = 15
BARE = Path(__file__).parent / "contenders/bare.py"


def main() -> None:
    with tempfile.TemporaryDirectory() as directory:
        project = rendered(Path(directory), upstreams="nobody=http://127.0.0.1:9")
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # or nothing would be compiled beforehand
        sync = ["uv", "sync", "--quiet", "--no-dev", "--python", sys.executable]
        succeed(project, *sync)
        python = project / ".venv/bin/python"
        (project / "bare.py").write_text(BARE.read_text(encoding="utf-8"), encoding="utf-8")
        modules = {
            "bare FastAPI": ("bare", "bare"),
            "generated service": ("my_service", "my_service.app"),
        }
        measured: dict[str, dict[str, list[float]]] = {
            name: {"first_answer_s": [], "import_s": [], "memory_mib": []} for name in modules
        }
        for turn in range(ROUNDS + 1):
            print(f"\r{turn} of {ROUNDS} rounds", end="", file=sys.stderr, flush=True)
            for name, (served, imported) in modules.items():
                started = time.perf_counter()
                succeed(project, python, "-c", f"import {imported}")
                import_s = time.perf_counter() - started
                started = time.perf_counter()
                with Process([python, "-m", served], directory=project) as process:
                    answered_s = time.perf_counter() - started
                    memory_mib = process.memory_mib()
                if turn:  # the first compiles
                    measured[name]["first_answer_s"].append(answered_s)
                    measured[name]["import_s"].append(import_s)
                    measured[name]["memory_mib"].append(memory_mib)
        print(file=sys.stderr)
    medians = {
        name: {key: round(statistics.median(values), 3) for key, values in each.items()}
        for name, each in measured.items()
    }
    print(report(medians))
    save("startup", medians)


def report(results: dict[str, Any]) -> str:
    bare, service = results["bare FastAPI"], results["generated service"]
    rows = [
        [
            name,
            f"{of['import_s']:.2f} s",
            f"{of['first_answer_s']:.2f} s",
            f"{of['memory_mib']:.0f} MiB",
        ]
        for name, of in (("bare FastAPI", bare), ("generated service", service))
    ]
    times = (
        f"{service[key] / bare[key]:.2f}" for key in ("import_s", "first_answer_s", "memory_mib")
    )
    return table(["", "import", "first answer", "memory"], *rows, ["ratio", *times])


if __name__ == "__main__":
    main()
