"""How many calls a second does one worker make, and how long do they take?

The same handler calls nginx through each common client, and through the client of a generated
service with all its default layers. `/external` of the service checks the caller's URL, which costs
less than the other handler's injected client. wrk generates the load. All contenders run side by
side. Each round visits them in order and then in reverse, so background load affects all of them
equally. `others` is the highest share of the CPU that other processes used during a row's
measurements: distrust a row where it is high. Linux only.
"""

import argparse
import itertools
import statistics
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
from plots import throughput_plot
from rounds import alternate, ratios, show, summarize

CALLERS = {"small": (1, 16, 64, 256), "large": (64,)}
BODIES = {"small": "a small JSON document", "large": "a body of 100 kB"}
PER_CALL = "a client per call"
USUAL = {
    PER_CALL: "per-call",
    "one shared httpx.AsyncClient": "httpx",
    "one shared httpx2.AsyncClient": "httpx2",
    "one shared aiohttp.ClientSession": "aiohttp",
    "no outbound call": "nothing",
}
GENERATED = {
    f"generated: {library} on {transport}": (library, transport)
    for library, transport in itertools.product(("httpx", "httpx2"), ("aiohttp", "httpcore"))
}
SERVICE, *_ = GENERATED
EXTERNAL = "generated: /external"


def main() -> None:
    arguments = parsed()
    require("nginx", "wrk")
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        upstream = stack.enter_context(nginx(directory / "nginx"))
        names = [name for name in (*USUAL, *GENERATED, EXTERNAL) if arguments.only in name]
        contenders = {
            name: stack.enter_context(process)
            for name, process in processes(directory, upstream, names).items()
        }
        cells = measure(contenders, upstream, arguments)
    results = {"seconds": arguments.seconds, "rounds": arguments.rounds, "cells": cells}
    publish(arguments.output, results, report)
    throughput_plot([cell for cell in cells if cell["body"] == "small"], arguments.output)


def parsed() -> argparse.Namespace:
    options = parser(__doc__, "throughput")
    options.add_argument("--seconds", type=int, default=2, help="length of each measurement")
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--only", default="", help="part of the contenders' names")
    options.add_argument("--callers", type=int, nargs="+", help="the default depends on the body")
    options.add_argument("--bodies", nargs="+", default=list(BODIES), choices=list(BODIES))
    return options.parse_args()


def processes(
    directory: Path, upstream: str, names: list[str], python: str | Path = sys.executable
) -> dict[str, Process]:
    return {name: process(directory / name, upstream, name, python) for name in names}


def process(directory: Path, upstream: str, name: str, python: str | Path) -> Process:
    if name in USUAL:
        return Process([python, Path(__file__).parent / "contenders/usual.py", USUAL[name]])
    library, transport = GENERATED.get(name, GENERATED[SERVICE])
    answers = {"http_library": library, "http_transport": transport}
    project = rendered(directory, **answers, upstreams=f"nginx={upstream}")
    called = Path(__file__).parent / "contenders/call.py"
    command = ["-m", "my_service"] if name == EXTERNAL else [called]
    return Process([python, *command], directory=project, PYTHONPATH="src")


def measure(
    contenders: dict[str, Process], upstream: str, arguments: argparse.Namespace
) -> list[dict[str, Any]]:
    measured = defaultdict(list)
    cells = [
        (body, callers, name)
        for body in arguments.bodies
        for callers in arguments.callers or CALLERS[body]
        for name in contenders
    ]
    for step, (body, callers, name) in alternate(cells, arguments.rounds):
        handler = "call" if name.startswith(tuple(GENERATED)) else "external"
        path = f"/{handler}?url={upstream}/{body}"
        # Its calls take seconds, so it needs longer measurements.
        seconds = arguments.seconds * (4 if name == PER_CALL else 1)
        cell = call_service(contenders[name], path, callers, seconds)
        cell["cpu_us"] = cell.pop("cpu_s") / max(1, cell["requests"]) * 1e6
        what = f"{name}, {callers_label(callers)}, {body} body"
        cell["others_percent"] = progress(
            f"{step}: {what}: {cell['per_s']:.0f}/s, {cell['cpu_us']:.0f} µs"
        )
        measured[body, callers, name].append(cell)
    return [
        {"body": body, "callers": callers, "contender": name, **summarize(rounds)}
        for (body, callers, name), rounds in measured.items()
    ]


def report(results: dict[str, Any]) -> str:
    parts = []
    python = results["machine"]["Python"]
    for body in dict.fromkeys(cell["body"] for cell in results["cells"]):
        parts += [
            f"With {BODIES[body]}, requests per second on Python {python}:",
            rates(results, body),
        ]
    if any(cell["contender"] == SERVICE for cell in results["cells"]):
        parts += [
            "The default service against the others, with JSON: the median ratio of all rounds, "
            "with its range:",
            comparison(results),
        ]
    return "\n\n".join(parts)


def rates(results: dict[str, Any], body: str) -> str:
    cells = [cell for cell in results["cells"] if cell["body"] == body]
    callers = list(dict.fromkeys(cell["callers"] for cell in cells))
    most = callers[-1]
    rows = []
    for name in dict.fromkeys(cell["contender"] for cell in cells):
        own = {cell["callers"]: cell for cell in cells if cell["contender"] == name}
        cpu_us = statistics.median(cell["cpu_us"] for cell in own.values())
        rows.append(
            [
                name,
                *(f"{cell['per_s']:.0f}" for cell in own.values()),
                f"{own[most]['p50_us'] / 1000:.0f} ms",
                f"{own[most]['p99_us'] / 1000:.0f} ms",
                f"{cpu_us:.0f} µs",
                f"{own[most]['memory_mib']:.0f} MiB",
                sum(cell["errors"] for cell in own.values()),
                f"{max(cell['others_percent'] for cell in own.values()):.0f}%",
            ]
        )
    head = [callers_label(number) for number in callers]
    more = [f"p50 of {most}", f"p99 of {most}", "CPU per request", "memory", "errors", "others"]
    return table(["handler calls the upstream with", *head, *more], *rows)


def comparison(results: dict[str, Any]) -> str:
    cells = [cell for cell in results["cells"] if cell["body"] == "small"]
    callers = list(dict.fromkeys(cell["callers"] for cell in cells))
    found = {(cell["contender"], cell["callers"]): cell for cell in cells}
    rows = []
    for name in (name for name in USUAL if (name, callers[0]) in found):
        of = [(found[SERVICE, number], found[name, number]) for number in callers]
        times = (show(ratios(own, other, "per_s")) for own, other in of)
        rows.append([name, *times, show(ratios(*of[-1], "memory_mib"))])
    head = (callers_label(number) for number in callers)
    return table(["requests per second, as a multiple of", *head, "memory"], *rows)


def callers_label(number: int) -> str:
    return f"{number} caller{'' if number == 1 else 's'}"


if __name__ == "__main__":
    main()
