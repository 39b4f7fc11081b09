"""What people write beside /external, the same for either service."""

import asyncio
import os
from collections.abc import Callable
from typing import Annotated, Any

import httpx
from fastapi import APIRouter, Depends

SECRET = os.environ["SECRET"]


def handlers(client_of: Callable[..., Any]) -> APIRouter:
    """The handlers, given the dependency that is their client."""
    router = APIRouter()
    Client = Annotated[httpx.AsyncClient, Depends(client_of)]  # noqa: N806 - a type

    @router.post("/order")
    async def order(url: str, client: Client) -> int:
        return (await client.post(url, content=b"one order")).status_code

    @router.get("/with-secret")
    async def with_secret(url: str, client: Client) -> int:
        headers = {"Authorization": f"Bearer {SECRET}"}
        return (await client.get(f"{url}token={SECRET}", headers=headers)).status_code

    @router.get("/leaves-early")
    async def leaves_early(url: str, after_s: float, client: Client) -> str:
        try:
            async with asyncio.timeout(after_s):
                return (await client.get(url)).text
        except TimeoutError:
            return "left"

    @router.get("/forgetful")
    async def forgetful(url: str, client: Client) -> int:
        response = await client.send(client.build_request("GET", url), stream=True)
        return response.status_code  # and nobody closes it

    return router
