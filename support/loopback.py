"""An upstream and a running service on loopback, for the demo and for the tests.

Standard library only.
"""

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import IO, Any, Self

HOST = "127.0.0.1"


class BrokenPromiseError(Exception):
    """Something is not as promised."""


class Upstream:
    """Someone else's API: answers every path, and counts what reaches it.

    `/held` is answered only when `release` is set; `held` says that a request is there.
    """

    def __init__(self) -> None:
        self.connections = 0
        self.paths: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.held = threading.Event()
        self.release = threading.Event()
        upstream = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1  # or the body waits 40 ms for the headers' acknowledgement

            def setup(self) -> None:
                super().setup()
                upstream.connections += 1

            def do_GET(self) -> None:
                upstream.paths.append(self.path)
                upstream.headers.append(dict(self.headers))
                if self.path == "/held":
                    upstream.held.set()
                    upstream.release.wait(timeout=30)
                body = f"upstream answer {len(upstream.paths)}".encode()
                self.send_response(404 if self.path == "/missing" else 200)
                self.send_header("Content-Type", "text/plain; charset=utf-8")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer((HOST, 0), Handler)
        self._server.daemon_threads = True
        self.base_url = f"http://{HOST}:{self._server.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.release.set()
        self._server.shutdown()
        self._server.server_close()


@dataclass(frozen=True)
class Answer:
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Service:
    """A generated service, started as a process and stopped by SIGTERM."""

    output = subprocess.PIPE

    def __init__(self, command: Sequence[str | Path], directory: Path, **environment: str) -> None:
        self.port = free_port()
        self.out: list[str] = []
        self.err: list[str] = []
        self._command = command
        self._directory = directory
        self._environment = clean_environment() | {"APP_PORT": str(self.port)} | environment

    def __enter__(self) -> Self:
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
            self._wait_until_it_answers()
        except BaseException:
            self._kill()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._kill()
        self.wait()

    def get(self, path: str, **headers: str) -> Answer:
        """Call the service over a connection of its own."""
        connection = http.client.HTTPConnection(HOST, self.port, timeout=30)
        try:
            connection.request("GET", path, headers=headers)
            response = connection.getresponse()
            return Answer(response.status, response.headers, response.read())
        finally:
            connection.close()

    def refuses_calls(self, within: float = 10) -> bool:
        """Whether it stops listening."""
        deadline = time.monotonic() + within
        while time.monotonic() < deadline:
            try:
                self.get("/livez")
            except ConnectionError:
                return True
        return False

    def terminate(self) -> None:
        """Ask it to stop, as a container's runtime does."""
        self._process.terminate()

    def interrupt(self) -> None:
        """Ask it to stop as Ctrl+C does, which every process of the terminal hears."""
        os.killpg(self._process.pid, signal.SIGINT)

    def kill(self) -> None:
        """End the process itself, and not those that it started."""
        self._process.kill()

    def wait(self) -> int:
        """Wait for the end of the process and of all that it started; the exit code."""
        code = self._process.wait(timeout=30)
        for reader in self._readers:
            reader.join(timeout=30)
        if any(reader.is_alive() for reader in self._readers):  # what is left holds the output
            raise BrokenPromiseError("The process ended, and left others behind.")
        return code

    def stop(self) -> None:
        self.terminate()
        self.wait()

    @property
    def finished(self) -> bool:
        """Whether it came to its own end; the exit code is the signal's either way."""
        return "Finished server process" in self.out[-1]

    @property
    def events(self) -> list[dict[str, Any]]:
        """What it has logged: each line of its output is one JSON object."""
        return [json.loads(line) for line in self.out]

    def _kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def _read(self, stream: IO[str], lines: list[str]) -> threading.Thread:
        def read() -> None:
            with stream:
                lines.extend(line.rstrip("\n") for line in stream)

        thread = threading.Thread(target=read, daemon=True)
        thread.start()
        return thread

    def _wait_until_it_answers(self) -> None:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                self.wait()
                output = "\n".join(self.out + self.err)
                raise BrokenPromiseError(f"The service ended before it answered:\n{output}")
            try:
                if self.get("/livez").status == 200:
                    return
            except OSError:
                pass
            time.sleep(0.01)
        raise BrokenPromiseError("The service did not answer within 30 seconds.")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def clean_environment() -> dict[str, str]:
    """This environment with its tools on the path, and nobody's settings."""
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("APP_", "COOKIECUTTER_", "OTEL_", "PYTEST_", "VIRTUAL_ENV"))
    }
    tools = Path(sys.executable).parent
    # uv trusts what pip trusts: a company's own certificate authority, too.
    trust = {"UV_SYSTEM_CERTS": "1"}
    return trust | environment | {"PATH": f"{tools}{os.pathsep}{environment['PATH']}"}
