"""Starts the service: ``python -m``, and the console script."""

import gc
import math
import sys


def main() -> None:
    """Serve until SIGTERM or SIGINT. Print invalid settings to stderr and exit with code 2."""
    # Imports create little garbage, so looking for it would waste a tenth of the start. The
    # lifespan sets the threshold for serving.
    gc.set_threshold(200_000)

    from pydantic import ValidationError
    from pydantic_settings import SettingsError
{% if "workers" not in cookiecutter.features %}
    from uvicorn import run
{% endif %}

    from . import log
    from .settings import Settings, describe_errors
{% if "workers" in cookiecutter.features %}
    from .supervisor import run
{% endif %}

    try:
        settings = Settings()
    except (ValidationError, SettingsError) as error:
        print("Invalid settings:", *describe_errors(error), sep="\n  ", file=sys.stderr)
        sys.exit(2)
    run(
        f"{__package__}.app:create_app",
        factory=True,
        host=settings.host,
        port=settings.port,
        workers={{ "settings.workers" if "workers" in cookiecutter.features else "1" }},
        log_config=log.config(settings.log_level, settings.log_format),
        access_log=False,  # middleware.py writes a better one
        server_header=False,
        timeout_graceful_shutdown=math.ceil(settings.shutdown_grace_s),
    )


if __name__ == "__main__":
    main()
