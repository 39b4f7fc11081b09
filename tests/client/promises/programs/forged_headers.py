"""Sends headers that contain line breaks, and reports the exception of each.

The arguments are the upstream's URL and the file of its certificate authority.
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
    results = []
    async with open_clients(settings) as clients:
        client = clients.upstreams["up"].client
        for name, value in FORGED.items():
            try:
                await client.get("/forged", headers={name: value})
            except httpx.HTTPError as error:
                results.append(type(error).__name__)
        results.append(str((await client.get("/", headers={"X-Name": "a"})).status_code))
    print(json.dumps(results))


logging.disable()
asyncio.run(main(*sys.argv[1:]))
