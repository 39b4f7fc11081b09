"""Failures become ``application/problem+json`` (RFC 9457), without their secrets."""

import http.client
import logging
import traceback
from typing import Any

import {{ cookiecutter.__httpx }}
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Receive, Scope, Send

from .http_client.errors import ProblemType, Rejected, upstream_of
from .http_client.layers.disconnect import caller
from .log import hide_secrets, request_id

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

_CLIENT_FAILURES = (httpx.HTTPError, httpx.InvalidURL)

# For httpx's own exceptions, narrow classes first; the client's own have a ``problem``.
_PROBLEMS: tuple[tuple[type[Exception], int, str, str], ...] = (
    (httpx.InvalidURL, 500, "internal-error", "Invalid upstream request."),
    (httpx.LocalProtocolError, 500, "internal-error", "Invalid upstream request."),
    (httpx.UnsupportedProtocol, 500, "internal-error", "Invalid upstream request."),
    (httpx.TimeoutException, 504, "upstream-timeout", "The upstream did not respond in time."),
    (httpx.ConnectError, 502, "upstream-unreachable", "Cannot reach the upstream."),
    (httpx.HTTPStatusError, 502, "upstream-status", "The upstream returned an error."),
    (httpx.HTTPError, 502, "upstream-failed", "The upstream sent a broken or invalid response."),
)


def install(app: FastAPI) -> None:
    """Turn this application's failures into problem responses; mounted ones need their own call."""
    app.add_middleware(_answer_inside)
    app.add_exception_handler(Exception, _answer_failure)
    app.add_exception_handler(RequestValidationError, _answer_invalid_input)
    app.add_exception_handler(HTTPException, _answer_http_exception)


def client_failure(
    failure: BaseException | None, found: dict[int, Exception | None] | None = None
) -> Exception | None:
    """Return the client's exception behind a failure: itself, its cause, or one of its group.

    Only a declared cause is a wrapped exception: one raised while another was handled is a bug.
    """
    found = {} if found is None else found
    chain = []
    while failure is not None and id(failure) not in found:
        chain.append(id(failure))
        found[id(failure)] = None  # for a cause that leads back here
        if isinstance(failure, _CLIENT_FAILURES):
            found[id(failure)] = failure
        elif isinstance(failure, BaseExceptionGroup):
            members = [client_failure(each, found) for each in failure.exceptions]
            found[id(failure)] = members[0] if all(members) else None
        else:
            failure = failure.__cause__
    result = found.get(id(failure))
    found |= dict.fromkeys(chain, result)
    return result


def log_failure(failure: Exception) -> None:
    """Log a failure that the call log does not explain."""
    cause = client_failure(failure)
    if cause is None:
        log.error("unhandled exception", exc_info=failure)
    elif _type_of(cause).status == 500:
        log.error("invalid upstream request", exc_info=failure)
    elif wrappers := [each for each in _leaves(failure) if not isinstance(each, _CLIENT_FAILURES)]:
        # Unlike str(), this does not raise what a broken exception raises.
        lines = [traceback.format_exception_only(each)[-1].strip() for each in wrappers]
        fields = {"error": hide_secrets("; ".join(lines))}
        log.warning("library raised on an upstream failure", extra=fields)


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


def _answer_inside(app: ASGIApp) -> ASGIApp:
    """Answer failures inside other middleware, so that CORS, for example, sees the responses.

    Starlette calls its handler for Exception outside, for the failures of middleware.
    """

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        handlers = scope["app"].exception_handlers
        try:
            await app(scope, receive, send)
        except Exception as failure:
            current = caller.get()
            own = handlers.get(500, handlers.get(Exception)) is _answer_failure
            if current is None or current.answered or not (own or client_failure(failure)):
                raise
            log_failure(failure)
            response = await _answer_failure(Request(scope), failure)
            await response(scope, receive, send)

    return answer


async def _answer_failure(_: Request, failure: Exception) -> JSONResponse:
    cause = client_failure(failure)
    if cause is None:
        return problem(500, "internal-error", "The service failed.")
    retry_after = cause.retry_after_s if isinstance(cause, Rejected) else None
    return problem(
        *_type_of(cause),
        upstream=upstream_of(cause),
        headers={"Retry-After": str(retry_after)} if retry_after else None,
    )


def _type_of(cause: Exception) -> ProblemType:
    own: ProblemType | None = getattr(cause, "problem", None)
    return own or next(ProblemType(*row[1:]) for row in _PROBLEMS if isinstance(cause, row[0]))


def _leaves(failure: BaseException) -> list[BaseException]:
    leaves, pending = [], [failure]
    while pending:
        each = pending.pop(0)
        if isinstance(each, BaseExceptionGroup):
            pending[:0] = each.exceptions
        else:
            leaves.append(each)
    return leaves


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
