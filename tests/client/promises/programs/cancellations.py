"""Cancels a thousand calls of one client, in one phase after another.

After each round the cancelled calls must have left the upstream, and after each phase every slot
must work immediately. The report counts what is left over in the end. The argument is the name of
the event loop.
"""

import asyncio
import json
import sys
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import uvloop
from hostile import Deaf, full_listener, server
from my_service.http_client.clients import open_clients
from my_service.http_client.pipeline import ClientStack
from my_service.settings import Settings
from tests.upstream import Upstream

SLOTS = 20
ROUNDS = 9
# How often the loop turns between the two cancellations of a call; None for a single one.
TURNS_BETWEEN = (None, 0, 1, 2, 3)
LONG_S = 300
# No call ends by itself.
SETTINGS = {
    "max_connections": SLOTS,
    "max_attempts": 1,
    "attempt_timeout_s": None,
    "keepalive_expiry_s": LONG_S,
    **{f"{phase}_timeout_s": LONG_S for phase in ("connect", "read", "pool", "total")},
    # After this time the client leaves an upstream that stopped reading.
    "write_timeout_s": 3,
}

Call = Callable[[], Coroutine[Any, Any, object]]


class Cancellations:
    def __init__(self, stack: ClientStack, upstream: Upstream) -> None:
        self.stack = stack
        self.client = stack.client
        self.upstream = upstream
        self.cancelled: dict[str, int] = {}

    def gauge(self, name: str) -> int:
        return int(self.stack.gauges()[name])

    async def in_phase(
        self,
        name: str,
        call: Call,
        arrived: Callable[[], int],
        gone: Callable[[], bool],
        rounds: int = ROUNDS,
    ) -> None:
        """Cancel calls when all have arrived in a phase, and wait until they are gone."""
        self.cancelled[name] = 0
        for _ in range(rounds):
            await self.round(name, call, arrived)
            await until(gone)

    async def round(self, name: str, call: Call, arrived: Callable[[], int]) -> None:
        before = arrived()
        calls = [asyncio.create_task(call()) for _ in range(SLOTS)]
        await until(lambda: arrived() == before + SLOTS)
        await asyncio.gather(*(cancel(call, number) for number, call in enumerate(calls)))
        await self.count(name, calls)

    async def at_any_turn(self) -> None:
        """Cancel calls after a few turns of the loop, to reach moments between the phases."""
        self.cancelled["any turn"] = 0
        for number in range(500):
            headers = {"Connection": "close"} if number % 2 else {}
            call = asyncio.create_task(self.client.get(self.upstream.url, headers=headers))
            for _ in range(number % 13):
                await asyncio.sleep(0)
            await cancel(call, number)
            await self.count("any turn", [call])

    async def count(self, name: str, calls: list[asyncio.Task[Any]]) -> None:
        await asyncio.wait(calls)
        self.cancelled[name] += sum(call.cancelled() for call in calls)

    @asynccontextmanager
    async def every_slot_taken(self) -> AsyncGenerator[None]:
        """Occupy every slot, which proves that none was lost."""
        calls = [
            asyncio.create_task(self.client.get(f"{self.upstream.url}/gate")) for _ in range(SLOTS)
        ]
        await until(lambda: self.upstream.in_flight == SLOTS)
        yield
        self.upstream.gate.set()
        assert [(await call).status_code for call in calls] == [200] * SLOTS
        self.upstream.gate.clear()
        assert (self.gauge("in_flight"), self.gauge("waiting")) == (0, 0)
        assert self.gauge("open_connections") == SLOTS


async def cancel(call: asyncio.Task[Any], number: int) -> None:
    call.cancel()
    turns = TURNS_BETWEEN[number % len(TURNS_BETWEEN)]
    if turns is not None:
        for _ in range(turns):
            await asyncio.sleep(0)
        call.cancel()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - nothing signals it
            await asyncio.sleep(0.001)


async def cancel_in_every_phase() -> dict[str, int]:
    deaf = Deaf()
    settings = Settings.model_validate({"upstreams": {}, "http": SETTINGS})
    async with (
        Upstream() as upstream,
        server(deaf) as deaf_host,
        open_clients(settings) as clients,
    ):
        client = clients.default.client
        cancellations = Cancellations(clients.default, upstream)
        in_phase, gauge = cancellations.in_phase, cancellations.gauge
        reading = 0

        async def read_a_stream() -> None:
            nonlocal reading
            async with client.stream("GET", f"{upstream.url}/drip") as response:
                chunks = response.aiter_bytes()
                await anext(chunks)
                reading += 1
                try:
                    async for _ in chunks:
                        pass
                finally:
                    reading -= 1

        async def connect() -> None:
            await client.get(f"http://{full}/")

        async def shake_hands() -> None:
            await client.get(f"https://{deaf_host}/")

        async def send() -> None:
            await client.post(f"http://{deaf_host}/", content=b"x" * 16_000_000)

        async def wait_for_headers() -> None:
            await client.get(f"{upstream.url}/hang")

        async with cancellations.every_slot_taken():
            await in_phase(
                "waiting",
                wait_for_headers,
                arrived=lambda: gauge("waiting"),
                gone=lambda: gauge("waiting") == 0,
            )
        with full_listener() as full:
            await in_phase(
                "connecting",
                connect,
                arrived=lambda: gauge("in_flight"),
                gone=lambda: gauge("in_flight") == 0,
            )
        await in_phase(
            "TLS handshake",
            shake_hands,
            arrived=lambda: deaf.connections,
            gone=lambda: deaf.connections == 0,
        )
        await in_phase(
            "sending",
            send,
            arrived=lambda: deaf.requests,
            gone=lambda: gauge("open_connections") == SLOTS,
            rounds=1,
        )
        deaf.hang_up.set()
        await in_phase(
            "headers",
            wait_for_headers,
            arrived=lambda: upstream.in_flight,
            gone=lambda: upstream.in_flight == 0,
        )
        await in_phase(
            "body",
            read_a_stream,
            arrived=lambda: reading,
            gone=lambda: upstream.in_flight == 0,
        )
        async with cancellations.every_slot_taken():
            pass
        await cancellations.at_any_turn()
        async with cancellations.every_slot_taken():
            pass
        return cancellations.cancelled


def descriptors() -> int:
    return len(list(Path("/dev/fd").iterdir()))


async def main() -> None:
    async with Upstream():  # opens the descriptors that a loop opens only once
        pass
    before = descriptors()
    cancelled = await cancel_in_every_phase()
    await asyncio.sleep(0.1)
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    print(
        json.dumps(
            {
                "cancelled": cancelled,
                "tasks": [str(task) for task in tasks],
                "descriptors": descriptors() - before,
            }
        )
    )


if __name__ == "__main__":
    (uvloop.run if sys.argv[1] == "uvloop" else asyncio.run)(main())
