"""Starts the service: ``python -m``, and the console script."""

import math
import sys
from collections.abc import Callable

import uvicorn
from pydantic import ValidationError
from pydantic_settings import SettingsError

from . import log, workers
from .settings import Settings, explained


def main() -> None:
    """Serve until SIGTERM or SIGINT; invalid settings are told on stderr, with exit code 2."""
    try:
        settings = Settings()
    except (ValidationError, SettingsError) as error:
        print("The settings are not valid:", *explained(error), sep="\n  ", file=sys.stderr)
        sys.exit(2)
    run: Callable[..., None] = uvicorn.run if settings.workers == 1 else workers.run
    run(
        f"{__package__}.app:create_served_app",
        factory=True,
        host=settings.host,
        port=settings.port,
        workers=settings.workers,
        log_config=log.config(settings.log_level, settings.log_format),
        access_log=False,  # request_id.py writes a better one
        server_header=False,
        timeout_graceful_shutdown=math.ceil(settings.shutdown_grace_s),
    )


if __name__ == "__main__":
    main()
