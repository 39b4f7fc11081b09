"""Whether the process lives, and whether it wants traffic."""

from typing import Any

from fastapi import APIRouter, Request, Response

router = APIRouter(tags=["health"])


@router.get("/livez")
async def livez() -> dict[str, str]:
    """The process serves: to fail here is to be restarted."""
    return {"status": "ok"}


@router.get("/readyz", responses={503: {"description": "Starting or draining"}})
async def readyz(request: Request, response: Response) -> dict[str, Any]:
    """The service takes traffic. An upstream's outage is told and does not count."""
    clients = getattr(request.state, "clients", None)
    if clients is None or clients.draining:
        response.status_code = 503
    return {
        "status": "starting" if clients is None else "draining" if clients.draining else "ready",
        "upstreams": {
            name: managed.status()
            for name, managed in (clients.upstreams if clients else {}).items()
        },
    }
