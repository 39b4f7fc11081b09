"""Starts the service: ``python -m``, and the console script."""

import gc
import math
import sys


def main() -> None:
    """Serve until SIGTERM or SIGINT."""
    if sys.argv[1:]:
        sys.exit("No arguments: settings are environment variables, listed in .env.example.")
    # Imports create little garbage, so looking for it would waste a tenth of the start. The
    # lifespan sets the threshold for serving.
    gc.set_threshold(200_000)

{% if "workers" not in cookiecutter.features %}
    from uvicorn import run

{% endif %}
    from . import log
    from .settings import read_settings
{% if "workers" in cookiecutter.features %}
    from .supervisor import run
{% endif %}

    settings = read_settings()
    log.configure(settings.log_level, settings.log_format)  # for lines before create_app's
    run(
        f"{__package__}.app:create_app",
        factory=True,
        host=settings.host,
        port=settings.port,
        workers={{ "settings.workers" if "workers" in cookiecutter.features else "1" }},
        log_config=None,
        access_log=False,  # middleware.py writes a better one
        server_header=False,
        timeout_graceful_shutdown=math.ceil(settings.shutdown_grace_s),
    )


if __name__ == "__main__":
    main()
