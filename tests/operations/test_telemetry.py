"""Telemetry: a process that exports to a real OTLP receiver."""

import re
import time
from collections.abc import Iterator

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from support.loopback import HOST, RecordingUpstream, free_port
from support.otlp import Receiver, attributes
from support.rendering import EVERYTHING, Bake, Project
from support.service import Service

# Later than any test ends, in milliseconds.
NEVER = "3600000"
SECRET = "s3cret"  # noqa: S105 - searched for in logs and exports


@pytest.fixture(scope="module")
def project(bake: Bake) -> Project:
    return bake(**EVERYTHING)


@pytest.fixture
def upstream() -> Iterator[RecordingUpstream]:
    with RecordingUpstream() as upstream:
        yield upstream


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


def start(
    project: Project, upstream: RecordingUpstream, endpoint: str, **variables: str
) -> Service:
    environment = {
        "APP_UPSTREAMS__HTTPBIN__BASE_URL": upstream.base_url,
        "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
    }
    return project.start(**environment | variables)


def test_one_trace_arrives_at_the_receiver(
    project: Project, upstream: RecordingUpstream, receiver: Receiver
) -> None:
    """A request and its call are one trace, exported at SIGTERM; metrics come at their interval."""
    with start(
        project,
        upstream,
        receiver.url,
        OTEL_BSP_SCHEDULE_DELAY=NEVER,
        OTEL_METRIC_EXPORT_INTERVAL="100",
        OTEL_EXPORTER_OTLP_HEADERS=f"Authorization=Bearer%20{SECRET}",
    ) as service:
        service.get("/external", Cookie=f"session={SECRET}")
        service.get(f"/external?token={SECRET}&url={upstream.base_url}/missing")
        receiver.wait_until(lambda: "http.client.request.duration" in receiver.names)
        before = receiver.spans
        service.stop()

    calls = receiver.spans_of(Span.SPAN_KIND_CLIENT)
    requests = receiver.spans_of(Span.SPAN_KIND_SERVER)
    assert before == []
    assert len(calls) == len(requests) == 2
    for call, request, headers in zip(calls, requests, upstream.headers, strict=True):
        assert (call.trace_id, call.parent_span_id) == (request.trace_id, request.span_id)
        trace = f"00-{call.trace_id.hex()}-{call.span_id.hex()}-"
        assert headers["traceparent"].startswith(trace)
    assert [(span.name, attributes(span.attributes).get("error.type")) for span in calls] == [
        ("GET", None),
        ("GET", "404"),
    ]
    assert requests[0].name == "GET /external"
    assert {resource["service.name"] for resource in receiver.resources} == {"my-service"}
    assert receiver.names >= {
        "http.server.request.duration",
        "http.client.request.duration",
        "http.client.active_requests",
        "http.client.waiting_requests",
        "http.client.held_requests",
        "http.client.open_connections",
        "http.client.breaker.state",
    }
    assert all(f"Bearer {SECRET}" in headers for headers in receiver.headers)
    assert SECRET.encode() not in receiver.raw
    assert SECRET not in "".join(service.out)
    assert service.finished
    assert service.err == []


def test_workers_are_distinct_instances(
    bake: Bake, upstream: RecordingUpstream, receiver: Receiver
) -> None:
    """Each worker is an instance of its own, and exports its remaining spans when it stops."""
    with start(
        bake(**EVERYTHING | {"features": "workers"}),
        upstream,
        receiver.url,
        APP_WORKERS="2",
        OTEL_BSP_SCHEDULE_DELAY=NEVER,
        OTEL_METRIC_EXPORT_INTERVAL="100",
    ) as service:
        receiver.wait_until(lambda: len(instances(receiver)) == 2)
        scrapes = [service.get("/metrics").body.decode() for _ in range(10)]
        for _ in range(20):
            service.get("/external")
        service.stop()

    label = re.compile(r'^http_client_active_requests.*service_instance_id="(.+?)"', re.MULTILINE)
    assert {len(set(label.findall(scrape))) for scrape in scrapes} == {1}
    assert instances(receiver).issuperset(label.findall("".join(scrapes)))
    assert len(receiver.spans_of(Span.SPAN_KIND_SERVER)) == 20


def instances(receiver: Receiver) -> set[str]:
    return {resource["service.instance.id"] for resource in receiver.resources}


@pytest.mark.parametrize("hangs", [False, True], ids=["down", "hangs"])
def test_a_receiver_that_fails_disturbs_nobody(
    project: Project, upstream: RecordingUpstream, hangs: bool
) -> None:
    """No request waits for a receiver that is down, and stopping waits only a few seconds."""
    with (
        Receiver(hangs=True) as receiver,
        start(
            project,
            upstream,
            receiver.url if hangs else f"http://{HOST}:{free_port()}",
            OTEL_BSP_SCHEDULE_DELAY="50",
            OTEL_METRIC_EXPORT_INTERVAL="50",
            OTEL_EXPORTER_OTLP_TIMEOUT="3600",
            OTEL_EXPORTER_OTLP_HEADERS=f"authorization=Bearer%20{SECRET}",
            APP_LOG_LEVEL="DEBUG",
        ) as service,
    ):
        service.get("/external")
        if hangs:
            receiver.wait_until(lambda: receiver.traces and receiver.metrics)
        else:
            logged(service, "Transient error")
        statuses = [service.get("/external").status for _ in range(50)]
        stopped = time.monotonic()
        service.interrupt() if hangs else service.terminate()
        service.wait()
        took_s = time.monotonic() - stopped

    assert statuses == [200] * 50
    assert took_s < 15  # 5 for the export
    warning = "telemetry export timed out"
    assert [event for event in service.events if event["message"].startswith(warning)]
    assert service.finished
    assert service.err == []
    assert SECRET not in "".join(service.out)


def logged(service: Service, message: str) -> None:
    deadline = time.monotonic() + 20
    while not any(message in line for line in service.out):
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize(
    "variables",
    [
        pytest.param({"OTEL_SDK_DISABLED": "true"}, id="disabled"),
        pytest.param({"OTEL_TRACES_SAMPLER": "always_off"}, id="sampler"),
        pytest.param({"OTEL_TRACES_EXPORTER": "none"}, id="no-exporter"),
    ],
)
def test_traces_can_be_left_out(
    project: Project, upstream: RecordingUpstream, receiver: Receiver, variables: dict[str, str]
) -> None:
    """Standard variables switch traces off, and the caller's trace still reaches the upstream."""
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    with start(project, upstream, receiver.url, **variables) as service:
        statuses = [
            service.get(path, traceparent=parent).status for path in ("/external", "/metrics")
        ]
        service.stop()

    assert statuses == [200, 200]
    assert parent[:35] in upstream.headers[0]["traceparent"]
    assert receiver.spans == []
    assert bool(receiver.headers) == ("OTEL_SDK_DISABLED" not in variables)
    assert service.finished
    assert [event for event in service.events if event["level"] == "warning"] == []


def test_standard_variables_are_honoured(
    project: Project, upstream: RecordingUpstream, receiver: Receiver
) -> None:
    """Standard variables set the service's name and resource, the endpoints and propagators."""
    with start(
        project,
        upstream,
        "",
        OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=f"{receiver.url}/v1/traces",
        OTEL_EXPORTER_OTLP_METRICS_ENDPOINT=f"{receiver.url}/v1/metrics",
        OTEL_SERVICE_NAME="shop",
        OTEL_RESOURCE_ATTRIBUTES="service.name=not-this,deployment.environment.name=test",
        OTEL_PROPAGATORS="baggage",
    ) as service:
        service.get("/external", baggage="tenant=1")
        service.stop()

    (resource,) = receiver.resources
    assert (resource["service.name"], resource["deployment.environment.name"]) == ("shop", "test")
    assert len(receiver.spans) == 2
    assert upstream.headers[0]["baggage"] == "tenant=1"
    assert "traceparent" not in upstream.headers[0]


@pytest.mark.parametrize(
    ("variables", "reason"),
    [
        pytest.param({"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "grpc"}, "grpc", id="protocol"),
        pytest.param({"OTEL_TRACES_EXPORTER": "zipkin"}, "zipkin", id="exporter"),
        pytest.param({"OTEL_BSP_MAX_QUEUE_SIZE": "0"}, "max_queue_size", id="number"),
        pytest.param(
            {"OTEL_EXPORTER_OTLP_TRACES_HEADERS": f"Authorization: Bearer {SECRET}"},
            "Header format invalid",
            id="headers",
        ),
    ],
)
def test_an_unsupported_exporter_is_a_warning(
    project: Project,
    upstream: RecordingUpstream,
    receiver: Receiver,
    variables: dict[str, str],
    reason: str,
) -> None:
    """A variable for an unsupported exporter logs one warning, without credentials."""
    with start(project, upstream, receiver.url, **variables) as service:
        answer = service.get("/external")
        service.stop()

    (warning,) = [event for event in service.events if event["level"] == "warning"]
    assert answer.status == 200
    assert reason in str(warning)
    assert SECRET not in "".join(service.out)
    assert bool(receiver.spans) == ("HEADERS" in str(variables))
    assert service.finished
    assert service.err == []


def test_metrics_for_prometheus_are_not_exported(
    project: Project, upstream: RecordingUpstream, receiver: Receiver
) -> None:
    """With the Prometheus exporter, metrics are only at /metrics, and traces are exported."""
    with start(project, upstream, receiver.url, OTEL_METRICS_EXPORTER="prometheus") as service:
        service.get("/external")
        exposition = service.get("/metrics").body
        service.stop()

    assert b"http_client_request_duration_seconds_count" in exposition
    assert receiver.spans
    assert receiver.names == set()
    assert [event for event in service.events if event["level"] == "warning"] == []


def test_nothing_is_exported_without_an_endpoint(
    project: Project, upstream: RecordingUpstream
) -> None:
    """Without an endpoint, nothing is exported and nothing is logged about it."""
    with start(project, upstream, "") as service:
        service.get("/external")
        service.stop()

    assert [event for event in service.events if event["level"] != "info"] == []
    assert service.finished
