"""The table of faults: the authority for the status that each one gives the service's caller."""

import asyncio
import contextlib
import json
import ssl
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
import trustme

from support.generated import Generated
from support.loopback import HOST, free_port

SECRET = "hunter2"  # noqa: S105 - searched for in all output
MAX_BYTES = 100_000
# The upstream, its behaviour, and the answer that the service's caller gets.
FAULTS = {
    "refused": ("refused", "/", "502 upstream-unreachable"),
    "unknown-host": ("unknown", "/", "502 upstream-unreachable"),
    "tls-failure": ("untrusted", "/", "502 upstream-unreachable"),
    "reset": ("faulty", "/reset", "502 upstream-failed"),
    "dropped": ("faulty", "/drop", "502 upstream-failed"),
    "garbage": ("faulty", "/garbage", "502 upstream-failed"),
    "20000-headers": ("faulty", "/headers", "502 upstream-failed"),
    "short-body": ("faulty", "/short", "502 upstream-failed"),
    "undecodable-body": ("faulty", "/undecodable", "502 upstream-failed"),
    "bomb": ("faulty", f"/gzip/{20 * MAX_BYTES}", "502 upstream-response-too-large"),
    "oversize": ("faulty", f"/large/{MAX_BYTES + 1}", "502 upstream-response-too-large"),
    "oversize-of-unknown-length": ("faulty", "/chunked/200", "502 upstream-response-too-large"),
    "hang": ("faulty", "/hang", "504 upstream-timeout"),
    "drip": ("faulty", "/drip", "504 upstream-timeout"),
    "saturated": ("full", "/", "503 upstream-saturated"),
    "breaker-open": ("failing", "/", "503 upstream-unavailable"),
}
NOT_ALLOWED = {
    "another-host": "http://elsewhere.invalid/?token={secret}",
    "another-port": "http://localhost:1/?token={secret}",
    "another-scheme": "https://{host}/?token={secret}",
    "a-user": "http://{secret}:{secret}@{host}/",
    "not-a-url": "http://[{secret}",
}
"""URLs that the service must not call, though some of them lead to the upstream."""


@dataclass
class FaultReport:
    """The service's answers, its log, and the requests that reached its upstreams."""

    answers: dict[str, httpx.Response]
    lines: list[str]
    seen: list[str]
    full: list[str]

    def line_of(self, name: str) -> dict[str, Any]:
        """Return the one line of a call, whose request id is the fault's name."""
        events = [json.loads(line) for line in self.lines]
        line: dict[str, Any]
        (line,) = (
            event
            for event in events
            if event["message"] == "upstream call" and event["request_id"] == name
        )
        return line


@pytest.fixture(scope="module")
def report(service: Generated) -> FaultReport:
    return asyncio.run(call_through_every_fault(service))


async def call_through_every_fault(service: Generated) -> FaultReport:
    untrusted = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("localhost").configure_cert(untrusted)
    async with contextlib.AsyncExitStack() as stack:
        faulty, full, failing, tls = [
            await stack.enter_async_context(service.Upstream(tls=context))
            for context in (None, None, None, untrusted)
        ]
        urls = {
            "faulty": faulty.url,
            "full": full.url,
            "failing": failing.url,
            "untrusted": tls.url,
            "refused": f"http://{HOST}:{free_port()}",
            "unknown": "http://unknown.invalid",
        }
        process = service.start(
            log_level="DEBUG",
            http__attempt_timeout_s=1,
            http__total_timeout_s=5,
            http__backoff_base_s=0.01,
            http__max_response_bytes=MAX_BYTES,
            upstreams__faulty__bearer_token=SECRET,
            upstreams__faulty__headers=json.dumps({"X-Key": SECRET}),
            upstreams__faulty__breaker_failure_ratio="none",
            upstreams__full__max_connections=1,
            upstreams__full__pool_timeout_s=0.2,
            upstreams__full__total_timeout_s=30,
            upstreams__full__attempt_timeout_s="none",
            upstreams__full__read_timeout_s=30,
            upstreams__failing__max_attempts=1,
            upstreams__failing__breaker_min_calls=1,
            upstreams__failing__breaker_open_s=600,
            **{f"upstreams__{name}__base_url": url for name, url in urls.items()},
        )
        with process:
            base_url = f"http://{HOST}:{process.port}"
            async with httpx.AsyncClient(base_url=base_url, timeout=60) as caller:

                async def call(name: str, url: str) -> httpx.Response:
                    headers = {"X-Request-ID": name}
                    return await caller.get("/external", params={"url": url}, headers=headers)

                occupying = asyncio.create_task(call("occupying", f"{full.url}/gate"))
                await full.wait_for_calls()
                await call("failing", f"{failing.url}/status/503")
                calls = {
                    name: call(name, f"{urls[upstream]}{path}?token={SECRET}")
                    for name, (upstream, path, _) in FAULTS.items()
                } | {
                    name: call(name, url.format(secret=SECRET, host=faulty.url.split("//")[1]))
                    for name, url in NOT_ALLOWED.items()
                }
                answers = await asyncio.gather(*calls.values())
                full.gate.set()
                await occupying
            await asyncio.to_thread(process.stop)
        assert process.err == []
        return FaultReport(
            dict(zip(calls, answers, strict=True)),
            process.out,
            [seen.target.partition("?")[0] for seen in faulty.seen],
            [seen.target for seen in full.seen + failing.seen],
        )


def summary(answer: httpx.Response) -> str:
    return f"{answer.status_code} {answer.json()['type'].removeprefix('urn:problem-type:')}"


def test_each_fault_has_its_status(report: FaultReport) -> None:
    """The status shows the caller what happened, and whether it is the caller's own fault."""
    expected = {name: problem for name, (_, _, problem) in FAULTS.items()}

    assert {name: summary(report.answers[name]) for name in FAULTS} == expected


def test_each_fault_is_a_problem(report: FaultReport) -> None:
    """Failures are RFC 9457 problems that name the upstream and the request."""
    for name, (upstream, _, problem) in FAULTS.items():
        answer = report.answers[name]
        content = answer.json()

        assert answer.headers["Content-Type"] == "application/problem+json"
        assert content["title"]
        assert content["detail"]
        assert (content["upstream"], content["request_id"]) == (upstream, name)
        assert content["status"] == int(problem[:3])
        assert answer.headers["X-Request-ID"] == name


def test_rejections_have_a_retry_after(report: FaultReport) -> None:
    """A 503 has a computed Retry-After; the breaker's is the rest of its open period."""
    saturated, open_ = (report.answers[name].headers for name in ("saturated", "breaker-open"))

    assert 1 <= int(saturated["Retry-After"]) <= 60
    assert 500 <= int(open_["Retry-After"]) <= 600
    assert report.full == ["/gate", "/status/503"]


def test_the_faults_were_real(report: FaultReport) -> None:
    """Each fault after sending did reach the upstream, where GETs were retried."""
    expected = {path for upstream, path, _ in FAULTS.values() if upstream == "faulty"}

    assert set(report.seen) == expected
    assert [report.seen.count(path) for path in ("/drop", "/reset", "/hang")] == [3, 3, 3]
    assert "DeadlineExceeded" in report.line_of("drip")["error"]


def test_other_urls_are_rejected_before_sending(report: FaultReport) -> None:
    """Only a configured upstream's URLs are called; any other is answered by a 400 problem."""
    for name in NOT_ALLOWED:
        assert summary(report.answers[name]) == "400 origin-not-allowed"
        assert report.answers[name].headers["Content-Type"] == "application/problem+json"
    assert "/" not in report.seen


def test_secrets_stay_secret(report: FaultReport) -> None:
    """No problem and no log line, even at DEBUG, contains a secret of the URLs or settings."""
    texts = [answer.text for answer in report.answers.values()] + report.lines

    assert [text for text in texts if SECRET in text] == []


def test_each_failed_call_leaves_one_line(report: FaultReport) -> None:
    """The log has one line for each failed call, with its upstream, path and error."""
    for name, (upstream, path, _) in FAULTS.items():
        line = report.line_of(name)

        assert (line["upstream"], line["path"], line["method"]) == (upstream, path, "GET")
        assert line["error"]
