"""The routes of the well-known accepted answer, written on the generated service.

Runs in a generated project's environment; the argument is uvicorn's `--lifespan`.
"""

import sys
from typing import Annotated, Literal

import httpx
import uvicorn
from fastapi import Depends, FastAPI
from my_service.app import create_app
from my_service.http_client import Httpbin, HTTPClient, upstream
from my_service.settings import Settings

ByName = Annotated[httpx.AsyncClient, Depends(upstream("httpbin"))]

app = create_app()
mounted = FastAPI()


@app.get("/ids")
@mounted.get("/ids")
async def ids(shared: HTTPClient, alias: Httpbin, by_name: ByName) -> dict[str, int]:
    return {"default": id(shared), "httpbin": id(alias), "by_name": id(by_name)}


@app.get("/test-call-external")
@mounted.get("/test-call-external")
async def call_external(httpbin: Httpbin) -> str:
    return (await httpbin.get("/get")).text


app.mount("/mounted", mounted)


def main(lifespan: Literal["on", "off"]) -> None:
    uvicorn.run(app, port=Settings().port, log_config=None, lifespan=lifespan)


if __name__ == "__main__":
    main("off" if "off" in sys.argv else "on")
