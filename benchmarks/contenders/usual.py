"""One typical handler, with the client that the first argument names."""

import os
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import httpx
import httpx2
import uvicorn
from fastapi import FastAPI

Answer = dict[str, str | int]


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncGenerator[None]:
    async with CLIENTS[kind]() as app.state.client:
        yield


@asynccontextmanager
async def no_client() -> AsyncGenerator[None]:
    yield


CLIENTS: dict[str, Any] = {
    "nothing": no_client,
    "per-call": no_client,
    "httpx": httpx.AsyncClient,
    "httpx2": httpx2.AsyncClient,
    "aiohttp": aiohttp.ClientSession,
}
kind = sys.argv[1]
app = FastAPI(lifespan=lifespan)


@app.get("/livez")
async def livez() -> str:
    return "ok"


if kind == "nothing":

    @app.get("/external")
    async def external(url: str) -> Answer:
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

else:

    @app.get("/external")
    async def external(url: str) -> Answer:
        response = await app.state.client.get(url)
        return {"result": response.text, "status": response.status_code}


if __name__ == "__main__":
    uvicorn.run(app, port=int(os.environ["APP_PORT"]))
