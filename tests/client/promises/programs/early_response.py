"""Uploads to a server that responds at once, reads slowly, and then closes the connection.

Prints, for TCP and TLS, the status and how many bytes of the body the server did not receive. The
argument is the event loop.
"""

import asyncio
import contextlib
import json
import logging
import socket
import ssl
import sys
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


class SlowReader:
    """Counts the bytes of a body."""

    def __init__(self) -> None:
        self.received = 0
        self.ended = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(RESPONSE)
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(20_000):
                self.received += len(data)
                await asyncio.sleep(0.005)
        writer.close()
        self.ended.set()


async def upload(directory: Path, *, tls: bool) -> list[int]:
    context = None
    if tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        AUTHORITY.issue_cert("localhost").configure_cert(context)
    listening = socket.socket()
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
    listening.bind(("127.0.0.1", 0))
    upstream = SlowReader()
    server = await asyncio.start_server(upstream.serve, sock=listening, limit=32_768, ssl=context)
    origin = f"{'https' if tls else 'http'}://localhost:{listening.getsockname()[1]}"
    up: dict[str, Any] = {"base_url": origin, "ca_bundle": directory / "ca.pem"}
    async with open_clients(Settings.model_validate({"upstreams": {"up": up}})) as clients:
        response = await clients.upstreams["up"].client.post("/", content=b"z" * SIZE)
        async with asyncio.timeout(60):
            await upstream.ended.wait()
    server.close()
    return [response.status_code, SIZE - upstream.received]


async def main() -> None:
    with TemporaryDirectory() as name:
        directory = Path(name)
        AUTHORITY.cert_pem.write_to_path(str(directory / "ca.pem"))
        print(json.dumps([await upload(directory, tls=tls) for tls in (False, True)]))


if __name__ == "__main__":
    logging.disable()
    (uvloop.run if sys.argv[1] == "uvloop" else asyncio.run)(main())
