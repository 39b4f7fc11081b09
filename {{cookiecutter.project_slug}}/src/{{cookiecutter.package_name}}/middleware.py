"""The request id, the access line, and what is known of the caller."""

import asyncio
import logging
import math
import random
import re
import time
from collections.abc import Awaitable
from urllib.parse import quote

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .http_client.layers.disconnect import Caller, caller
from .log import request_id, write
from .problems import client_failure, log_failure, problem
from .settings import Settings

log = logging.getLogger(__name__)

_VALID_ID = re.compile(rb"[A-Za-z0-9._-]{1,128}")
QUIET_PATHS = {"/livez", "/readyz"}
# Most requests have ended by then. Listening takes a task, so only slow ones pay for it.
_LISTEN_AFTER_S = 0.2


class RequestMiddleware:
    """Set the request id, write the access line, and log failures that no handler answered.

    The id is the caller's ``X-Request-ID`` if that is valid, else a new one.
    """

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self.app = app
        self.root_path = settings.root_path
        self.listen_after_s = _LISTEN_AFTER_S if settings.cancel_on_disconnect else math.inf

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path: str = scope.get("path", "")
        if root := scope.get("root_path") or self.root_path:
            # A proxy may have removed the prefix; ASGI's path includes it, or mounts break.
            path = path.removeprefix(root)
            scope["root_path"], scope["path"] = root, root + path
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        given = next((value for name, value in scope["headers"] if name == b"x-request-id"), b"")
        own = given if _VALID_ID.fullmatch(given) else b"%032x" % random.getrandbits(128)
        status = None
        complete = False
        current = Caller(scope, receive, self.listen_after_s)
        started = time.perf_counter()

        def send_with_id(message: Message) -> Awaitable[None]:
            nonlocal status, complete
            if message["type"] == "http.response.start":
                status = message["status"]
                current.answered = True  # later calls, as of background tasks, go on
                message["headers"] = [*message.get("headers", ()), (b"x-request-id", own)]
            elif message["type"] == "http.response.body":
                complete = not message.get("more_body")
            return send(message)

        id_token = request_id.set(own.decode())
        caller_token = caller.set(current)
        try:
            await self.app(scope, current.receive, send_with_id)
            if status is None:
                status = 499  # nobody waits for a response: the caller left
        except asyncio.CancelledError as cancelled:
            # uvicorn cancels at the end of the grace period; re-raising would log a traceback.
            if status is not None or "graceful shutdown" not in str(cancelled):
                raise
            response = problem(503, "shutting-down", "The service is shutting down.")
            await response(scope, receive, send_with_id)
        except Exception as failure:
            # Starlette re-raises the exceptions that it has answered.
            if complete:
                log_failure(failure)
            else:
                # The server closes the connection because the response is incomplete; the call
                # log has a line for an upstream's failure.
                known = client_failure(failure)
                log.error("response aborted", exc_info=None if known else failure)
        finally:
            current.stop()
            level = logging.DEBUG if path in QUIET_PATHS else logging.INFO
            fields = {
                "method": scope["method"],
                "path": quote(scope["path"]),  # a line break in it must not forge a log line
                "status": status,
                "duration_ms": round((time.perf_counter() - started) * 1000, 2),
            }
            write(log, level, "request", fields)
            caller.reset(caller_token)
            request_id.reset(id_token)
