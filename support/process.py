"""Programs: run to their end by `execute`, or in the background by `Background`.

Standard library only, because the demo needs no more.
"""

import contextlib
import fcntl
import os
import signal
import subprocess
import sys
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Self


class BrokenPromiseError(Exception):
    """The service does not do what this template promises."""


def execute(
    command: Sequence[str | Path],
    directory: Path,
    *,
    env: Mapping[str, str] | None = None,
    input: str = "",  # noqa: A002 - as subprocess names it
    stderr: int = subprocess.PIPE,
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, whatever its exit code, in ``env`` or the clean environment."""
    return subprocess.run(
        command,
        cwd=directory,
        env=clean_environment() if env is None else env,
        input=input,
        stdout=subprocess.PIPE,
        stderr=stderr,
        encoding="utf-8",
        timeout=300,
        check=False,
    )


def run(
    directory: Path, *command: str | Path, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run a command as a person in a directory would: stderr is in stdout, as on a terminal."""
    env = clean_environment() | variables
    return execute(command, directory, env=env, stderr=subprocess.STDOUT)


def succeed(directory: Path, *command: str | Path, **variables: str) -> str:
    """Run a command that must succeed; return its stdout."""
    done = execute(command, directory, env=clean_environment() | variables)
    if done.returncode != 0:
        text = " ".join(map(str, command))
        raise BrokenPromiseError(
            f"exit code {done.returncode}: {text}\n{done.stdout}\n{done.stderr}"
        )
    return done.stdout


def clean_environment() -> dict[str, str]:
    """Return this environment with its tools on the path and without anyone's settings.

    `PYTHONUNBUFFERED` is one of them: with it, a signal cuts what `print` writes to a pipe.
    """
    settings = ("APP_", "COOKIECUTTER_", "OTEL_", "PYTEST_", "PYTHON", "VIRTUAL_ENV")
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(settings) and name != "UV"
    }
    tools = Path(sys.executable).parent
    # Like pip, uv should trust a company's own certificate authority.
    trust = {"UV_SYSTEM_CERTS": "1"}
    return trust | environment | {"PATH": f"{tools}{os.pathsep}{environment['PATH']}"}


@contextlib.contextmanager
def in_turn_with_mypy() -> Iterator[None]:
    """Wait until no other mypy uses the cache of all: several can crash on each other's files."""
    cache = Path(os.environ["MYPY_CACHE_DIR"])
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


class Background(ABC):
    """A program that is ready when the ``with`` block begins, and killed when it ends."""

    output = subprocess.PIPE

    def __init__(
        self, command: Sequence[str | Path], directory: Path, environment: Mapping[str, str]
    ) -> None:
        self.out: list[str] = []
        self.err: list[str] = []
        self._command = list(command)
        self._directory = directory
        self._environment = environment

    def __enter__(self) -> Self:
        self.out.clear()
        self.err.clear()
        self._process = subprocess.Popen(
            self._command,
            cwd=self._directory,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=self.output,
            stderr=self.output,
            text=True,
            encoding="utf-8",
            start_new_session=True,  # so that what the command starts can be killed with it
        )
        streams = ((self._process.stdout, self.out), (self._process.stderr, self.err))
        self._readers = [self._read(stream, lines) for stream, lines in streams if stream]
        try:
            self._wait_until_ready()
        except BaseException:
            self._kill_all()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._kill_all()
        self.wait()

    @abstractmethod
    def is_ready(self) -> bool:
        """Whether it serves."""

    @property
    def pid(self) -> int:
        return self._process.pid

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the process itself, and not to those that it started."""
        self._process.send_signal(number)

    def terminate(self) -> None:
        """Send SIGTERM, as a container's runtime does."""
        self.send(signal.SIGTERM)

    def interrupt(self) -> None:
        """Send SIGINT to the whole group, as Ctrl+C does."""
        os.killpg(self.pid, signal.SIGINT)

    def kill(self) -> None:
        self.send(signal.SIGKILL)

    def wait(self) -> int:
        """Wait until the process and all that it started have ended; return the exit code."""
        code = self._process.wait(timeout=30)
        for reader in self._readers:
            reader.join(timeout=30)
        if any(reader.is_alive() for reader in self._readers):  # a child has the output open
            raise BrokenPromiseError("The process ended, and left others behind.")
        return code

    def stop(self) -> None:
        self.terminate()
        self.wait()

    def _kill_all(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)

    def _read(self, stream: IO[str], lines: list[str]) -> threading.Thread:
        def read() -> None:
            with stream:
                lines.extend(line.rstrip("\n") for line in stream)

        thread = threading.Thread(target=read, daemon=True)
        thread.start()
        return thread

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                self.wait()
                output = "\n".join(self.out + self.err)
                raise BrokenPromiseError(f"The process ended before it was ready:\n{output}")
            if self.is_ready():
                return
            time.sleep(0.01)
        raise BrokenPromiseError("The process was not ready within 30 seconds.")
