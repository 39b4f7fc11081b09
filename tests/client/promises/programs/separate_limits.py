"""Call a URL once with each client; print the status codes."""

import asyncio
import json
import sys

from my_service.http_client.clients import open_clients
from my_service.settings import Settings


async def main() -> None:
    settings, url = sys.argv[1:]
    async with open_clients(Settings.model_validate(json.loads(settings))) as clients:
        stacks = (clients.default, *clients.upstreams.values())
        print(json.dumps([(await stack.client.get(url)).status_code for stack in stacks]))


if __name__ == "__main__":
    asyncio.run(main())
