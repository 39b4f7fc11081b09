"""Uploads to a server that responds at once, reads slowly, and then closes the connection.

Prints, for TCP and TLS, the status and how many bytes of the body the server did not receive. The
argument is the event loop; the server has none.
"""

import asyncio
import contextlib
import json
import logging
import socket
import ssl
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import trustme
import uvloop
from my_service.http_client.clients import open_clients
from my_service.settings import Settings

SIZE = 6_000_000
RESPONSE = b"HTTP/1.1 201 Created\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"
AUTHORITY = trustme.CA()


def serve(listening: socket.socket, tls: ssl.SSLContext | None) -> int:
    """Return how many bytes of a body arrive."""
    accepted, _ = listening.accept()
    connection = tls.wrap_socket(accepted, server_side=True) if tls else accepted
    received = b""
    while b"\r\n\r\n" not in received:
        received += connection.recv(4096)
    connection.sendall(RESPONSE)
    size = len(received.partition(b"\r\n\r\n")[2])
    with connection, contextlib.suppress(OSError):
        while data := connection.recv(20_000):
            size += len(data)
            time.sleep(0.003)
    return size


async def upload(directory: Path, *, encrypted: bool) -> list[int]:
    tls = None
    if encrypted:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        AUTHORITY.issue_cert("localhost").configure_cert(tls)
    with socket.socket() as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        origin = f"{'https' if tls else 'http'}://localhost:{listening.getsockname()[1]}"
        serving = asyncio.create_task(asyncio.to_thread(serve, listening, tls))
        up: dict[str, Any] = {"base_url": origin, "ca_bundle": directory / "ca.pem"}
        async with open_clients(Settings.model_validate({"upstreams": {"up": up}})) as clients:
            response = await clients.upstreams["up"].client.post("/", content=b"z" * SIZE)
            return [response.status_code, SIZE - await serving]


async def main() -> None:
    with TemporaryDirectory() as name:
        directory = Path(name)
        AUTHORITY.cert_pem.write_to_path(str(directory / "ca.pem"))
        uploads = [await upload(directory, encrypted=encrypted) for encrypted in (False, True)]
    print(json.dumps(uploads))


if __name__ == "__main__":
    logging.disable()
    (uvloop.run if sys.argv[1] == "uvloop" else asyncio.run)(main())
