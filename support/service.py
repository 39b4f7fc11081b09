"""A generated service as a process, called over HTTP. Standard library only."""

import http.client
import json
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support.loopback import HOST, free_port
from support.process import Background, BrokenPromiseError, clean_environment


@dataclass(frozen=True)
class Response:
    """A complete response of the service."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Service(Background):
    """A program that answers HTTP, ready when its health path returns 200."""

    health_path = "/livez"

    def __init__(self, command: Sequence[str | Path], directory: Path, **environment: str) -> None:
        self.port = free_port()
        settings = {"APP_PORT": str(self.port)} | environment
        super().__init__(command, directory, clean_environment() | settings)

    def is_ready(self) -> bool:
        try:
            return self.get(self.health_path).status == 200
        except OSError:
            return False

    def get(self, path: str, **headers: str) -> Response:
        """Call the service over a connection of its own."""
        connection = http.client.HTTPConnection(HOST, self.port, timeout=30)
        try:
            connection.request("GET", path, headers=headers)
            response = connection.getresponse()
            return Response(response.status, response.headers, response.read())
        finally:
            connection.close()

    def wait_until_closed(self) -> None:
        """Return when connections are refused."""
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            try:
                socket.create_connection((HOST, self.port), timeout=5).close()
            except ConnectionError:  # refused, or reset together with the unaccepted ones
                return
            time.sleep(0.01)
        raise BrokenPromiseError("The service still accepts connections after 20 seconds.")

    @property
    def finished(self) -> bool:
        """Whether the server logged its own end; the exit code is the signal's either way."""
        return "Finished server process" in self.out[-1]

    @property
    def events(self) -> list[dict[str, Any]]:
        """The log: each line of the output is one JSON object."""
        return [json.loads(line) for line in self.out]
