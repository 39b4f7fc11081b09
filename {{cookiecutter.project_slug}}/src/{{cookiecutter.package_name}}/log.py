"""Formats all log records, the server's included: one line each on stdout."""

import json
import logging
import os
import re
import sys
import time
from contextvars import ContextVar
from functools import lru_cache
from typing import Any

import orjson

request_id: ContextVar[str | None] = ContextVar("request_id", default=None)

# Objects as their own text, which omits secrets; orjson would write dataclasses field by field.
_AS_TEXT = orjson.OPT_PASSTHROUGH_DATACLASS

_COLORS = {"DEBUG": 36, "INFO": 32, "WARNING": 33, "ERROR": 31, "CRITICAL": 31}

# Attributes every record has, plus uvicorn's coloured duplicate of the message. Anything else is
# an event field.
_STANDARD_ATTRIBUTES = {"asctime", "color_message", "message"}.union(
    vars(logging.LogRecord("", 0, "", 0, "", None, None))
)

# These log full URLs at INFO and headers at DEBUG; both can contain secrets.
_VERBOSE = ("aiohttp", "h2", "hpack", "httpcore2", "httpx", "httpx2")

# The loggers of servers. uvicorn.access is turned off: it logs queries, and middleware.py writes
# a better line.
_SERVERS = (
    *("uvicorn", "uvicorn.error", "uvicorn.access"),
    *("gunicorn.error", "hypercorn.error", "_granian"),
)

# Matches a URL; whatever lies outside the two groups may be secret, even in its path. A quote ends
# a URL only before a space, punctuation or the end: OData has quotes in paths.
_URL = re.compile(
    r"(?i)\b([a-z][a-z0-9+.-]*://)(?:[^\s/?#]*@)?([^\s/?#'\"]*)"
    r"(?:(?!['\"](?:[\s,;:\]}>]|\)(?![?/&#])|\Z))\S)*"
)


def configure(level: str, format: str) -> None:
    """Log to stdout, unless the root logger already has a foreign handler (as ``basicConfig``).

    The servers' console lines get this format; their files stay. In any case, quiet the libraries
    that log whole URLs, unless their level is set.
    """
    for name in _VERBOSE:
        if logging.getLogger(name).level == logging.NOTSET:
            logging.getLogger(name).setLevel(logging.WARNING)
    root = logging.getLogger()
    own = (JsonFormatter, ConsoleFormatter)
    if not all(isinstance(handler.formatter, own) for handler in root.handlers):
        return
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JsonFormatter() if format == "json" else ConsoleFormatter())
    root.handlers = [handler]
    root.setLevel(level)
    for name in _SERVERS:
        logger = logging.getLogger(name)
        if all(type(own) is logging.StreamHandler for own in logger.handlers):
            logger.handlers, logger.propagate = [], name != "uvicorn.access"
            logger.setLevel(logging.NOTSET)


def write(log: logging.Logger, level: int, message: str, fields: dict[str, Any]) -> None:
    """Log a message with fields. The record has no file and line: finding them takes 4 µs."""
    if log.isEnabledFor(level):
        log.handle(log.makeRecord(log.name, level, "", 0, message, (), None, extra=fields))


class JsonFormatter(logging.Formatter):
    """One JSON object per line, for machines."""

    def format(self, record: logging.LogRecord) -> str:
        event = _event(record, self)
        try:
            return orjson.dumps(event, default=str, option=_AS_TEXT).decode()
        except TypeError:  # for lone surrogates, and integers over 64 bits
            return json.dumps(event, default=str)


class ConsoleFormatter(logging.Formatter):
    """Lines for people, coloured on a terminal unless NO_COLOR is set."""

    def __init__(self) -> None:
        super().__init__()
        self._colors = _COLORS if sys.stdout.isatty() and not os.environ.get("NO_COLOR") else {}

    def format(self, record: logging.LogRecord) -> str:
        event = _event(record, self)
        clock = event.pop("timestamp")[11:23]
        level, message = event.pop("level").upper(), event.pop("message")
        traces = [event.pop(name) for name in ("exception", "stack") if name in event]
        if level in self._colors:
            level = f"\x1b[{self._colors[level]}m{level:8}\x1b[0m"
        for name in ("request_id", "logger"):  # last, because people need them least
            event[name] = event.pop(name)
        fields = (f"{key}={_quote(value)}" for key, value in event.items() if value is not None)
        line = f"{clock} {level:8} {message:20} {' '.join(fields)}"
        return "\n".join([line, *traces])


def _event(record: logging.LogRecord, formatter: logging.Formatter) -> dict[str, Any]:
    own = {
        "timestamp": f"{_format_second(int(record.created))}.{int(record.created % 1 * 1000):03}Z",
        "level": record.levelname.lower(),
        "logger": record.name,
        "message": record.getMessage(),
        # Here, not in a filter: a logger's filters do not see its children's records.
        "request_id": request_id.get(),
    }
    fields = vars(record).items()
    extra = {name: value for name, value in fields if name not in _STANDARD_ATTRIBUTES}
    event = own | extra | own  # `own` comes first, and wins
    if record.exc_info:
        # httpx's exceptions contain full URLs, and so do tracebacks chained to them.
        event["exception"] = hide_secrets(formatter.formatException(record.exc_info))
    if record.stack_info:
        event["stack"] = hide_secrets(record.stack_info)
    return event


def hide_secrets(text: str) -> str:
    """Reduce each URL in a text to its scheme, host and port."""
    return _URL.sub(r"\1\2", text)


@lru_cache(1)
def _format_second(timestamp: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(timestamp))


def _quote(value: object) -> str:
    text = str(value)
    return text if text.isprintable() and " " not in text else repr(text)
