"""Opens 25 streams, as many as there are slots, and never closes them."""

import asyncio
import json
import logging

from my_service.http_client.clients import open_clients
from my_service.settings import Settings
from tests.upstream import Upstream

SLOTS = 25
SETTINGS = {"max_connections": SLOTS, "pool_timeout_s": 30, "stream_timeout_s": 3}


async def main() -> None:
    settings = Settings.model_validate({"upstreams": {}, "http": SETTINGS})
    async with Upstream() as upstream, open_clients(settings) as clients:
        default = clients.default
        client = default.client
        request = client.build_request("GET", f"{upstream.url}/drip")
        streams = await asyncio.gather(*(client.send(request, stream=True) for _ in range(SLOTS)))
        before = default.gauges()
        async with asyncio.timeout(20):
            await default.scope.wait_until_idle()
        answers = await asyncio.gather(*(client.get(upstream.url) for _ in range(SLOTS)))
        report = {
            "streams": [stream.status_code for stream in streams],
            "before": before,
            "answers": [answer.status_code for answer in answers],
            "after": default.gauges(),
        }
    print(json.dumps(report))


if __name__ == "__main__":
    logging.disable()
    asyncio.run(main())
