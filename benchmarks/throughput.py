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

from machine import Process, nginx, rendered, require, run_wrk, save
from plots import throughput_plot

CALLERS = (1, 16, 64, 256)
BODIES = {"small": "a JSON document of 60 bytes", "large": "a body of 100 kB"}
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
    save(
        arguments.output,
        {"seconds": arguments.seconds, "rounds": arguments.rounds, "cells": cells},
    )
    for body in arguments.bodies:
        print(f"\n{BODIES[body].capitalize()}:\n")
        print_table([cell for cell in cells if cell["body"] == body], arguments.callers)
        throughput_plot(cells, body, arguments.output)
    print_ratios(cells)


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=4, help="how long each measurement is")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="", help="contenders whose name has this")
    parser.add_argument("--callers", type=int, nargs="+", default=CALLERS)
    parser.add_argument("--bodies", nargs="+", default=list(BODIES), choices=list(BODIES))
    parser.add_argument("--output", default="throughput")
    return parser.parse_args()


def processes(directory: Path, upstream: str) -> dict[str, Process]:
    usual = {
        name: Process([sys.executable, Path(__file__).parent / "contenders/usual.py", client])
        for name, client in USUAL.items()
    }
    generated = {}
    for name, (library, transport) in GENERATED.items():
        project = rendered(
            directory / name,
            f"http_library={library}",
            f"http_transport={transport}",
            f"upstreams=nginx={upstream}",
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
            place = f"{done} of {len(cells) * arguments.rounds}"
            print(f"{place}: {name}, {callers} callers, {body} body", end="", file=sys.stderr)
            process = contenders[name]
            cpu = process.cpu_s()
            url = f"{process.url}/external?url={upstream}/{body}"
            told = run_wrk(url, callers, arguments.seconds)
            told["cpu_us"] = (process.cpu_s() - cpu) / max(1, told["requests"]) * 1e6
            told["memory_mib"] = process.memory_mib()
            rounds[body, callers, name].append(told)
            process.settle()
            print(f": {told['per_s']:.0f}/s, {told['cpu_us']:.0f} µs", file=sys.stderr, flush=True)
    return [
        {"body": body, "callers": callers, "contender": name}
        | {key: statistics.median(told[key] for told in measured) for key in measured[0]}
        | {"errors": sum(told["errors"] for told in measured)}
        for (body, callers, name), measured in rounds.items()
    ]


def print_table(cells: list[dict[str, Any]], callers: list[int]) -> None:
    most = max(callers)
    print(
        f"| requests per second with … callers | {' | '.join(map(str, callers))} "
        f"| p99 with {most} | CPU per request | memory | errors |"
    )
    print("|---" * (len(callers) + 5) + "|")
    for name in dict.fromkeys(cell["contender"] for cell in cells):
        own = {cell["callers"]: cell for cell in cells if cell["contender"] == name}
        rates = " | ".join(f"{own[number]['per_s']:.0f}" for number in callers)
        last = own[most]
        cpu_us = statistics.median(cell["cpu_us"] for cell in own.values())
        print(
            f"| {name} | {rates} | {last['p99_us'] / 1e6:.2f} s | {cpu_us:.0f} µs "
            f"| {last['memory_mib']:.0f} MiB | {sum(cell['errors'] for cell in own.values())} |"
        )


def print_ratios(cells: list[dict[str, Any]]) -> None:
    """The default service against the others, for the small body."""
    found = {
        (cell["contender"], cell["callers"]): cell for cell in cells if cell["body"] == "small"
    }
    service, *_ = GENERATED
    print(f"\n| {service}, with … callers, against | requests per second | memory |")
    print("|---|---|---|")
    for name in USUAL:
        for (other, callers), cell in found.items():
            if other == name and (own := found.get((service, callers))):
                rate = own["per_s"] / cell["per_s"]
                memory = own["memory_mib"] / cell["memory_mib"]
                print(f"| {name}, {callers} | {rate:.2f} | {memory:.2f} |")


if __name__ == "__main__":
    main()
