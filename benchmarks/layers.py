"""What does each layer of the managed client cost, and where does the time of a call go?

16 tasks in one process call nginx: first through aiohttp alone, then through httpx on the
transport, then through the client with one more layer each time, from the innermost outwards.
"""

# ruff: noqa: PLC0415 - the package exists only after rendering

import asyncio
import cProfile
import logging.config
import os
import pstats
import re
import statistics
import sys
import tempfile
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from time import process_time
from typing import Any

import aiohttp
import httpx
import uvloop
from machine import SERVICE_CORES, nginx, parser, rendered, require, save, table

CALLERS = 16
CALLS = 250

Call = Callable[[], Awaitable[object]]


def main() -> None:
    options = parser(__doc__, "layers")
    options.add_argument("--rounds", type=int, default=9)
    arguments = options.parse_args()
    require("nginx")
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        with nginx(directory / "nginx") as upstream:
            os.sched_setaffinity(0, SERVICE_CORES)
            project = rendered(directory / "project", upstreams=f"nginx={upstream}")
            sys.path.insert(0, str(project / "src"))
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                results = runner.run(measure(upstream, directory / "log", arguments.rounds))
    print(report(results))
    save(arguments.output, results)


async def measure(upstream: str, log: Path, rounds: int) -> dict[str, Any]:
    from my_service.http_client.pipeline import build
    from my_service.http_client.transport.pool import PoolTransport
    from my_service.log import config
    from my_service.settings import Settings

    settings = Settings(upstreams={"nginx": {"base_url": upstream}})
    with log.open("w") as sink:
        sys.stdout, stdout = sink, sys.stdout
        logging.config.dictConfig(config("INFO", "json"))
        sys.stdout = stdout
        async with (
            aiohttp.ClientSession() as session,
            PoolTransport(settings.upstreams["nginx"]) as transport,
            httpx.AsyncClient(transport=transport) as bare,
        ):

            async def call_by_aiohttp() -> None:
                async with session.get(f"{upstream}/small") as response:
                    await response.read()

            calls: dict[str, Call] = {
                "aiohttp alone": call_by_aiohttp,
                "httpx.AsyncClient on the transport": lambda: bare.get(f"{upstream}/small"),
            }
            whole = build("nginx", settings, transport)
            names = [type(layer).__name__ for layer in layers_of(whole)]
            innermost = f"the client with CallScope and {names[-1]}"
            for position, name in reversed(list(enumerate(names))):
                stack = build("nginx", settings, transport)
                scope_of(stack).inner = layers_of(stack)[position]
                calls[innermost if name == names[-1] else name] = with_path(stack.client.get)
            costs = await costs_of(calls, rounds)
            shares = await profile(calls[names[0]])
    return {"us_per_call": costs, "share_of_own_time": shares}


def scope_of(stack: Any) -> Any:
    """Return the outermost layer, which httpx sees as the client's transport."""
    return stack.client._transport


def layers_of(stack: Any) -> list[Any]:
    """Return the layers within CallScope, in the order of pipeline.py."""
    layers = [scope_of(stack).inner]
    while hasattr(layers[-1], "inner"):
        layers.append(layers[-1].inner)
    return layers


def with_path(get: Any) -> Call:
    return lambda: get("/small")


async def costs_of(calls: dict[str, Call], rounds: int) -> dict[str, float]:
    measured: dict[str, list[float]] = {name: [] for name in calls}
    for turn in range(rounds + 1):
        print(f"\r{turn} of {rounds} rounds", end="", file=sys.stderr, flush=True)
        for name, call in calls.items():
            started = process_time()
            await many(call)
            if turn:  # the first round opens connections and fills caches
                measured[name].append((process_time() - started) / CALLERS / CALLS * 1e6)
    print(file=sys.stderr)
    return {name: round(statistics.median(costs), 1) for name, costs in measured.items()}


async def many(call: Call) -> None:
    async def one_caller() -> None:
        for _ in range(CALLS):
            await call()

    await asyncio.gather(*(one_caller() for _ in range(CALLERS)))


async def profile(call: Call) -> dict[str, float]:
    """Return each package's share of the time of a call, in percent, as cProfile reports it."""
    profiler = cProfile.Profile()
    with profiler:
        await many(call)
    own = Counter[str]()
    for (file, _, _), (_, _, own_s, _, _) in pstats.Stats(profiler).stats.items():  # type: ignore[attr-defined]
        own[package_of(file)] += own_s
    total = own.total()
    return {name: round(own_s / total * 100, 1) for name, own_s in own.most_common(10)}


def package_of(file: str) -> str:
    if found := re.search(r"(?:site-packages|src)/(\w+)", file):
        return found[1]
    return "C code" if file.startswith(("~", "<")) else "Python's own library"


def report(results: dict[str, Any]) -> str:
    costs: dict[str, float] = results["us_per_call"]
    rows = [
        [name, f"{cost:.0f}", f"{cost - before:+.0f}"]
        for (name, cost), before in zip(costs.items(), [0, *costs.values()], strict=False)
    ]
    _, bare, client, *_, full = costs.values()
    shares = ((name, f"{share:.0f}%") for name, share in results["share_of_own_time"].items())
    return "\n\n".join(
        [
            "Processor time of a call. Each row after the third adds one layer:",
            table(["a call through", "µs", "added"], *rows),
            f"The whole client takes {full / bare:.2f} times as long as httpx on the transport, "
            f"and {full / client:.2f} times as long as the client with its innermost layer alone.",
            "The share of each package in the time of a whole call, as cProfile reports it:",
            table(["package", "share"], *shares),
        ]
    )


if __name__ == "__main__":
    main()
