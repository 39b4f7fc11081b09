"""What a reader of the well-known accepted answer would write on the generated service.

Copied into a generated project and run there; the argument is uvicorn's `--lifespan`.
"""

import sys
from typing import Annotated

import httpx
import uvicorn
from fastapi import Depends, FastAPI
from my_service.app import create_app
from my_service.http_client import Httpbin, HTTPClient, upstream
from my_service.settings import Settings

ByName = Annotated[httpx.AsyncClient, Depends(upstream("httpbin"))]

app = create_app()
mounted = FastAPI()


@app.get("/clients")
@mounted.get("/clients")
async def clients(shared: HTTPClient, alias: Httpbin, by_name: ByName) -> dict[str, str]:
    return {"shared": hex(id(shared)), "alias": hex(id(alias)), "by_name": hex(id(by_name))}


@app.get("/call")
@mounted.get("/call")
async def call(httpbin: Httpbin) -> str:
    return (await httpbin.get("/get")).text


app.mount("/mounted", mounted)

if __name__ == "__main__":
    uvicorn.run(app, port=Settings().port, lifespan=sys.argv[1])  # type: ignore[arg-type]
