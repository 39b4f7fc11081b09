"""The call log: one line for each call, however it ended."""

import logging
import time

import {{ cookiecutter.__httpx }}

from ...log import write
from .base import Call, Layer

log = logging.getLogger(__name__)


class CallLog(Layer):
    """Log each call when it ends, without anything that may be secret.

    Logs the upstream's name (for the default client, the host), and the path without its query.
    """

    async def send(self, request: httpx.Request, call: Call) -> httpx.Response:
        started = time.perf_counter()
        call.on_end(lambda failure: _log(request, call, started, failure))
        return await self.inner.send(request, call)


def _log(request: httpx.Request, call: Call, started: float, failure: BaseException | None) -> None:
    level = logging.WARNING if isinstance(failure, httpx.HTTPError) else logging.INFO
    fields = {
        "upstream": call.upstream or request.url.raw_host.decode("ascii", "replace"),
        "method": request.method,
        "path": request.url.raw_path.partition(b"?")[0].decode("ascii", "replace"),
        "status": call.status,
        "attempts": call.attempts,
        "duration_ms": round((time.perf_counter() - started) * 1000, 2),
    }
    if isinstance(failure, httpx.HTTPError):
        fields["error"] = f"{type(failure).__name__}: {failure}"
    elif failure is not None:  # its message may contain a secret
        fields["error"] = type(failure).__name__
    write(log, level, "upstream call", fields)
