"""Receives a body from the URL in the argument, and reports the memory that it took.

The upstream runs in another process, so that the memory is the client's alone.
"""

import asyncio
import json
import logging
import re
import sys
from pathlib import Path

import httpx
from my_service.http_client.clients import open_clients
from my_service.settings import Settings


def peak_memory() -> int:
    """Return it in bytes. (``ru_maxrss`` begins with the parent's.)"""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    (kibibytes,) = re.findall(r"VmHWM:\s*(\d+) kB", status)
    return int(kibibytes) * 1024


async def main(url: str) -> None:
    settings = Settings.model_validate({"upstreams": {}, "http": {"total_timeout_s": 300}})
    async with open_clients(settings) as clients:
        client = clients.default.client
        await client.get(httpx.URL(url).join("/"))
        before = peak_memory()
        try:
            await client.get(url)
        except httpx.HTTPError as failure:
            raised = type(failure).__name__
        else:
            raised = "no exception"
    print(
        json.dumps(
            {
                "raised": raised,
                "limit": settings.http.max_response_bytes,
                "cost": peak_memory() - before,
            }
        )
    )


if __name__ == "__main__":
    logging.disable()
    asyncio.run(main(sys.argv[1]))
