"""Addresses on loopback, and an upstream that listens there. Standard library only."""

import contextlib
import secrets
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self

HOST = "127.0.0.1"


def free_port() -> int:
    """Return a port that no server uses, below those that the system gives to port 0.

    Between this call and its use, another test's server could otherwise receive the same one.
    """
    while True:
        port = 10_000 + secrets.randbelow(20_000)
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind((HOST, port))
            return port


class RecordingUpstream:
    """Someone else's API: answers every path, and records the requests and connections.

    `/held` is answered only when `release` is set; `held` is set once such a request arrived.
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
