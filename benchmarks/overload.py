"""How does the service behave when load exceeds the upstream's capacity?

The upstream serves 20 concurrent requests in 100 ms each, which is 200 a second; others queue.
Calls arrive at a fixed rate, and their callers leave after 2 seconds. Goodput counts the calls that
succeed in time. The generated service has MAX_CONNECTIONS=20.
"""

import asyncio
import os
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
from plots import overload_plot

SLOTS = 20
CAPACITY_PER_S = 200
LOADS = (0.5, 0.75, 1, 1.5, 2, 3, 4)
LEAVE_AFTER_S = 2
MEASURED_S = 10
CONTENDERS = ("plain shared client", "generated service")
PROGRAMS = Path(__file__).parent / "contenders"


def main() -> None:
    options = parser(__doc__, "overload")
    options.add_argument("--loads", type=float, nargs="+", default=LOADS)
    options.add_argument("--only", nargs="+", default=CONTENDERS, choices=CONTENDERS)
    options.add_argument("--seconds", type=float, default=MEASURED_S, help="length of each load")
    arguments = options.parse_args()
    os.sched_setaffinity(0, OTHER_CORES)
    rows = []
    for load in arguments.loads:
        for name in arguments.only:
            # New processes for each, so that no load pays for the backlog of another.
            with tempfile.TemporaryDirectory() as directory, ExitStack() as stack:
                command = [sys.executable, str(PROGRAMS / "slow_upstream.py"), str(SLOTS)]
                upstream = stack.enter_context(Process(command, cores=OTHER_CORES))
                service = stack.enter_context(contender(name, Path(directory), upstream.url))
                with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                    url = f"{service.url}/external?url={upstream.url}/"
                    row = runner.run(offered(url, load * CAPACITY_PER_S, arguments.seconds))
            rows.append({"contender": name, "load": load, **row})
            progress(f"{load:g} times, {name}: {row}")
    results = {"capacity_per_s": CAPACITY_PER_S, "rows": rows}
    publish(arguments.output, results, report)
    overload_plot(rows, CAPACITY_PER_S, arguments.output)


def contender(name: str, directory: Path, upstream: str) -> Process:
    if name == "plain shared client":
        return Process([sys.executable, PROGRAMS / "usual.py", "httpx"])
    return Process(
        [sys.executable, "-m", "my_service"],
        directory=rendered(directory, upstreams=f"slow={upstream}") / "src",
        APP_UPSTREAMS__SLOW__MAX_CONNECTIONS=str(SLOTS),
    )


async def offered(url: str, per_s: float, measured_s: float) -> dict[str, Any]:
    """Make calls at this rate, and count how those after the warm-up end."""
    warm_up_s = measured_s / 2
    ends: dict[str, list[float]] = defaultdict(list)
    connector = aiohttp.TCPConnector(limit=0)
    timeout = aiohttp.ClientTimeout(total=LEAVE_AFTER_S)

    async def call(measured: bool) -> None:
        started = time.perf_counter()
        try:
            async with session.get(url) as response:
                await response.read()
                end = {200: "answered", 503: "rejected"}.get(response.status, "failed")
        except TimeoutError:
            end = "left"
        except aiohttp.ClientError:
            end = "failed"
        if measured:
            ends[end].append(time.perf_counter() - started)

    async with (
        aiohttp.ClientSession(connector=connector, timeout=timeout) as session,
        asyncio.TaskGroup() as calls,
    ):
        begun = time.perf_counter()
        for number in range(int(per_s * (warm_up_s + measured_s))):
            await asyncio.sleep(begun + number / per_s - time.perf_counter())
            calls.create_task(call(measured=number >= per_s * warm_up_s))
    answered, rejected = ends["answered"] or [0.0], ends["rejected"] or [0.0]
    return {
        "goodput_per_s": round(len(ends["answered"]) / measured_s, 1),
        "rejected_per_s": round(len(ends["rejected"]) / measured_s, 1),
        "left_per_s": round(len(ends["left"]) / measured_s, 1),
        "failed_per_s": round(len(ends["failed"]) / measured_s, 1),
        "answered_p99_s": round(statistics.quantiles([*answered, *answered], n=100)[98], 2),
        "rejected_p99_s": round(statistics.quantiles([*rejected, *rejected], n=100)[98], 2),
    }


def report(results: dict[str, Any]) -> str:
    head = ["load", "", "answered", "503", "left", "p99 of answers", "p99 of 503"]
    return table(
        head,
        *(
            [
                f"{row['load']:g}",
                row["contender"],
                *(f"{row[f'{end}_per_s']:.0f}/s" for end in ("goodput", "rejected", "left")),
                f"{row['answered_p99_s']:.2f} s",
                f"{row['rejected_p99_s']:.2f} s" if row["rejected_per_s"] else "",
            ]
            for row in results["rows"]
        ),
    )


if __name__ == "__main__":
    main()
