"""The usual recommendation: one client, opened and closed in the lifespan, with a timeout."""

import logging
import os
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

import httpx
import uvicorn
from fastapi import Depends, FastAPI, Request
from fastapi.responses import StreamingResponse
from handlers import handlers


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncGenerator[dict[str, httpx.AsyncClient]]:
    async with httpx.AsyncClient(timeout=5) as client:
        yield {"client": client}


def shared(request: Request) -> httpx.AsyncClient:
    client: httpx.AsyncClient = request.state.client
    return client


Client = Annotated[httpx.AsyncClient, Depends(shared)]

app = FastAPI(lifespan=lifespan)


@app.get("/livez")
async def livez() -> str:
    return "ok"


@app.get("/external")
async def external(url: str, client: Client) -> dict[str, str | int]:
    response = await client.get(url)
    return {"result": response.text, "status": response.status_code}


@app.get("/external/stream")
async def stream(url: str, client: Client) -> StreamingResponse:
    async def chunks() -> AsyncIterator[bytes]:
        async with client.stream("GET", url) as response:
            async for chunk in response.aiter_bytes():
                yield chunk

    return StreamingResponse(chunks())


app.include_router(handlers(shared))

if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    uvicorn.run(app, port=int(os.environ["APP_PORT"]))
