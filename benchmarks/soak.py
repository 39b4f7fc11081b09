"""Does the service leak memory or descriptors under load and faults?

32 callers call two upstreams through it. One responds well, and gets nine calls of ten. The other
resets, drops, truncates and stalls; the callers of hanging requests leave early. The exit code is 1
if memory or descriptors keep growing after a quarter of the calls.
"""

import asyncio
import os
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import aiohttp
import uvloop
from machine import OTHER_CORES, Process, parser, progress, publish, rendered, table

from support.generated import misbehaving_upstream

CALLERS = 32
FAULTS = (
    "/reset",
    "/drop",
    "/garbage",
    "/short",
    "/undecodable",
    "/keep-alive-cut",
    "/flaky/2",
    "/gzip/1000000",
    "/hang",  # its callers leave
)
SAMPLES = 20
MORE_MIB = 8
"""Growth that counts as flat, because the memory that an allocator keeps varies."""
MORE_DESCRIPTORS = 2 * CALLERS


def main() -> None:
    options = parser(__doc__, "soak")
    options.add_argument("--calls", type=int, default=200_000)
    options.add_argument(
        "--more-mib", type=float, default=MORE_MIB, help="growth that is still flat"
    )
    arguments = options.parse_args()
    os.sched_setaffinity(0, OTHER_CORES)
    with tempfile.TemporaryDirectory() as directory:
        project = rendered(Path(directory), upstreams="")
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            samples, ends = runner.run(soak(project, arguments.calls))
    results = {"samples": samples, "ends": dict(ends.most_common())}
    publish(arguments.output, results, report)
    early = samples[SAMPLES // 4]
    for late in samples[-2:]:  # the last under load, and the one at rest
        if (
            late["memory_mib"] > early["memory_mib"] + arguments.more_mib
            or late["descriptors"] > early["descriptors"] + MORE_DESCRIPTORS
        ):
            sys.exit(f"Not flat: {early}, then {late}.")


async def soak(project: Path, calls: int) -> tuple[list[dict[str, Any]], Counter[str]]:
    upstream = misbehaving_upstream(project)
    ends = Counter[str]()
    samples: list[dict[str, Any]] = []
    timeout = aiohttp.ClientTimeout(total=60)
    async with upstream() as good, upstream() as bad, aiohttp.ClientSession() as session:
        service = Process(
            [sys.executable, "-m", "my_service"],
            directory=project / "src",
            APP_UPSTREAMS__GOOD__BASE_URL=good.url,
            APP_UPSTREAMS__BAD__BASE_URL=bad.url,
            APP_UPSTREAMS__BAD__TOTAL_TIMEOUT_S="2",
            APP_UPSTREAMS__BAD__BREAKER_FAILURE_RATIO="none",  # or it would skip most
        )
        await asyncio.to_thread(service.__enter__)
        todo = iter(range(calls))

        async def caller() -> None:
            for number in todo:
                if number % (calls // SAMPLES) == 0:
                    samples.append(
                        {
                            "calls": number,
                            "memory_mib": round(service.memory_mib(), 1),
                            "descriptors": service.descriptors(),
                        }
                    )
                    progress(f"{number} of {calls}: {samples[-1]}")
                fault = FAULTS[number // 10 % len(FAULTS)] if number % 10 == 0 else ""
                stream = "/stream" if number % 7 == 0 else ""
                url = f"{bad.url}{fault}" if fault else f"{good.url}/"
                own = aiohttp.ClientTimeout(total=0.2) if fault == "/hang" else timeout
                try:
                    async with session.get(
                        f"{service.url}/external{stream}", params={"url": url}, timeout=own
                    ) as response:
                        await response.read()
                        ends[str(response.status)] += 1
                except (aiohttp.ClientError, TimeoutError) as error:
                    ends[type(error).__name__] += 1

        try:
            await asyncio.gather(*(caller() for _ in range(CALLERS)))
            await asyncio.sleep(6)  # until idle connections are closed
            samples.append(
                {
                    "calls": calls,
                    "memory_mib": round(service.memory_mib(), 1),
                    "descriptors": service.descriptors(),
                }
            )
        finally:
            service.__exit__()
    return samples, ends


def report(results: dict[str, Any]) -> str:
    rows = (
        [sample["calls"], f"{sample['memory_mib']:.0f} MiB", sample["descriptors"]]
        for sample in results["samples"]
    )
    ends = ", ".join(f"{number} {end}" for end, number in results["ends"].items())
    return f"{table(['calls', 'memory', 'descriptors'], *rows)}\n\nHow the calls ended: {ends}."


if __name__ == "__main__":
    main()
