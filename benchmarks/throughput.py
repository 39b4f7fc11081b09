"""How many calls a second does one worker make, and how long do they take?

The same handler, `GET /external?url=`, on the clients that people use and as generated, calling
one nginx, under wrk's load. All run side by side; the rounds go through them in turn, forwards
and backwards, so that what the machine does meanwhile befalls all of them. Linux only.
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

from machine import Process, nginx, parser, rendered, require, run_wrk, save, table
from plots import throughput_plot

CALLERS = (1, 16, 64, 256)
BODIES = {"small": "a small JSON document", "large": "a body of 100 kB"}
USUAL = {
    "a client per call": "per-call",
    "one shared httpx.AsyncClient": "httpx",
    "one shared httpx2.AsyncClient": "httpx2",
    "one shared aiohttp.ClientSession": "aiohttp",
    "no outbound call": "nothing",
}
GENERATED = {
    f"generated: {library} on {transport}": (library, transport)
    for library, transport in itertools.product(("httpx", "httpx2"), ("aiohttp", "httpcore"))
}


def main() -> None:
    arguments = parsed()
    require("nginx", "wrk")
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        upstream = stack.enter_context(nginx(directory / "nginx"))
        contenders = {
            name: stack.enter_context(process)
            for name, process in processes(directory, upstream).items()
            if arguments.only in name
        }
        cells = measure(contenders, upstream, arguments)
    results = {"seconds": arguments.seconds, "rounds": arguments.rounds, "cells": cells}
    print(report(results))
    save(arguments.output, results)
    for body in arguments.bodies:
        throughput_plot(cells, body, arguments.output)


def parsed() -> argparse.Namespace:
    options = parser(__doc__, "throughput")
    options.add_argument("--seconds", type=int, default=2, help="how long each sample is")
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--only", default="", help="contenders whose name has this")
    options.add_argument("--callers", type=int, nargs="+", default=CALLERS)
    options.add_argument("--bodies", nargs="+", default=list(BODIES), choices=list(BODIES))
    return options.parse_args()


def processes(directory: Path, upstream: str) -> dict[str, Process]:
    usual = {
        name: Process([sys.executable, Path(__file__).parent / "contenders/usual.py", client])
        for name, client in USUAL.items()
    }
    generated = {}
    for name, (library, transport) in GENERATED.items():
        project = rendered(
            directory / name,
            http_library=library,
            http_transport=transport,
            upstreams=f"nginx={upstream}",
        )
        command = [sys.executable, "-m", "my_service"]
        generated[name] = Process(command, directory=project, PYTHONPATH="src")
    return usual | generated


def measure(
    contenders: dict[str, Process], upstream: str, arguments: argparse.Namespace
) -> list[dict[str, Any]]:
    rounds = defaultdict(list)
    cells = list(itertools.product(arguments.bodies, arguments.callers, contenders))
    done = 0
    for turn in range(arguments.rounds):
        for body, callers, name in cells if turn % 2 == 0 else cells[::-1]:
            done += 1
            progress = f"{done} of {len(cells) * arguments.rounds}"
            print(f"{progress}: {name}, {callers} callers, {body} body", end="", file=sys.stderr)
            process = contenders[name]
            cpu = process.cpu_s()
            url = f"{process.url}/external?url={upstream}/{body}"
            sample = run_wrk(url, callers, arguments.seconds)
            sample["cpu_us"] = (process.cpu_s() - cpu) / max(1, sample["requests"]) * 1e6
            sample["memory_mib"] = process.memory_mib()
            rounds[body, callers, name].append(sample)
            process.settle()
            print(
                f": {sample['per_s']:.0f}/s, {sample['cpu_us']:.0f} µs",
                file=sys.stderr,
                flush=True,
            )
    return [
        {"body": body, "callers": callers, "contender": name}
        | {key: statistics.median(sample[key] for sample in measured) for key in measured[0]}
        | {"errors": sum(sample["errors"] for sample in measured)}
        for (body, callers, name), measured in rounds.items()
    ]


def report(results: dict[str, Any]) -> str:
    parts = []
    for body in dict.fromkeys(cell["body"] for cell in results["cells"]):
        parts += [f"With {BODIES[body]}, requests per second:", rates(results, body)]
    return "\n\n".join(
        [*parts, "The default service against the others, with JSON:", ratios(results)]
    )


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
            ]
        )
    head = [callers_text(number) for number in callers]
    more = [f"p50 of {most}", f"p99 of {most}", "CPU per request", "memory", "errors"]
    return table(["handler calls the upstream with", *head, *more], *rows)


def ratios(results: dict[str, Any]) -> str:
    cells = [cell for cell in results["cells"] if cell["body"] == "small"]
    callers = list(dict.fromkeys(cell["callers"] for cell in cells))
    found = {(cell["contender"], cell["callers"]): cell for cell in cells}
    service, *_ = GENERATED
    rows = []
    for name in (name for name in USUAL if (name, callers[0]) in found):
        of = [(found[service, number], found[name, number]) for number in callers]
        times = (f"{own['per_s'] / other['per_s']:.2f}" for own, other in of)
        own, other = of[-1]
        rows.append([name, *times, f"{own['memory_mib'] / other['memory_mib']:.2f}"])
    head = (callers_text(number) for number in callers)
    return table(["requests per second, as a multiple of", *head, "memory"], *rows)


def callers_text(number: int) -> str:
    return f"{number} caller{'' if number == 1 else 's'}"


if __name__ == "__main__":
    main()
