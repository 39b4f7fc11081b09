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

from .http_client import errors
from .log import request_id

log = logging.getLogger(__name__)


class Problem(BaseModel):
    """What went wrong, for the caller; what is needed to mend it is in the log, by request id."""

    type: str
    title: str
    status: int
    detail: str
    request_id: str | None
    upstream: str | None = None


# For ``responses=`` of a route that calls upstreams, so that its OpenAPI tells the truth.
RESPONSES: dict[int | str, dict[str, Any]] = {
    status: {
        "description": http.client.responses[status],
        "content": {"application/problem+json": {"schema": Problem.model_json_schema()}},
    }
    for status in (400, 422, 502, 503, 504)
}

# The first class that fits an exception counts, so the narrow ones stand first.
_FAILURES: tuple[tuple[type[Exception], int, str, str], ...] = (
    (errors.URLNotAllowed, 400, "origin-not-allowed", "The URL is not one this service calls."),
    (httpx.InvalidURL, 400, "origin-not-allowed", "The URL is not valid."),
    (httpx.LocalProtocolError, 500, "internal-error", "The call to the upstream is not valid."),
    (httpx.UnsupportedProtocol, 400, "origin-not-allowed", "The URL is neither http nor https."),
    (errors.CircuitOpen, 503, "upstream-unavailable", "The upstream failed too often of late."),
    (errors.RateLimited, 503, "upstream-rate-limited", "Too many calls to the upstream of late."),
    (httpx.PoolTimeout, 503, "upstream-saturated", "Too many calls to the upstream at once."),
    (httpx.TimeoutException, 504, "upstream-timeout", "The upstream did not answer in time."),
    (httpx.ConnectError, 502, "upstream-unreachable", "The upstream cannot be reached."),
    (errors.ResponseTooLarge, 502, "upstream-response-too-large", "The response is too large."),
    (httpx.HTTPStatusError, 502, "upstream-status", "The upstream refused the call."),
    (httpx.HTTPError, 502, "upstream-failed", "The upstream broke off or broke the protocol."),
)


def install(app: FastAPI) -> None:
    """Answer failures with problems in this application, and not in those mounted in it."""
    app.add_exception_handler(httpx.HTTPError, _failure)
    app.add_exception_handler(httpx.InvalidURL, _failure)
    app.add_exception_handler(ExceptionGroup, _failures)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _refusal)


def problem(
    status: int,
    kind: str,
    detail: str,
    *,
    upstream: str | None = None,
    headers: dict[str, str] | None = None,
) -> JSONResponse:
    """A response that tells of a failure; ``kind`` is stable, for programs to compare."""
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


async def _failure(_: Request, failure: Exception) -> JSONResponse:
    status, kind, detail = next(row[1:] for row in _FAILURES if isinstance(failure, row[0]))
    if status == 500:
        log.error("a call that cannot be made", exc_info=failure)
    retry_after = failure.retry_after_s if isinstance(failure, errors.Refused) else None
    return problem(
        status,
        kind,
        detail,
        upstream=errors.upstream_of(failure),
        headers={"Retry-After": str(retry_after)} if retry_after else None,
    )


async def _failures(request: Request, failures: Exception) -> JSONResponse:
    """Those of calls in a task group: told as the first, if there is nothing else in it."""
    assert isinstance(failures, ExceptionGroup)
    known, others = failures.split((httpx.HTTPError, httpx.InvalidURL))
    if others is not None or known is None:
        raise failures
    first: Exception = known
    while isinstance(first, ExceptionGroup):
        first = first.exceptions[0]
    return await _failure(request, first)


async def _invalid(_: Request, failure: Exception) -> JSONResponse:
    assert isinstance(failure, RequestValidationError)
    detail = "; ".join(
        f"{'.'.join(str(part) for part in error['loc'])}: {error['msg']}"
        for error in failure.errors()
    )
    return problem(422, "invalid-input", detail)


async def _refusal(request: Request, failure: Exception) -> Response:
    assert isinstance(failure, HTTPException)
    status, headers = failure.status_code, dict(failure.headers or {})
    if status in {204, 304}:
        return Response(status_code=status, headers=headers)
    phrase = http.client.responses.get(status, "Error")
    return problem(status, phrase.lower().replace(" ", "-"), str(failure.detail), headers=headers)
