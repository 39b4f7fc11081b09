import os
import subprocess
import sys

MAIN = [sys.executable, "-m", "{{ cookiecutter.package_name }}"]


def test_invalid_settings_stop_the_start() -> None:
    """One line for each problem, naming its variable; no traceback; exit code 2."""
    environment = os.environ | {"APP_PORT": "many", "APP_HTTP__MAX_ATTEMPTS": "0"}
    done = subprocess.run(MAIN, env=environment, capture_output=True, text=True, timeout=60)

    assert done.returncode == 2
    assert [line.split()[0] for line in done.stderr.splitlines()[1:]] == [
        "APP_PORT:",
        "APP_HTTP__MAX_ATTEMPTS:",
    ]
    assert "Traceback" not in done.stderr
