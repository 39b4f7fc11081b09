import os
import subprocess
import sys
from pathlib import Path


def test_invalid_settings_stop_the_start() -> None:
    """One line for each problem, naming its variable; no traceback; exit code 2."""
    done = subprocess.run(
        [sys.executable, "-m", "{{ cookiecutter.package_name }}"],
        cwd=Path(__file__).parents[1],
        env=os.environ | {"APP_PORT": "many", "APP_HTTP__MAX_ATTEMPTS": "0"},
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert done.returncode == 2
    assert [line.split()[0] for line in done.stderr.splitlines()[1:]] == [
        "APP_PORT:",
        "APP_HTTP__MAX_ATTEMPTS:",
    ]
    assert "Traceback" not in done.stderr
