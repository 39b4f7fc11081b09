import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

import pytest
import uvicorn
from fastapi import BackgroundTasks, FastAPI, HTTPException, Request

from {{ cookiecutter.package_name }}.app import create_app

from ...service import Logged, Up, settings_for
from ...upstream import Upstream


@asynccontextmanager
async def port_of(app: FastAPI) -> AsyncGenerator[int]:
    """Run the application on a real server, which notices that callers leave."""
    config = uvicorn.Config(app, port=0, log_config=None, timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())
    try:
        await until(lambda: server.started)
        port: int = server.servers[0].sockets[0].getsockname()[1]
        yield port
    finally:
        server.should_exit = True
        await serving


async def until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110 - of a server and a log, which have no event
        await asyncio.sleep(0.01)


async def send(port: int, request: str) -> asyncio.StreamWriter:
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"{request} HTTP/1.1\r\nhost: service\r\ncontent-length: 4\r\n\r\nbody".encode())
    return writer


async def leave_early(app: FastAPI, upstream: Upstream) -> None:
    """Request /own, disconnect while the upstream holds its call, and let everything end."""
    async with asyncio.timeout(9), port_of(app) as port:
        caller = await send(port, "GET /own")
        await upstream.wait_for_calls()
        await asyncio.sleep(0.3)
        caller.close()
        await asyncio.sleep(0.3)
        upstream.gate.set()


async def test_calls_end_when_callers_leave(
    app: FastAPI, upstream: Upstream, logged: Logged
) -> None:
    """Waiting, streamed and concurrent calls end long before their timeouts; slots are free."""

    @app.get("/own")
    async def own(up: Up, request: Request) -> None:
        async def read_stream() -> None:
            async with up.stream("GET", "/drip") as response:
                await response.aread()

        hanging = asyncio.create_task(up.get("/hang"))
        await asyncio.sleep(0.3)  # the service listens after 0.2 s, and must not eat the body
        assert await request.body() == b"body"
        await asyncio.gather(hanging, read_stream())  # neither cancels the other

    async with asyncio.timeout(9), port_of(app) as port:
        callers = [await send(port, f"GET /external?url={upstream.url}/hang") for _ in range(50)]
        callers += [await send(port, "GET /own")]
        await upstream.wait_for_calls(52)
        for caller in callers:
            caller.close()
        await until(lambda: not upstream.in_flight and len(logged("request")) == 51)

    assert {line["status"] for line in logged("request")} == {499}
    assert {line["error"] for line in logged("upstream call")} == {"CancelledError"}


@pytest.mark.parametrize("expect", ["", "expect: 100-continue\r\n"], ids=["sends", "expects"])
async def test_body_that_arrives_late(app: FastAPI, upstream: Upstream, expect: str) -> None:
    """The service listens on after a body has arrived, and asks for none that nobody reads."""

    @app.post("/own")
    async def own(up: Up, request: Request) -> None:
        if expect:
            await up.get("/gate")
            raise HTTPException(401)
        await asyncio.gather(up.get("/hang"), request.body())

    async with asyncio.timeout(9), port_of(app) as port:
        reader, caller = await asyncio.open_connection("127.0.0.1", port)
        head = f"POST /own HTTP/1.1\r\nhost: service\r\ncontent-length: 4\r\n{expect}\r\n"
        caller.write(head.encode())
        await asyncio.sleep(0.4)
        if expect:
            upstream.gate.set()
            assert b" 401 " in await reader.readuntil()
        caller.write(b"body")
        await asyncio.sleep(0.1)
        caller.close()
        await until(lambda: not upstream.in_flight)


@pytest.mark.parametrize(
    ("method", "cancels"), [("POST", True), ("GET", False)], ids=["write", "turned-off"]
)
async def test_calls_that_finish(
    upstream: Upstream, logged: Logged, method: str, cancels: bool
) -> None:
    """Calls go on after a write, and with APP_CANCEL_ON_DISCONNECT=false; so does the background."""
    settings = settings_for(upstream).model_copy(update={"cancel_on_disconnect": cancels})
    app = create_app(settings)

    @app.get("/own")
    async def own(up: Up, background: BackgroundTasks) -> None:
        await up.request(method, "/gate")
        await up.get("/then")
        background.add_task(up.get, "/background")

    await leave_early(app, upstream)
    paths = [(line["path"], line["status"]) for line in logged("upstream call")]
    assert paths == [("/gate", 200), ("/then", 200), ("/background", 200)]


async def test_background_calls_go_on(app: FastAPI, upstream: Upstream, logged: Logged) -> None:
    """A caller who leaves after its response does not end the calls of background tasks."""

    @app.get("/own")
    async def own(up: Up, background: BackgroundTasks) -> None:
        background.add_task(up.get, "/gate")

    await leave_early(app, upstream)
    assert logged("upstream call")[0]["status"] == 200
