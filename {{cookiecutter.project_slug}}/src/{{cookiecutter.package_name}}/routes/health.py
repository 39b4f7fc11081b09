"""Liveness and readiness probes."""

from typing import Any

from fastapi import APIRouter, Request, Response

router = APIRouter(tags=["health"])


@router.get("/livez")
async def livez() -> dict[str, str]:
    """Liveness: a failure here gets the process restarted."""
    return {"status": "ok"}


@router.get("/readyz", responses={503: {"description": "Starting, draining or closed"}})
async def readyz(request: Request, response: Response) -> dict[str, Any]:
    """Readiness. Upstream outages are reported but do not fail it."""
    clients = getattr(request.state, "clients", None)
    status = "starting" if clients is None else clients.status
    if status != "ready":
        response.status_code = 503
    return {
        "status": status,
        "upstreams": {
            name: stack.gauges() for name, stack in (clients.upstreams if clients else {}).items()
        },
    }
