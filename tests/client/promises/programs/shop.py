"""A service with a route of its own, which sends orders to the upstream `shop`."""

from collections.abc import AsyncGenerator
from typing import Annotated

import httpx
import uvicorn
from fastapi import Depends
from my_service.app import create_app
from my_service.http_client import upstream
from my_service.settings import Settings

Shop = Annotated[httpx.AsyncClient, Depends(upstream("shop"))]

app = create_app()


@app.post("/orders")
async def order(
    shop: Shop, path: str, key: str | None = None, streamed: bool = False, once: bool = False
) -> int:
    headers = {} if key is None else {"Idempotency-Key": key}
    content = pieces() if streamed else b"order"
    own = {"retry": False} if once else {}
    return (await shop.post(path, content=content, headers=headers, extensions=own)).status_code


async def pieces() -> AsyncGenerator[bytes]:
    yield b"or"
    yield b"der"


if __name__ == "__main__":
    uvicorn.run(app, port=Settings().port, log_config=None)
