"""The generated service, plus the handlers with the client of its upstream `a`."""

from typing import Annotated

import httpx
import moving_name
import uvicorn
from fastapi import Depends, Response
from handlers import handlers
from my_service.app import create_app
from my_service.http_client import upstream
from my_service.settings import Settings

C = Annotated[httpx.AsyncClient, Depends(upstream("c"))]


async def protected(url: str, client: C, response: Response) -> None:
    response.status_code = (await client.get(url)).status_code


if __name__ == "__main__":
    moving_name.install()
    app = create_app()
    app.add_api_route("/protected", protected)
    app.include_router(handlers(upstream("a")))
    uvicorn.run(app, port=Settings().port, log_config=None, access_log=False, server_header=False)
