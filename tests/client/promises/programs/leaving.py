"""Callers leave a service on a real server; print what its calls and log lines say."""

import asyncio
import json
import logging
import socket
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import uvicorn
from fastapi import FastAPI, Request
from hypercorn.asyncio import serve
from hypercorn.config import Config
from my_service.app import create_app
from starlette.background import BackgroundTask
from starlette.middleware.base import RequestResponseEndpoint
from starlette.responses import Response, StreamingResponse
from tests.service import Up, settings_for
from tests.upstream import Upstream


def add_routes(app: FastAPI) -> None:
    @app.get("/concurrent")
    async def concurrent(up: Up) -> None:
        await asyncio.gather(up.get("/hang"), up.get("/hang"))

    @app.get("/streamed")
    async def streamed(up: Up) -> None:
        async with up.stream("GET", "/drip") as response:
            await response.aread()

    @app.get("/relayed")
    async def relayed(up: Up) -> Response:
        response = await up.send(up.build_request("POST", "/drip"), stream=True)
        close = BackgroundTask(response.aclose)
        return StreamingResponse(response.aiter_bytes(), background=close)

    @app.post("/unread")
    async def unread(up: Up) -> None:
        await up.get("/hang")

    @app.post("/queued")
    async def queued(up: Up) -> None:
        await up.post("/hang")  # never sent: all slots are busy

    @app.middleware("http")
    async def own(request: Request, go_on: RequestResponseEndpoint) -> Response:
        return await go_on(request)


async def run(server: str, app: FastAPI, use: Callable[[int], Awaitable[None]]) -> None:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port: int = listening.getsockname()[1]
        stop = asyncio.Event()
        serving: asyncio.Task[Any]
        if server == "hypercorn":
            config = Config()
            config.errorlog = None
            config.bind = [f"fd://{listening.detach()}"]
            serving = asyncio.create_task(serve(app, config, shutdown_trigger=stop.wait))  # type: ignore[arg-type]
        else:
            uv = uvicorn.Server(uvicorn.Config(app, http=server, log_config=None))
            serving = asyncio.create_task(uv.serve([listening]))
        await use(port)
        stop.set()
        if server != "hypercorn":
            uv.should_exit = True
        await serving


async def send(port: int, line: str) -> asyncio.StreamWriter:
    while True:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except ConnectionRefusedError:
            await asyncio.sleep(0.05)
            continue
        writer.write(f"{line} HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\n\r\nbody".encode())
        return writer


async def main() -> None:
    lines: list[dict[str, Any]] = []
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(vars(record))  # type: ignore[method-assign]
    logging.getLogger().addHandler(handler)
    logging.getLogger("my_service").setLevel(logging.INFO)
    report: dict[str, Any] = {}
    async with asyncio.timeout(25), Upstream() as upstream:
        app = create_app(settings_for(upstream, max_connections=9, pool_timeout_s=300))
        add_routes(app)

        async def leave(port: int) -> None:
            requests = [f"GET /external?url={upstream.url}/hang"] * 9
            for request in ("/concurrent", "/streamed", "/relayed"):
                requests.append(f"GET {request}")
            requests.append("POST /unread")
            callers = [await send(port, requests.pop(0)) for _ in range(9)]
            await upstream.wait_for_calls(9)
            callers.append(await send(port, "POST /queued"))
            await asyncio.sleep(0.5)
            while callers or requests:
                for caller in callers:
                    caller.close()
                while upstream.in_flight:  # noqa: ASYNC110 - the upstream has no event for it
                    await asyncio.sleep(0.01)
                callers = []
                if requests:
                    callers = [await send(port, requests.pop(0))]
                    await upstream.wait_for_calls()
                    await asyncio.sleep(0.3)

        await run(sys.argv[1], app, leave)
    for line in lines:
        if line["msg"] == "request":
            report[line["path"]] = line["status"]
    report["tracebacks"] = [line["msg"] for line in lines if line["exc_info"]]
    report["written"] = [each.target for each in upstream.seen if each.method == "POST"]
    print(json.dumps(report))


if __name__ == "__main__":
    asyncio.run(main())
