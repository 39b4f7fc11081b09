"""Runs a command as a person in a project would."""

import subprocess
from pathlib import Path

from support.loopback import clean_environment


def run(directory: Path, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """The finished command, whatever its exit code; stderr is in stdout, as on a terminal."""
    return subprocess.run(
        command,
        cwd=directory,
        env=clean_environment() | environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
        check=False,
    )
