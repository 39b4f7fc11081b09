"""Send forged headers, and report the outcome of each attempt.

The arguments are the upstream's URL and its authority's file.
"""

import asyncio
import json
import logging
import sys

import httpx
from my_service.http_client.clients import open_clients
from my_service.settings import Settings

FORGED = {"X-Name": "a\r\nX-Other: b", "X-Null": "a\0b", "X-Feed": "a\nb", "": "nameless"}


async def main(url: str, ca_bundle: str) -> None:
    upstream = {"base_url": url, "ca_bundle": ca_bundle}
    settings = Settings.model_validate({"upstreams": {"up": upstream}})
    outcomes = []
    async with open_clients(settings) as clients:
        client = clients.upstreams["up"].client
        for name, value in FORGED.items():
            try:
                await client.get("/forged", headers={name: value})
            except httpx.HTTPError as error:
                outcomes.append(type(error).__name__)
        outcomes.append(str((await client.get("/", headers={"X-Name": "a"})).status_code))
    print(json.dumps(outcomes))


logging.disable()
asyncio.run(main(*sys.argv[1:]))
