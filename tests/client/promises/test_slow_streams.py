"""Streams with long pauses, as LLM APIs send them, through a whole service in virtual time."""

import asyncio
import importlib
import re
import socket
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
import uvicorn

from support.generated import COMBINATIONS
from support.loopback import HOST
from support.rendering import Bake
from support.virtual_time import VirtualTimeLoop

PAUSE_S = 60
EVENTS = 5
NETWORK_S = 0.001  # uvicorn's own timer fires each 0.1 s, so five minutes take three seconds


@dataclass
class EventStream:
    """An upstream that sends an event after each minute, beginning with the first minute."""

    url: str = ""
    requests: int = 0
    left: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the connection of a caller who left is closed."""

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        async with await asyncio.start_server(self._serve, HOST, 0) as server:
            self.url = "http://{}:{}".format(*server.sockets[0].getsockname())
            yield

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        self.requests += 1
        sending = asyncio.create_task(self._send(writer))
        await reader.read()
        self.left.set()
        sending.cancel()
        writer.close()

    async def _send(self, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(PAUSE_S)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n")
        writer.write(b"Transfer-Encoding: chunked\r\n\r\n")
        for _ in range(EVENTS):
            writer.write(b"8\r\ndata: x\n\r\n")
            await asyncio.sleep(PAUSE_S)
        writer.write(b"0\r\n\r\n")


@dataclass(frozen=True)
class Service:
    """The modules of a generated service, and what its pages set for an LLM API."""

    app: Any
    settings: Any
    readme_settings: dict[str, str]

    @asynccontextmanager
    async def running(self, upstream: EventStream) -> AsyncGenerator[int]:
        """Run the service under uvicorn; yield its port."""
        upstreams = {"openai": {"base_url": upstream.url, **self.readme_settings}}
        app = self.app.create_app(self.settings.Settings(upstreams=upstreams))
        server = uvicorn.Server(uvicorn.Config(app, log_config=None))
        with socket.create_server((HOST, 0)) as listener:
            serving = asyncio.create_task(server.serve(sockets=[listener]))
            yield listener.getsockname()[1]
            server.should_exit = True
            await serving


@pytest.fixture(scope="module", params=COMBINATIONS)
def service(request: pytest.FixtureRequest, bake: Bake) -> Iterator[Service]:
    package = f"slow_streams_{request.param}".replace("-", "_")
    project = bake(**COMBINATIONS[request.param], package_name=package)
    page = project.read("docs/upstreams.md")
    named = re.findall(r"^APP_UPSTREAMS__OPENAI__(\w+_TIMEOUT_S)=(\d+)$", page, re.MULTILINE)
    assert len(named) == 2
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(project.path / "src")
        yield Service(
            app=importlib.import_module(f"{package}.app"),
            settings=importlib.import_module(f"{package}.settings"),
            readme_settings={name.lower(): value for name, value in named},
        )


@asynccontextmanager
async def call(port: int, path: str) -> AsyncGenerator[asyncio.StreamReader]:
    """Send a GET to the service; yield what it answers."""
    reader, writer = await asyncio.open_connection(HOST, port)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: service\r\nConnection: close\r\n\r\n".encode())
    try:
        yield reader
    finally:
        writer.close()


def test_five_minute_stream_arrives(service: Service) -> None:
    """With the two settings of the page, a stream that pauses for a minute arrives whole."""

    async def read_streams() -> tuple[list[int], bytes]:
        upstream = EventStream()
        async with upstream.running(), service.running(upstream) as port:

            async def read() -> int:
                async with call(port, f"/external/stream?url={upstream.url}") as response:
                    answer = await response.read()
                return answer.count(b"data: x") if answer.endswith(b"0\r\n\r\n") else -1

            # As many as it takes to open the breaker, if they counted as failures.
            events = await asyncio.gather(*(read() for _ in range(25)))
            async with call(port, "/readyz") as response:
                ready = await response.read()
        assert upstream.requests == len(events)
        return events, ready

    loop = VirtualTimeLoop(NETWORK_S)
    events, ready = loop.run_until_complete(read_streams())
    elapsed_s = loop.time()
    loop.close()

    assert events == [EVENTS] * 25
    assert elapsed_s >= PAUSE_S * (EVENTS + 1)
    assert b'"breaker":"closed"' in ready


def test_caller_who_leaves_frees_the_stream(service: Service) -> None:
    """When its caller leaves during a pause, the upstream's stream ends within 0.5 s."""

    async def leave() -> tuple[float, bytes]:
        upstream = EventStream()
        async with upstream.running(), service.running(upstream) as port:
            async with call(port, f"/external/stream?url={upstream.url}") as response:
                await response.readuntil(b"data: x")
            began = asyncio.get_running_loop().time()
            await upstream.left.wait()
            elapsed_s = asyncio.get_running_loop().time() - began
            async with call(port, "/readyz") as response:
                return elapsed_s, await response.read()

    loop = VirtualTimeLoop(NETWORK_S)
    elapsed_s, ready = loop.run_until_complete(leave())
    loop.close()

    assert elapsed_s <= 0.5
    assert b'"in_flight":0' in ready
    assert b'"breaker":"closed"' in ready
