"""The usual recommendation: one client, opened and closed in the lifespan, with a timeout."""

import logging
import os
import ssl
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

import httpx
import moving_name
import uvicorn
from fastapi import Depends, FastAPI, Request, Response
from fastapi.responses import StreamingResponse
from handlers import handlers


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncGenerator[dict[str, httpx.AsyncClient]]:
    tls = ssl.create_default_context(cafile=os.environ.get("APP_UPSTREAMS__BANK__CA_BUNDLE"))
    if certificate := os.environ.get("APP_UPSTREAMS__BANK__CLIENT_CERT"):
        tls.load_cert_chain(certificate)
    async with httpx.AsyncClient(timeout=5, verify=tls) as client:
        yield {"client": client}


def shared(request: Request) -> httpx.AsyncClient:
    client: httpx.AsyncClient = request.state.client
    return client


Client = Annotated[httpx.AsyncClient, Depends(shared)]

app = FastAPI(lifespan=lifespan)
PREFIX = "APP_UPSTREAMS__C__OAUTH2_"
SETTINGS = {name.removeprefix(PREFIX): value for name, value in os.environ.items()}


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


token = ""
expires_at = 0.0


@app.get("/protected")
async def protected(url: str, client: Client, response: Response) -> None:
    global token, expires_at
    if time.monotonic() >= expires_at:
        credentials = (SETTINGS["CLIENT_ID"], SETTINGS["CLIENT_SECRET"])
        data = {"grant_type": "client_credentials"}
        answer = (await client.post(SETTINGS["TOKEN_URL"], data=data, auth=credentials)).json()
        token, expires_at = answer["access_token"], time.monotonic() + answer["expires_in"] - 30
    called = await client.get(url, headers={"Authorization": f"Bearer {token}"})
    response.status_code = called.status_code


app.include_router(handlers(shared))

if __name__ == "__main__":
    moving_name.install()
    logging.basicConfig(level=logging.INFO)
    uvicorn.run(app, port=int(os.environ["APP_PORT"]))
