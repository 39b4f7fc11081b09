"""Other people's APIs on loopback, as far as the recipes call them. Standard library only."""

import gzip
import itertools
import json
import re
import threading
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from support.loopback import HOST

SECRET = "s3cret"  # noqa: S105 - a key that must reach the API and nothing else

COMPLETION = {
    "id": "1",
    "object": "chat.completion",
    "created": 1,
    "model": "any",
    "choices": [
        {
            "index": 0,
            "finish_reason": "stop",
            "message": {"role": "assistant", "content": "To be."},
        }
    ],
}
CHUNKS = [
    {
        "id": "1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "any",
        "choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None}],
    }
    for text in ("To", " be.")
]
MESSAGE: dict[str, Any] = {
    "id": "1",
    "type": "message",
    "role": "assistant",
    "model": "any",
    "content": [],
    "stop_reason": None,
    "stop_sequence": None,
    "usage": {"input_tokens": 1, "output_tokens": 1},
}
EVENTS: list[dict[str, Any]] = [
    {"type": "message_start", "message": MESSAGE},
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    *(
        {
            "type": "content_block_delta",
            "index": 0,
            "delta": {"type": "text_delta", "text": text},
        }
        for text in ("To", " be.")
    ),
    {"type": "content_block_stop", "index": 0},
    {
        "type": "message_delta",
        "delta": {"stop_reason": "end_turn", "stop_sequence": None},
        "usage": {"output_tokens": 2},
    },
    {"type": "message_stop"},
]


@dataclass(frozen=True)
class Received:
    """A request as it arrived, its body without gzip."""

    path: str
    headers: dict[str, str]
    body: bytes


class APIs:
    """Answers as OpenAI, Anthropic, an identity provider, a CRM, Sentry and OTLP do."""

    def __init__(self) -> None:
        self.received: list[Received] = []
        self.pause_s = 0.0
        """How long each answer takes, and each event of a stream."""
        self.endless = False
        """Whether `/events` repeats its events until its caller leaves; then `left` is set."""
        self.left = threading.Event()
        self._end = threading.Event()
        apis = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1  # or the body waits 40 ms for the headers' acknowledgement

            def do_GET(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                headers = {name.lower(): value for name, value in self.headers.items()}
                request = Received(self.path.partition("?")[0], headers, body)
                apis.received.append(request)
                try:
                    apis._answer(self, request)
                except OSError:
                    apis.left.set()

            do_POST = do_GET  # noqa: N815 - as the base class names it

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer((HOST, 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://{HOST}:{self._server.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._server.shutdown()
        self._server.server_close()

    @property
    def calls(self) -> Counter[str]:
        """How many requests each path received."""
        return Counter(request.path for request in self.received)

    def bodies(self, path: str) -> list[bytes]:
        return [request.body for request in self.received if request.path == path]

    def _answer(self, handler: BaseHTTPRequestHandler, request: Received) -> None:
        streamed = re.search(rb'"stream": ?true', request.body)
        match request.path:
            case "/v1/chat/completions" if streamed:
                events = [f"data: {json.dumps(chunk)}\n\n" for chunk in CHUNKS]
                self._stream(handler, [*events, "data: [DONE]\n\n"])
            case "/v1/chat/completions":
                self._end.wait(self.pause_s)
                _send(handler, 200, COMPLETION)
            case "/v1/messages" if streamed:
                names = [f"event: {event['type']}\n" for event in EVENTS]
                data = [f"data: {json.dumps(event)}\n\n" for event in EVENTS]
                self._stream(handler, map("".join, zip(names, data, strict=True)))
            case "/events":
                ticks = (f"event: tick\nid: {n}\ndata: {n}\n\n" for n in range(3))
                self._stream(handler, itertools.cycle(ticks) if self.endless else ticks)
            case "/token":
                token = {"access_token": "token-1", "token_type": "Bearer", "expires_in": 3600}
                _send(handler, 200, token)
            case "/customers":
                authorized = request.headers.get("authorization") == "Bearer token-1"
                _send(handler, 200 if authorized else 401, [{"name": "Ada"}])
            case "/flaky":  # succeeds at the third attempt
                _send(handler, 503 if self.calls["/flaky"] % 3 else 200, {})
            case "/api/1/envelope/" | "/v1/traces" | "/v1/metrics":
                _send(handler, 200, {})
            case _:
                _send(handler, 404, {})

    def _stream(self, handler: BaseHTTPRequestHandler, events: Iterable[str]) -> None:
        handler.send_response(200)
        handler.send_header("Content-Type", "text/event-stream")
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        for event in events:
            handler.wfile.write(f"{len(event):x}\r\n{event}\r\n".encode())
            handler.wfile.flush()
            self._end.wait(self.pause_s)
        handler.wfile.write(b"0\r\n\r\n")


def _send(handler: BaseHTTPRequestHandler, status: int, content: object) -> None:
    body = json.dumps(content).encode()
    handler.send_response(status)
    handler.send_header("Content-Type", "application/json")
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)
