"""The call log: one line for each call, however it ended."""

import logging
import time
from urllib.parse import quote_from_bytes, unquote_to_bytes

import {{ cookiecutter.__httpx }}

from ...log import hide_secrets, write
from .base import Call, Layer

log = logging.getLogger(__name__)


class CallLog(Layer):
    """Log each call when it ends, without anything that may be secret.

    Logs the upstream's name (for the default client, the host), and the path without its query and
    without the base URL's own path.
    """

    def __init__(self, base_url: httpx.URL | None) -> None:
        super().__init__()
        self._path_of = PublicPath(base_url)

    async def send(self, request: httpx.Request, call: Call) -> httpx.Response:
        started = time.perf_counter()
        call.on_end(lambda failure: self._log(request, call, started, failure))
        return await self.inner.send(request, call)

    def _log(
        self, request: httpx.Request, call: Call, started: float, failure: BaseException | None
    ) -> None:
        level = logging.WARNING if isinstance(failure, httpx.HTTPError) else logging.INFO
        fields = {
            "upstream": call.upstream or request.url.raw_host.decode("ascii", "replace"),
            "method": request.method,
            "path": self._path_of(request.url),
            "status": call.status,
            "attempts": call.attempts,
            "duration_ms": round((time.perf_counter() - started) * 1000, 2),
        }
{% if "cache" in cookiecutter.features %}
        if call.cache:
            fields["cache"] = call.cache
        if call.replaced:
            level, fields["error"] = logging.WARNING, hide_secrets(call.replaced)
{% endif %}
        if isinstance(failure, httpx.HTTPError):
            fields["error"] = hide_secrets(f"{type(failure).__name__}: {failure}")
        elif failure is not None:  # its message may contain a secret
            fields["error"] = type(failure).__name__
        write(log, level, "upstream call", fields)


class PublicPath:
    """Returns a URL's path without the base URL's, in which Telegram and others want a key."""

    def __init__(self, base_url: httpx.URL | None) -> None:
        path = base_url.raw_path if base_url else b"/"
        self._own = unquote_to_bytes(path).rstrip(b"/") + b"/"

    def __call__(self, url: httpx.URL) -> str:
        path = url.raw_path.partition(b"?")[0]
        if self._own != b"/":  # wherever it is: Telegram's files are at /file/<base path>/…
            path = (unquote_to_bytes(path) + b"/").replace(self._own, b"/")[:-1] or b"/"
            return quote_from_bytes(path, safe="/:@!$&'()*+,;=~")
        return path.decode("ascii", "replace")
