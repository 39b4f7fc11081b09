"""Shapes log records: one line each on stdout, whoever wrote them, uvicorn included."""

import os
import re
import sys
from contextvars import ContextVar
from typing import Any

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

request_id: ContextVar[str | None] = ContextVar("request_id", default=None)


def config(level: str, format: str) -> dict[str, Any]:
    """A ``logging.config.dictConfig`` for uvicorn to apply in each of its processes."""
    # At INFO these tell whole URLs, at DEBUG also headers: the places where secrets are.
    # The client writes a line of its own for each call, without them.
    talkative = ("aiohttp", "h2", "hpack", "httpcore2", "httpx", "httpx2")
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"line": {"()": f"{__name__}.{format}_formatter"}},
        "handlers": {
            "stdout": {
                "class": "logging.StreamHandler",
                "stream": "ext://sys.stdout",
                "formatter": "line",
            }
        },
        "root": {"level": level, "handlers": ["stdout"]},
        "loggers": {name: {"level": "WARNING"} for name in talkative},
    }


def json_formatter() -> structlog.stdlib.ProcessorFormatter:
    """One JSON object a line, for machines."""
    return _formatter(structlog.processors.JSONRenderer())


def console_formatter() -> structlog.stdlib.ProcessorFormatter:
    """Aligned columns for people, in colour on a terminal unless NO_COLOR says no."""
    colors = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    return _formatter(
        structlog.dev.ConsoleRenderer(
            colors=colors,
            event_key="message",
            # They are text by now, and this alone takes that without a warning.
            exception_formatter=structlog.dev.plain_traceback,
        )
    )


def _formatter(rendering: Processor) -> structlog.stdlib.ProcessorFormatter:
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.stdlib.add_log_level,
            structlog.stdlib.add_logger_name,
            structlog.processors.EventRenamer("message"),
            _add_request_id,
            structlog.stdlib.ExtraAdder(),
            _drop_color_message,
        ],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            _hide_secrets_of_urls,
            rendering,
        ],
    )


def _add_request_id(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    # On the formatter, not in a filter: a logger's filters do not see its children's records.
    event["request_id"] = request_id.get()
    return event


_URL = re.compile(r"(https?://)(?:[^\s/?#@'\"]*@)?([^\s?#'\"]*)[^\s'\"]*")


def _hide_secrets_of_urls(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    # httpx's own exceptions tell whole URLs, and tracebacks of others tell them as their cause.
    if "exception" in event:
        event["exception"] = _URL.sub(r"\1\2", event["exception"])
    return event


def _drop_color_message(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    event.pop("color_message", None)  # uvicorn's message once more, in colour
    return event
