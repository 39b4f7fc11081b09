"""Makes thousands of calls, good and faulty, and reports which resources grew.

It counts objects instead of bytes, because then even one object per call is visible.
"""

import asyncio
import gc
import json
import logging
from collections import Counter
from pathlib import Path

import httpx
from my_service.http_client.clients import open_clients
from my_service.settings import Settings
from tests.upstream import Upstream

ROUNDS = 6
PATHS = (
    *["/"] * 120,
    *["/status/404", "/status/503", "/gzip/20000", "/chunked/9", "/left-early"] * 20,
    *["/drop", "/reset", "/garbage", "/short", "/undecodable", "/large/200000", "/hang"] * 4,
    *["/abandoned"] * 10,
)
SETTINGS = {
    "max_connections": 20,
    "pool_timeout_s": 30,
    "backoff_max_s": 0.001,
    "breaker_failure_ratio": None,
    "max_response_bytes": 100_000,
}


async def call(client: httpx.AsyncClient, path: str) -> str:
    """Make a call; return its outcome."""
    try:
        match path:
            case "/abandoned":
                await client.send(client.build_request("GET", "/drip"), stream=True)
                return path
            case "/left-early":
                async with client.stream("GET", "/drip") as response:
                    await anext(response.aiter_bytes())
                return path
            case _:
                # Nothing else is that short, because it may take that long on a busy machine.
                timeout = httpx.Timeout(10, read=0.2 if path == "/hang" else 10)
                return str((await client.get(path, timeout=timeout)).status_code)
    except httpx.HTTPError as failure:
        return type(failure).__name__


def resources() -> dict[str, int]:
    gc.collect()
    return {
        "objects": len(gc.get_objects()),
        "descriptors": len(list(Path("/dev/fd").iterdir())),
        "tasks": len(asyncio.all_tasks()),
    }


async def main() -> None:
    outcomes = Counter[str]()
    async with Upstream() as upstream:
        settings = Settings.model_validate(
            {"upstreams": {"up": {"base_url": upstream.url}}, "http": SETTINGS}
        )
        async with open_clients(settings) as clients:
            up = clients.upstreams["up"]

            async def soak() -> dict[str, int]:
                for _ in range(ROUNDS):
                    outcomes.update(
                        await asyncio.gather(*(call(up.client, path) for path in PATHS))
                    )
                    gc.collect()  # finds the abandoned streams
                    async with asyncio.timeout(20):
                        await up.scope.wait_until_idle()
                        while upstream.in_flight:  # noqa: ASYNC110 - it notices later
                            await asyncio.sleep(0.001)
                await asyncio.gather(*(up.client.get("/") for _ in range(20)))
                upstream.seen.clear()
                return resources()

            await soak()
            before, after = await soak(), await soak()
            kept = resources()
            for _ in range(200):  # over one connection, each body apart from its head
                await up.client.get("/chunked/20")
            report = {
                "outcomes": outcomes,
                "before": before,
                "after": after,
                "kept": [kept, resources()],
                "up": up.gauges(),
            }
    print(json.dumps(report))


if __name__ == "__main__":
    logging.disable()
    asyncio.run(main())
