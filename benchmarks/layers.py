"""What does each layer of the managed client cost, and where does the time of a call go?

16 tasks in one process call nginx: first through aiohttp alone, then through httpx on the
transport, then through the client with one more layer each time, from the innermost outwards. The
project has every feature. The rate limit is never reached, telemetry is not exported, and cache,
access tokens and shared state are off. Deadline reads the body, at less cost than httpx, which
reads it in the rows before. The last row is the service's middleware, around a request that does
nothing.
"""

# ruff: noqa: PLC0415 - the package exists only after rendering

import argparse
import asyncio
import cProfile
import json
import os
import pstats
import re
import statistics
import sys
import tempfile
from collections import Counter
from collections.abc import Awaitable, Callable
from operator import sub
from pathlib import Path
from time import process_time
from typing import Any

import aiohttp
import httpx
import uvloop
from machine import SERVICE_CORES, nginx, parser, progress, publish, rendered, require, table

from answers.features import FEATURES
from answers.questions import PROJECT_DIRECTORY
from support.repository import ROOT

CALLERS = 16
MIDDLEWARE = "RequestMiddleware (request id, access line)"

# Features that the default project does not have.
DEFAULT = json.loads((ROOT / "cookiecutter.json").read_text(encoding="utf-8"))["features"]
EXTRA = {"telemetry", *FEATURES} - set(DEFAULT.split(", "))

Call = Callable[[], Awaitable[object]]


def main() -> None:
    options = parser(__doc__, "layers")
    options.add_argument("--rounds", type=int, default=9)
    options.add_argument("--calls", type=int, default=250, help="of each caller, in each round")
    arguments = options.parse_args()
    require("nginx")
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        with nginx(directory / "nginx") as upstream:
            os.sched_setaffinity(0, SERVICE_CORES)
            project = rendered(directory / "project", features=", ".join(FEATURES), telemetry=True)
            sys.path.insert(0, str(project / "src"))
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                results = runner.run(measure(upstream, directory / "log", arguments))
    publish(arguments.output, results, report)


async def measure(upstream: str, log: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    from my_service import telemetry
    from my_service.http_client.pipeline import build
    from my_service.http_client.transport.pool import PoolTransport
    from my_service.log import configure
    from my_service.settings import Settings

    telemetry.config()  # sets up the SDK
    nginx = {"base_url": upstream, "rate_limit": "999999/second"}
    settings = Settings(upstreams={"nginx": nginx})
    with log.open("w") as sink:
        sys.stdout, stdout = sink, sys.stdout
        configure("INFO", "json")
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
            whole = build("nginx", settings, lambda _: transport)
            layers, feature_of = layers_of(whole), find_features()
            names = [type(layer).__name__ for layer in layers]
            features = {
                name: feature
                for name, layer in zip(names, layers, strict=True)
                if (feature := feature_of.get(type(layer).__module__.rpartition(".")[2]))
            }
            innermost = f"the client with CallScope and {names[-1]}"
            for position, name in reversed(list(enumerate(names))):
                stack = build("nginx", settings, lambda _: transport)
                scope_of(stack).inner = layers_of(stack)[position]
                calls[innermost if name == names[-1] else name] = with_path(stack.client.get)
            costs, added = await costs_of(calls | requests(), arguments.rounds, arguments.calls)
            shares = await profile(calls[names[0]], arguments.calls)
    return {
        "us_per_call": {name: costs[name] for name in calls},
        "us_added": {name: added[name] for name in (*calls, MIDDLEWARE)},
        "features": features,
        "share_of_own_time": shares,
    }


def find_features() -> dict[str, str]:
    """Return the feature of each module of layers that only a feature renders."""
    package = ROOT / PROJECT_DIRECTORY / "src/{{cookiecutter.package_name}}"
    condition = r"\{% if (?:'(\w+)' in cookiecutter\.features|cookiecutter\.(\w+)) %\}(\w+)\.py"
    names = (path.name for path in (package / "http_client/layers").iterdir())
    found = (re.match(condition, name) for name in names)
    return {each[3]: each[1] or each[2] for each in found if each}


def requests() -> dict[str, Call]:
    """Return requests to an ASGI application that does nothing, without and with middleware."""
    from my_service.middleware import RequestMiddleware
    from my_service.settings import Settings

    async def nothing(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def send(message: Any) -> None:
        pass

    scope = {"type": "http", "method": "GET", "path": "/external", "headers": []}
    wrapped = RequestMiddleware(nothing, Settings())
    return {
        "nothing": lambda: nothing(scope, None, send),
        MIDDLEWARE: lambda: wrapped(scope, None, send),
    }


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


async def costs_of(
    calls: dict[str, Call], rounds: int, number: int
) -> tuple[dict[str, float], dict[str, float]]:
    """Return the cost of each call, and how much more it is than the call before it.

    Both are medians. The differences are taken within a round, so that drift cancels out.
    """
    measured: dict[str, list[float]] = {name: [] for name in calls}
    for turn in range(rounds + 1):
        for name, call in calls.items():
            started = process_time()
            await many(call, number)
            if turn:  # the first round opens connections and fills caches
                measured[name].append((process_time() - started) / CALLERS / number * 1e6)
        progress(f"{turn} of {rounds} rounds")
    before = [[0.0] * rounds, *measured.values()]
    return (
        {name: round(statistics.median(costs), 1) for name, costs in measured.items()},
        {
            name: round(statistics.median(map(sub, costs, previous)), 1)
            for (name, costs), previous in zip(measured.items(), before, strict=False)
        },
    )


async def many(call: Call, number: int) -> None:
    async def one_caller() -> None:
        for _ in range(number):
            await call()

    await asyncio.gather(*(one_caller() for _ in range(CALLERS)))


async def profile(call: Call, number: int) -> dict[str, float]:
    """Return each package's share of the time of a call, in percent, as cProfile reports it."""
    profiler = cProfile.Profile()
    with profiler:
        await many(call, number)
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
    added: dict[str, float] = results["us_added"]
    features: dict[str, str] = results["features"]
    rows = [
        [
            name,
            features.get(name, ""),
            f"{costs[name]:.0f}" if name in costs else "",
            f"{more:+.0f}",
        ]
        for name, more in added.items()
    ]
    _, bare, *_, full = costs.values()
    default = full - sum(added[name] for name, feature in features.items() if feature in EXTRA)
    shares = ((name, f"{share:.0f}%") for name, share in results["share_of_own_time"].items())
    return "\n\n".join(
        [
            "Processor time of a call. Each row after the third adds one layer. A layer without a "
            "feature is in every project:",
            table(["a call through", "feature", "µs", "added"], *rows),
            f"Without {' and '.join(sorted(EXTRA & set(features.values())))}, which the default "
            f"project does not have, a call takes {default:.0f} µs, {default / bare:.2f} times as "
            "long as httpx on the transport.",
            "The share of each package in the time of a call with every feature, by cProfile:",
            table(["package", "share"], *shares),
        ]
    )


if __name__ == "__main__":
    main()
