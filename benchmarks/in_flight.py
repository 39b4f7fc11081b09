"""How much memory does a call in flight take?

1,000 callers call concurrently, through a new process, an upstream that responds after 5 seconds.
The figure is the growth of the resident memory while all are in flight, divided by 1,000. It
includes the caller's own connection, which the handler that only sleeps shows. All clients may
have 1,000 connections, and the plain ones have no timeouts.
"""

import asyncio
import os
import resource
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import aiohttp
import uvloop
from machine import OTHER_CORES, Process, parser, progress, publish, rendered, table
from rounds import alternate
from throughput import SERVICE, USUAL

SLEEPING = "no outbound call: the handler sleeps"
CONTENDERS = {SLEEPING: "sleep"} | {
    name: kind for name, kind in USUAL.items() if name.startswith("one shared")
}
WARM_UP_CALLS = 100
PROGRAMS = Path(__file__).parent / "contenders"


def main() -> None:
    options = parser(__doc__, "in_flight")
    options.add_argument("--calls", type=int, default=1000)
    options.add_argument("--seconds", type=float, default=5, help="how long the upstream takes")
    options.add_argument("--rounds", type=int, default=2)
    options.add_argument("--only", default="", help="part of the contenders' names")
    arguments = options.parse_args()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # a call takes two in the service
    os.sched_setaffinity(0, OTHER_CORES)
    measured: dict[str, list[dict[str, float]]] = defaultdict(list)
    names = [name for name in (*CONTENDERS, SERVICE) if arguments.only in name]
    for step, name in alternate(names, arguments.rounds):
        with tempfile.TemporaryDirectory() as directory, ExitStack() as stack:
            command = (sys.executable, PROGRAMS / "slow_upstream.py", str(arguments.calls))
            upstream = stack.enter_context(Process(command, cores=OTHER_CORES))
            service = contender(name, Path(directory), upstream.url, arguments.calls)
            stack.enter_context(service)
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                url = f"{service.url}/external?url={upstream.url}"
                each = runner.run(hold(service, url, arguments.calls, arguments.seconds))
        measured[name].append(each)
        each["others_percent"] = progress(f"{step}: {name}: {each['kib_per_call']:.1f} KiB")
    publish(arguments.output, {"calls": arguments.calls, "contenders": measured}, report)


def contender(name: str, directory: Path, upstream: str, calls: int) -> Process:
    if name in CONTENDERS:
        return Process([sys.executable, PROGRAMS / "usual.py", CONTENDERS[name], str(calls)])
    return Process(
        [sys.executable, "-m", "my_service"],
        directory=rendered(directory, upstreams=f"slow={upstream}"),
        PYTHONPATH="src",
        APP_UPSTREAMS__SLOW__MAX_CONNECTIONS=str(calls),
    )


async def hold(service: Process, url: str, calls: int, seconds: float) -> dict[str, float]:
    """Make the calls, and read the service's memory while all of them are in flight."""
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector) as session:

        async def call(seconds: float) -> int:
            async with session.get(f"{url}/{seconds:g}") as response:
                await response.read()
                return response.status

        for _ in range(WARM_UP_CALLS):
            await call(0)
        before_mib, idle = service.memory_mib(), service.descriptors()
        started = time.perf_counter()
        pending = [asyncio.create_task(call(seconds)) for _ in range(calls)]
        during_mib, descriptors = before_mib, idle
        while not any(task.done() for task in pending):
            during_mib = max(during_mib, service.memory_mib())
            descriptors = max(descriptors, service.descriptors())
            await asyncio.sleep(0.1)
        statuses = await asyncio.gather(*pending)
    return {
        "kib_per_call": round((during_mib - before_mib) * 1024 / calls, 1),
        "before_mib": round(before_mib, 1),
        "during_mib": round(during_mib, 1),
        "descriptors_per_call": round((descriptors - idle) / calls, 2),
        "answered_s": round(time.perf_counter() - started, 2),
        "errors": sum(status != 200 for status in statuses),
    }


def report(results: dict[str, Any]) -> str:
    rows = []
    for name, rounds in results["contenders"].items():
        median = {key: statistics.median(each[key] for each in rounds) for key in rounds[0]}
        values = [each["kib_per_call"] for each in rounds]
        rows.append(
            [
                name,
                f"{median['kib_per_call']:.1f} KiB ({min(values):.1f} to {max(values):.1f})",
                f"{median['before_mib']:.0f} MiB",
                f"{median['during_mib']:.0f} MiB",
                f"{median['descriptors_per_call']:.1f}",
                f"{median['answered_s']:.1f} s",
                sum(each["errors"] for each in rounds),
                f"{max(each['others_percent'] for each in rounds):.0f}%",
            ]
        )
    head = ["per call in flight", "before", "during", "sockets per call", "all answered after"]
    return table([f"{results['calls']} calls through", *head, "errors", "others"], *rows)


if __name__ == "__main__":
    main()
