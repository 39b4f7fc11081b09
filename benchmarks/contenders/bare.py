"""A bare FastAPI application: one route with a parameter."""

import os

import uvicorn
from fastapi import FastAPI

app = FastAPI()


@app.get("/livez")
async def livez() -> str:
    return "ok"


@app.get("/external")
async def external(url: str) -> dict[str, str | int]:
    return {"result": url, "status": 200}


if __name__ == "__main__":
    uvicorn.run(app, port=int(os.environ["APP_PORT"]))
