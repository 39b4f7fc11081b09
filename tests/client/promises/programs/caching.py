"""Runs one scenario against the cache of a real client and a real server; prints what it saw.

Arguments: the scenario, and JSON settings.
"""

import asyncio
import collections
import contextlib
import gc
import itertools
import json
import logging
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Self

import httpx
import redis.asyncio
import trustme
import uvloop
from my_service.http_client import shared_state
from my_service.http_client.clients import Clients, open_clients
from my_service.log import request_id
from my_service.settings import Settings


class Origin:
    """A server with documents: ``/slow…`` takes 0.2 s, ``/late`` 1.2 s; ``/broken`` breaks off.

    The query is the response's Cache-Control. Each response has a body of its own; an ETag makes
    a conditional request a 304.
    """

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.broken = False
        self.etag = '"1"'
        self._numbers = itertools.count(1)

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                method, target, _ = head.split("\r\n")[0].split(" ")
                path, _, directives = target.partition("?")
                valid = f"if-none-match: {self.etag}" in head.lower()
                self.seen.append(f"{method} {path}" + (" if valid" if valid else ""))
                if method == "GET" and path.startswith(("/slow", "/broken", "/redirect")):
                    await asyncio.sleep(0.2)
                if path == "/late":
                    await asyncio.sleep(1.2)
                if path.startswith("/broken") or self.broken:
                    break
                body = f"{path} {next(self._numbers)}"
                if valid:
                    body = ""
                status = "304 Not Modified" if valid else "200 OK"
                if path == "/redirect":
                    status = "302 Found\r\nlocation: /slow?max-age=60"
                fields = f"cache-control: {directives}\r\netag: {self.etag}"
                head = f"HTTP/1.1 {status}\r\n{fields}\r\ncontent-length: {len(body)}"
                writer.write(f"{head}\r\n\r\n{body}".encode())
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        writer.close()


class Scenarios:
    def __init__(self, origin: Origin, settings: dict[str, Any]) -> None:
        self.origin = origin
        self.settings = settings

    def open(self, **fields: object) -> Any:
        up = {"base_url": self.origin.url, "cache_max_bytes": 1_000_000, "max_attempts": 1}
        upstreams = {"up": up | fields}
        return open_clients(Settings.model_validate(self.settings | {"upstreams": upstreams}))

    async def hundred(self) -> object:
        """100 concurrent calls, of which the first and every tenth leave."""
        async with self.open(max_connections=2) as clients:
            client = clients.upstreams["up"].client
            calls = [asyncio.create_task(client.get("/slow?max-age=60")) for _ in range(100)]
            await asyncio.sleep(0.1)
            most = clients.upstreams["up"].gauges()["in_flight"]
            for call in calls[::10]:
                call.cancel()
            done = await asyncio.gather(*calls, return_exceptions=True)
        kinds = collections.Counter(type(each).__name__ for each in done)
        texts = {each.text for each in done if isinstance(each, httpx.Response)}
        return [dict(kinds), len(texts), len(self.origin.seen), most]

    async def late(self) -> object:
        """20 concurrent calls of what has expired when it arrives, and then two of it."""
        async with self.open() as clients:
            client = clients.upstreams["up"].client
            for number in (20, 2):
                await asyncio.gather(*(client.get("/late?max-age=1") for _ in range(number)))
        return self.origin.seen

    async def errors(self) -> object:
        """50 concurrent calls of what breaks, and one more."""
        async with self.open() as clients:
            client = clients.upstreams["up"].client
            ids = [{"X-Request-ID": str(number)} for number in range(50)]
            calls = [client.get("/broken?max-age=60", headers=headers) for headers in ids]
            done: list[Any] = await asyncio.gather(*calls, return_exceptions=True)
            seen = len(self.origin.seen)
            with contextlib.suppress(httpx.HTTPError):
                await client.get("/broken?max-age=60")
        requests = {each.request.headers["X-Request-ID"] for each in done}
        return [len({id(each) for each in done}), len(requests), seen, len(self.origin.seen)]

    async def unshared(self) -> object:
        """20 concurrent calls of what is for one call only, twice."""
        took = []
        texts = set()
        async with self.open() as clients:
            client = clients.upstreams["up"].client
            for _ in range(2):
                started = time.monotonic()
                calls = (client.get("/slow?no-store") for _ in range(20))
                texts |= {each.text for each in await asyncio.gather(*calls)}
                took.append(time.monotonic() - started)
        return [len(texts), len(self.origin.seen), *took]

    async def bounds(self) -> object:
        """Calls with bounds of their own keep them; those of others are not changed."""
        async with self.open(total_timeout_s=30) as clients:
            client = clients.upstreams["up"].client
            short = client.get("/slow?max-age=60", extensions={"total_timeout_s": 0.1})
            long = client.get("/slow?max-age=60")
            own = client.get("/slow?max-age=60", timeout=0.1)
            done = await asyncio.gather(short, long, own, return_exceptions=True)
            later = await client.get("/slow?max-age=60", timeout=0.1)
        return [*(type(each).__name__ for each in done), later.status_code, len(self.origin.seen)]

    async def leaving(self) -> object:
        """Groups of calls are cancelled at any turn of the loop; slots and tasks are left over?"""
        async with self.open(max_connections=3) as clients:
            stack = clients.upstreams["up"]
            for number in range(200):
                path = f"/slow/{number}?max-age=60"
                calls = [asyncio.create_task(stack.client.get(path)) for _ in range(5)]
                for _ in range(number % 20):
                    await asyncio.sleep(0)
                for call in calls:
                    call.cancel()
                    if number % 2:
                        await asyncio.sleep(0)
                        call.cancel()
                if number % 20 == 18:  # a call that arrives while the request is being cancelled
                    await asyncio.sleep(0)
                    assert (await stack.client.get(path)).status_code == 200
                await asyncio.wait(calls)
            busy = stack.gauges()["in_flight"]
            async with asyncio.timeout(5):
                calls = [stack.client.get(f"/{n}?max-age=60") for n in range(3)]
                statuses = [each.status_code for each in await asyncio.gather(*calls)]
            own = asyncio.current_task()
            tasks = [t for t in asyncio.all_tasks() if t is not own and "_fly" in repr(t)]
        return [busy, statuses, len(tasks)]

    async def draining(self) -> object:
        """The clients close while calls wait for one response."""
        async with self.open() as clients:
            client = clients.upstreams["up"].client
            calls = [asyncio.create_task(client.get("/slow?max-age=60")) for _ in range(5)]
            await asyncio.sleep(0.05)
        return [(await call).status_code for call in calls]

    async def outage(self) -> object:
        """The upstream goes down; the circuit breaker opens."""
        async with self.open(breaker_min_calls=2, breaker_open_s=60) as clients:
            stack = clients.upstreams["up"]
            good = await stack.client.get("/document?max-age=0")
            strict = await stack.client.get("/strict?max-age=0,must-revalidate")
            self.origin.broken = True
            for _ in range(4):
                with_error = await asyncio.gather(stack.client.get("/x"), return_exceptions=True)
            seen = len(self.origin.seen)
            again = await stack.client.get("/document?max-age=0")
            never = {"Cache-Control": "no-cache"}
            done = await asyncio.gather(
                stack.client.get("/strict?max-age=0,must-revalidate"),
                stack.client.get("/document?max-age=0", headers=never),
                return_exceptions=True,
            )
        return [
            stack.gauges()["breaker"],
            again.text == good.text,
            "Age" in again.headers,
            strict.status_code,
            *(type(each).__name__ for each in done),
            type(with_error[0]).__name__,
            len(self.origin.seen) - seen,
        ]

    async def busy(self) -> object:
        """All slots are taken: a hit needs none."""
        async with self.open(max_connections=1, pool_timeout_s=0.05) as clients:
            client = clients.upstreams["up"].client
            await client.get("/document?max-age=60")
            slow = asyncio.create_task(client.get("/slow?max-age=60"))
            await asyncio.sleep(0.05)
            hit = await client.get("/document?max-age=60")
            await slow
        return hit.status_code

    async def writes(self) -> object:
        """A write through one client, and what another client of the same Redis then gets."""
        async with self.open() as one, self.open() as two:
            first = [await self.text(clients) for clients in (one, two)]
            await one.upstreams["up"].client.post("/document?max-age=60")
            return [*first, *[await self.text(clients) for clients in (two, one, two)]]

    async def text(self, clients: Clients) -> str:
        response = await clients.upstreams["up"].client.get("/document?max-age=60")
        return response.text

    async def context(self) -> object:
        """The request id, as a request that several callers may wait for sees it."""
        seen = []

        def answer(_: httpx.Request) -> httpx.Response:
            seen.append(request_id.get())
            return httpx.Response(200)

        upstreams = {"up": {"base_url": "http://up", "cache_max_bytes": 1000}}
        settings = Settings.model_validate({"upstreams": upstreams})
        transport = httpx.MockTransport(answer)
        async with open_clients(settings, lambda _: transport) as clients:
            request_id.set("of-one-caller")
            await clients.upstreams["up"].client.get("/")
        return seen

    async def written(self) -> object:
        """A write to what was never read."""
        async with self.open() as clients:
            return (await clients.upstreams["up"].client.post("/document")).status_code

    async def write_during_a_read(self) -> object:
        """A read that began before a write is not kept, and answers no later call."""
        async with self.open() as clients:
            client = clients.upstreams["up"].client
            read = asyncio.create_task(client.get("/slow?max-age=60"))
            await asyncio.sleep(0.1)
            await client.put("/slow?max-age=60")
            later = asyncio.create_task(client.get("/slow?max-age=60"))
            first = await read
            last = await client.get("/slow?max-age=60")
            return [each.text for each in (first, await later, last)]

    async def redirected(self) -> object:
        """A call with little time left, because it was redirected, and then one with all of it."""
        async with self.open(total_timeout_s=1.5, follow_redirects=True) as clients:
            client = clients.upstreams["up"].client
            first = asyncio.create_task(client.get("/redirect?no-store"))
            await asyncio.sleep(0.25)
            second = await client.get("/slow?max-age=60")
            await first
        return [second.status_code, self.origin.seen]

    async def identities(self) -> object:
        """Deployments that differ in a setting or a certificate, at the same Redis."""
        texts = []
        for connections in (8, 9):
            async with self.open(max_connections=connections) as clients:
                texts.append(await self.text(clients))
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory, "client.pem")
            for _ in range(2):
                certificate = trustme.CA().issue_cert("client.example")
                certificate.private_key_and_cert_chain_pem.write_to_path(path)
                async with self.open(client_cert=path) as clients:
                    texts.append(await self.text(clients))
        return texts

    async def spoiled(self) -> object:
        """Two clients in turn, at first and after each change of the entry in Redis."""
        texts = [await self.twice()]
        async with redis.asyncio.from_url(self.settings["shared_state_url"]) as server:
            (entry,) = [key async for key in server.scan_iter() if key.count(b":") == 5]
            stored: Any = await server.get(entry)
            for value in (b"", b"no entry", stored + b"more", b"{}\n", b'{"status": "x"}\nbody'):
                await server.set(entry, value)
                texts.append(await self.twice())
        return texts

    async def twice(self) -> list[str]:
        texts = []
        for _ in range(2):
            async with self.open() as clients:
                texts.append(await self.text(clients))
        return texts


async def main() -> None:
    name, settings = sys.argv[1:]
    logging.disable()
    shared_state._TIMEOUT_S = shared_state._SLOW_S = 10  # on a loaded machine, Redis is slow
    problems: list[str] = []
    asyncio.get_running_loop().set_exception_handler(
        lambda _, context: problems.append(str(context))
    )
    async with AsyncExitStack() as stack:
        origin = await stack.enter_async_context(Origin())
        scenario: Callable[[], Awaitable[object]] = getattr(
            Scenarios(origin, json.loads(settings)), name
        )
        saw = await scenario()
        gc.collect()
        await asyncio.sleep(0)
    print(json.dumps({"saw": saw, "problems": problems}))


if __name__ == "__main__":
    uvloop.run(main())
