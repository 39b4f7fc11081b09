"""The typical handlers, with the client that the first argument names.

The second argument raises the client's limits: to this many concurrent calls, without timeouts.
"""

import asyncio
import os
import sys
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import httpx
import httpx2
import uvicorn
from fastapi import FastAPI, Request, Response
from fastapi.responses import StreamingResponse

Answer = dict[str, str | int]

kind = sys.argv[1]
connections = int(sys.argv[2]) if len(sys.argv) > 2 else None


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncGenerator[None]:
    if kind in {"nothing", "sleep", "per-call"}:
        yield
    else:
        async with client() as app.state.client:
            yield


def client() -> Any:
    if kind == "aiohttp":
        if connections is None:
            return aiohttp.ClientSession()
        connector = aiohttp.TCPConnector(limit=connections)
        return aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout())
    library: Any = {"httpx": httpx, "httpx2": httpx2}[kind]
    if connections is None:
        return library.AsyncClient()
    limits = library.Limits(max_connections=connections, max_keepalive_connections=connections)
    return library.AsyncClient(limits=limits, timeout=None)


app = FastAPI(lifespan=lifespan)


@app.get("/livez")
async def livez() -> str:
    return "ok"


if kind == "nothing":

    @app.get("/external")
    async def external(url: str) -> Answer:
        return {"result": url, "status": 200}

elif kind == "sleep":

    @app.get("/external")
    async def external(url: str) -> Answer:
        await asyncio.sleep(float(url.rpartition("/")[2]))
        return {"result": url, "status": 200}

elif kind == "per-call":

    @app.get("/external")
    async def external(url: str) -> Answer:
        async with httpx.AsyncClient() as client:
            response = await client.get(url)
        return {"result": response.text, "status": response.status_code}

elif kind == "aiohttp":

    @app.get("/external")
    async def external(url: str) -> Answer:
        async with app.state.client.get(url) as response:
            return {"result": await response.text(), "status": response.status}

    @app.get("/external/stream")
    async def stream(url: str) -> StreamingResponse:
        async def chunks() -> AsyncIterator[bytes]:
            async with app.state.client.get(url) as response:
                async for chunk in response.content.iter_any():
                    yield chunk

        return StreamingResponse(chunks())

    @app.post("/upload")
    async def upload(url: str, request: Request) -> Response:
        async with app.state.client.post(url, data=request.stream()) as response:
            return Response(await response.read(), status_code=response.status)

else:

    @app.get("/external")
    async def external(url: str) -> Answer:
        response = await app.state.client.get(url)
        return {"result": response.text, "status": response.status_code}

    @app.get("/external/stream")
    async def stream(url: str) -> StreamingResponse:
        async def chunks() -> AsyncIterator[bytes]:
            async with app.state.client.stream("GET", url) as response:
                async for chunk in response.aiter_bytes():
                    yield chunk

        return StreamingResponse(chunks())

    @app.post("/upload")
    async def upload(url: str, request: Request) -> Response:
        response = await app.state.client.post(url, content=request.stream())
        return Response(response.content, status_code=response.status_code)


if __name__ == "__main__":
    uvicorn.run(app, port=int(os.environ["APP_PORT"]))
