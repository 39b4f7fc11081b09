import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import {{ cookiecutter.__httpx }}

ROOT = Path(__file__).parents[1]
MAIN = [sys.executable, "-m", "{{ cookiecutter.package_name }}"]


def test_service_starts_logs_and_stops() -> None:
    """``python -m`` serves until SIGTERM, every line that it logs is JSON, and it closes down."""
    # Said here, because a .env file may say otherwise.
    own = {"APP_PORT": "0", "APP_LOG_FORMAT": "json", "APP_LOG_LEVEL": "INFO", "APP_WORKERS": "1"}
    environment = os.environ | own
    with subprocess.Popen(MAIN, cwd=ROOT, env=environment, stdout=subprocess.PIPE) as service:
        assert service.stdout is not None
        told = []
        for line in service.stdout:
            told.append(json.loads(line))
            message = told[-1]["message"]
            if message.startswith("Uvicorn running on "):
                address = message.split()[3]
                assert httpx.get(f"{address}/livez", trust_env=False).json() == {"status": "ok"}
                assert httpx.get(f"{address}/nowhere", trust_env=False).status_code == 404
                service.send_signal(signal.SIGTERM)

    messages = [line["message"] for line in told]
    assert messages.count("request") == 1  # health probes are not told at this level
    assert messages.count("client opened") == messages.count("client closed") > 0
    assert messages[-1].startswith("Finished server process")


def test_invalid_settings_stop_the_start() -> None:
    """One line for each problem, naming its variable; no traceback; exit code 2."""
    environment = os.environ | {"APP_PORT": "many", "APP_HTTP__MAX_ATTEMPTS": "0"}
    done = subprocess.run(
        MAIN, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60
    )

    assert done.returncode == 2
    assert [line.split()[0] for line in done.stderr.splitlines()[1:]] == [
        "APP_PORT:",
        "APP_HTTP__MAX_ATTEMPTS:",
    ]
    assert "Traceback" not in done.stderr
