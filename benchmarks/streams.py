"""How fast are streamed responses and uploads, and what processor time and memory do they take?

The handlers relay a response of nginx chunk by chunk, or forward the request body to nginx while it
arrives. One worker each, 16 callers; alternating rounds as above. MB are millions of bytes.
"""

import sys
import tempfile
from collections import defaultdict
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from machine import (
    Process,
    call_service,
    nginx,
    parser,
    progress,
    publish,
    rendered,
    require,
    table,
)
from rounds import alternate, ratios, show, summarize
from throughput import SERVICE, USUAL

CALLERS = 16
UPLOAD_BYTES = 1_000_000
TRANSFERS = {
    "response of 100 kB": ("/external/stream", "large"),
    "response of 10 MB": ("/external/stream", "huge"),
    "upload of 1 MB": ("/upload", "upload"),
}
CONTENDERS = (*(name for name in USUAL if "shared" in name), SERVICE)
PROGRAMS = Path(__file__).parent / "contenders"


def main() -> None:
    options = parser(__doc__, "streams")
    options.add_argument("--seconds", type=int, default=3, help="length of each measurement")
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--transfers", nargs="+", default=list(TRANSFERS), choices=list(TRANSFERS))
    arguments = options.parse_args()
    require("nginx", "wrk")
    measured = defaultdict(list)
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        upstream = stack.enter_context(nginx(directory / "nginx"))
        project = rendered(directory / "project", upstreams="")
        contenders = {
            name: stack.enter_context(contender(name, project, upstream)) for name in CONTENDERS
        }
        cells = [(transfer, name) for transfer in arguments.transfers for name in contenders]
        for step, (transfer, name) in alternate(cells, arguments.rounds):
            path, file = TRANSFERS[transfer]
            upload_bytes = UPLOAD_BYTES if path == "/upload" else 0
            path = f"{path}?url={upstream}/{file}"
            cell = call_service(contenders[name], path, CALLERS, arguments.seconds, upload_bytes)
            sent = cell["requests"] * UPLOAD_BYTES if upload_bytes else cell["bytes"]
            cell["per_s"] = sent / 1e6 / cell["seconds"]
            cell["cpu_ms"] = cell.pop("cpu_s") / max(1, sent) * 1e9
            cell["others_percent"] = progress(
                f"{step}: {name}, {transfer}: {cell['per_s']:.0f} MB/s, {cell['cpu_ms']:.2f} ms/MB"
            )
            measured[transfer, name].append(cell)
    results = {
        "cells": [
            {"transfer": transfer, "contender": name, **summarize(rounds)}
            for (transfer, name), rounds in measured.items()
        ]
    }
    publish(arguments.output, results, report)


def contender(name: str, project: Path, upstream: str) -> Process:
    if name in USUAL:
        return Process([sys.executable, PROGRAMS / "usual.py", USUAL[name]])
    return Process(
        [sys.executable, PROGRAMS / "generated.py"],
        directory=project,
        PYTHONPATH="src",
        APP_UPSTREAMS__A__BASE_URL=upstream,
    )


def report(results: dict[str, Any]) -> str:
    found = {(cell["transfer"], cell["contender"]): cell for cell in results["cells"]}
    rows = [
        [
            transfer,
            name,
            f"{cell['per_s']:.0f} MB/s",
            f"{cell['cpu_ms']:.2f} ms",
            f"{cell['memory_mib']:.0f} MiB",
            show(ratios(found[transfer, SERVICE], cell, "per_s")) if name != SERVICE else "",
            cell["errors"],
            f"{cell['others_percent']:.0f}%",
        ]
        for (transfer, name), cell in found.items()
    ]
    head = ["through", "rate", "CPU per MB", "memory", "the service's rate, as a multiple"]
    return table(["", *head, "errors", "others"], *rows)


if __name__ == "__main__":
    main()
