"""Handlers besides /external, the same in both services."""

import asyncio
import os
from collections.abc import Callable
from typing import Annotated, Any

import httpx
from fastapi import APIRouter, Depends, Request, Response

SECRET = os.environ.get("SECRET", "")


def handlers(client_of: Callable[..., Any]) -> APIRouter:
    """Return the handlers; ``client_of`` is the dependency that gives them a client."""
    router = APIRouter()
    Client = Annotated[httpx.AsyncClient, Depends(client_of)]  # noqa: N806 - a type

    @router.post("/order")
    async def order(url: str, client: Client) -> int:
        return (await client.post(url, content=b"one order")).status_code

    @router.post("/upload")
    async def upload(url: str, request: Request, client: Client) -> Response:
        response = await client.post(url, content=request.stream())
        return Response(response.content, status_code=response.status_code)

    @router.get("/with-secret")
    async def with_secret(url: str, client: Client) -> int:
        headers = {"Authorization": f"Bearer {SECRET}"}
        return (await client.get(f"{url}token={SECRET}", headers=headers)).status_code

    @router.get("/with-timeout")
    async def with_timeout(url: str, timeout_s: float, client: Client) -> str:
        try:
            async with asyncio.timeout(timeout_s):
                return (await client.get(url)).text
        except TimeoutError:
            return "timed out"

    @router.get("/unclosed")
    async def unclosed(url: str, client: Client) -> int:
        response = await client.send(client.build_request("GET", url), stream=True)
        return response.status_code  # the response is never closed

    return router
