"""Failures become ``application/problem+json`` (RFC 9457), without their secrets."""

import http.client
import logging
from typing import Any

import {{ cookiecutter.__httpx }}
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from .http_client.errors import Rejected, upstream_of
from .log import request_id

log = logging.getLogger(__name__)


class Problem(BaseModel):
    """What the caller may know. Details for debugging are in the log, under the request id."""

    type: str
    title: str
    status: int
    detail: str
    request_id: str | None
    upstream: str | None = None


# For ``responses=`` of routes that call upstreams, to document their failures in OpenAPI.
RESPONSES: dict[int | str, dict[str, Any]] = {
    status: {
        "description": http.client.responses[status],
        "content": {"application/problem+json": {"schema": Problem.model_json_schema()}},
    }
    for status in (400, 422, 502, 503, 504)
}

# For httpx's own exceptions, narrow classes first; the client's own have a ``problem``.
_PROBLEMS: tuple[tuple[type[Exception], int, str, str], ...] = (
    (httpx.InvalidURL, 400, "origin-not-allowed", "Invalid URL."),
    (httpx.LocalProtocolError, 500, "internal-error", "Invalid upstream request."),
    (httpx.UnsupportedProtocol, 400, "origin-not-allowed", "The URL must use http or https."),
    (httpx.TimeoutException, 504, "upstream-timeout", "The upstream did not respond in time."),
    (httpx.ConnectError, 502, "upstream-unreachable", "Cannot reach the upstream."),
    (httpx.HTTPStatusError, 502, "upstream-status", "The upstream rejected the request."),
    (httpx.HTTPError, 502, "upstream-failed", "The upstream sent a broken or invalid response."),
)


def install(app: FastAPI) -> None:
    """Turn this application's failures into problem responses; mounted ones need their own call."""
    app.add_exception_handler(httpx.HTTPError, _answer_failure)
    app.add_exception_handler(httpx.InvalidURL, _answer_failure)
    app.add_exception_handler(ExceptionGroup, _answer_failure_group)
    app.add_exception_handler(RequestValidationError, _answer_invalid_input)
    app.add_exception_handler(HTTPException, _answer_http_exception)


def problem(
    status: int,
    kind: str,
    detail: str,
    *,
    upstream: str | None = None,
    headers: dict[str, str] | None = None,
) -> JSONResponse:
    """Build a problem response. ``kind`` is a stable identifier that clients can match on."""
    content = Problem(
        type=f"urn:problem-type:{kind}",
        title=kind.replace("-", " ").capitalize(),
        status=status,
        detail=detail,
        request_id=request_id.get(),
        upstream=upstream,
    )
    return JSONResponse(
        content.model_dump(exclude_none=True),
        status,
        headers=headers,
        media_type="application/problem+json",
    )


async def _answer_failure(_: Request, failure: Exception) -> JSONResponse:
    status, kind, detail = getattr(failure, "problem", None) or next(
        row[1:] for row in _PROBLEMS if isinstance(failure, row[0])
    )
    if status == 500:
        log.error("invalid upstream request", exc_info=failure)
    retry_after = failure.retry_after_s if isinstance(failure, Rejected) else None
    return problem(
        status,
        kind,
        detail,
        upstream=upstream_of(failure),
        headers={"Retry-After": str(retry_after)} if retry_after else None,
    )


async def _answer_failure_group(request: Request, failures: Exception) -> JSONResponse:
    """Respond to an ExceptionGroup of client failures as to its first one; re-raise any other."""
    assert isinstance(failures, ExceptionGroup)
    known, others = failures.split((httpx.HTTPError, httpx.InvalidURL))
    if others is not None or known is None:
        raise failures
    first: Exception = known
    while isinstance(first, ExceptionGroup):
        first = first.exceptions[0]
    return await _answer_failure(request, first)


async def _answer_invalid_input(_: Request, failure: Exception) -> JSONResponse:
    assert isinstance(failure, RequestValidationError)
    detail = "; ".join(
        f"{'.'.join(str(part) for part in error['loc'])}: {error['msg']}"
        for error in failure.errors()
    )
    return problem(422, "invalid-input", detail)


async def _answer_http_exception(request: Request, failure: Exception) -> Response:
    assert isinstance(failure, HTTPException)
    status, headers = failure.status_code, dict(failure.headers or {})
    if status in {204, 304}:
        return Response(status_code=status, headers=headers)
    phrase = http.client.responses.get(status, "Error")
    return problem(status, phrase.lower().replace(" ", "-"), str(failure.detail), headers=headers)
