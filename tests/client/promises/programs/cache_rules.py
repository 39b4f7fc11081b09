"""Makes two calls, with a time between them, for each row of a table; prints what became of them.

A row is: status and headers of the first response, headers of the first request, the time in
seconds, headers of the second request. C is Cache-Control; ``{-60}`` in a header is the date a
minute before the first response. The second response is a 304 for a request with conditions. The
argument is the rows, as JSON.
"""

import asyncio
import json
import logging
import re
import sys
from email.utils import formatdate
from types import SimpleNamespace
from typing import Any

import httpx
from my_service.http_client.clients import open_clients
from my_service.http_client.layers import cache, cache_rules
from my_service.settings import Settings

NOW = 1_800_000_000.0


def dated(headers: dict[str, str]) -> dict[str, str]:
    def date(match: re.Match[str]) -> str:
        return formatdate(NOW + int(match[1]), usegmt=True)

    names = {"C": "Cache-Control"}
    return {names.get(k, k): re.sub(r"{([+-]\d+)}", date, v) for k, v in headers.items()}


async def outcome(row: list[Any]) -> str:
    status, headers, first, after_s, second = row
    clock = SimpleNamespace(time=lambda: NOW)
    vars(cache)["time"] = vars(cache_rules)["time"] = clock
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        if "If-None-Match" in request.headers or "If-Modified-Since" in request.headers:
            return httpx.Response(304)
        return httpx.Response(status, headers=dated(headers), content=f"body {len(seen)}")

    settings = {
        "http": {"cache_max_bytes": 100_000},
        "upstreams": {"up": {"base_url": "http://up"}},
    }
    transport = httpx.MockTransport(answer)
    async with open_clients(Settings.model_validate(settings), lambda _: transport) as clients:
        client = clients.upstreams["up"].client
        await client.get("/", headers=dated(first))
        clock.time = lambda: NOW + after_s
        response = await client.get("/", headers=dated(second))
    if response.status_code == 504:
        return "504"
    if len(seen) == 1:
        return f"reused {response.headers['Age']}"
    conditions = [name for name in seen[1].headers if name.startswith("if-")]
    return f"validated {' '.join(sorted(conditions))}" if conditions else "fetched"


async def main() -> None:
    logging.disable()
    print(json.dumps([await outcome(row) for row in json.loads(sys.argv[1])]))


if __name__ == "__main__":
    asyncio.run(main())
