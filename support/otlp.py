"""An OTLP receiver on loopback: what a service exports."""

import threading
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from support.loopback import HOST


class Receiver:
    """An OTLP receiver, or one that takes everything and never answers."""

    def __init__(self, hangs: bool = False) -> None:
        self.headers: list[str] = []
        self.raw = b""
        self.traces: list[ExportTraceServiceRequest] = []
        self.metrics: list[ExportMetricsServiceRequest] = []
        self.arrival = threading.Condition()
        self._end = threading.Event()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                with receiver.arrival:
                    receiver.take(self.path, str(self.headers), body)
                    receiver.arrival.notify_all()
                if hangs:
                    receiver._end.wait()
                self.send_response(200)
                self.end_headers()

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

    def take(self, path: str, headers: str, body: bytes) -> None:
        self.headers.append(headers)
        self.raw += body
        if path == "/v1/traces":
            self.traces.append(ExportTraceServiceRequest.FromString(body))
        if path == "/v1/metrics":
            self.metrics.append(ExportMetricsServiceRequest.FromString(body))

    def wait_until(self, arrived: Any) -> None:
        with self.arrival:
            assert self.arrival.wait_for(arrived, timeout=20)

    @property
    def spans(self) -> list[Span]:
        return [
            span
            for request in self.traces
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]

    def spans_of(self, kind: Span.SpanKind.ValueType) -> list[Span]:
        return [span for span in self.spans if span.kind == kind]

    @property
    def resources(self) -> list[dict[str, str]]:
        """The resource attributes of every metrics request."""
        return [
            attributes(resource.resource.attributes)
            for request in self.metrics
            for resource in request.resource_metrics
        ]

    @property
    def names(self) -> set[str]:
        """The names of the metrics that have arrived."""
        return {
            metric.name
            for request in self.metrics
            for resource in request.resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
        }


def attributes(pairs: Sequence[KeyValue]) -> dict[str, str]:
    return {pair.key: pair.value.string_value for pair in pairs}
