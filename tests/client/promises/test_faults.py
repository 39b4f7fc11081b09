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

SECRET = "hunter2"  # noqa: S105 - to be found where it must not be
CAP = 100_000
# Which upstream, which of its behaviours, and what the service's caller is told.
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
    "bomb": ("faulty", f"/gzip/{20 * CAP}", "502 upstream-response-too-large"),
    "oversize": ("faulty", f"/large/{CAP + 1}", "502 upstream-response-too-large"),
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
    """What a service answered, what it logged, and what reached its upstreams."""

    answers: dict[str, httpx.Response]
    lines: list[str]
    seen: list[str]
    full: list[str]

    def line_of(self, name: str) -> dict[str, Any]:
        """The one line that a call left; its request id is the fault's name."""
        events = [json.loads(line) for line in self.lines]
        line: dict[str, Any]
        (line,) = (
            event
            for event in events
            if event["message"] == "upstream call" and event["request_id"] == name
        )
        return line


@pytest.fixture(scope="module")
def told(service: Generated) -> FaultReport:
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
            http__max_response_bytes=CAP,
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

                holding = asyncio.create_task(call("holding", f"{full.url}/gate"))
                await full.busy()
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
                await holding
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


def test_each_fault_has_its_status(told: FaultReport) -> None:
    """A caller can tell what happened by the status, and its own fault from the upstream's."""
    expected = {name: problem for name, (_, _, problem) in FAULTS.items()}

    assert expected == {name: summary(told.answers[name]) for name in FAULTS}


def test_each_fault_is_a_problem(told: FaultReport) -> None:
    """Failures are RFC 9457 problems that name the upstream and the request."""
    for name, (upstream, _, problem) in FAULTS.items():
        answer = told.answers[name]
        content = answer.json()

        assert answer.headers["Content-Type"] == "application/problem+json"
        assert content["title"]
        assert content["detail"]
        assert (content["upstream"], content["request_id"]) == (upstream, name)
        assert content["status"] == int(problem[:3])
        assert answer.headers["X-Request-ID"] == name


def test_unavailable_says_when_to_come_back(told: FaultReport) -> None:
    """A 503 has a Retry-After that was computed: the breaker's is about the time it is open."""
    saturated, open_ = (told.answers[name].headers for name in ("saturated", "breaker-open"))

    assert 1 <= int(saturated["Retry-After"]) <= 60
    assert 500 <= int(open_["Retry-After"]) <= 600
    assert told.full == ["/gate", "/status/503"]


def test_the_faults_were_real(told: FaultReport) -> None:
    """Each fault that comes after sending did reach the upstream; GETs are tried again."""
    expected = {path for upstream, path, _ in FAULTS.values() if upstream == "faulty"}

    assert expected == set(told.seen)
    assert 3 == told.seen.count("/drop") == told.seen.count("/reset") == told.seen.count("/hang")
    assert "DeadlineExceeded" in told.line_of("drip")["error"]


def test_other_urls_are_refused_before_anything_is_sent(told: FaultReport) -> None:
    """Only a configured upstream's URLs are called, and a refusal is a 400 problem."""
    for name in NOT_ALLOWED:
        assert "400 origin-not-allowed" == summary(told.answers[name])
        assert told.answers[name].headers["Content-Type"] == "application/problem+json"
    assert "/" not in told.seen


def test_secrets_are_told_to_nobody(told: FaultReport) -> None:
    """Neither a problem nor a line of the log, at DEBUG, has what the URLs and settings hide."""
    texts = [answer.text for answer in told.answers.values()] + told.lines

    assert [] == [text for text in texts if SECRET in text]


def test_each_call_leaves_one_line(told: FaultReport) -> None:
    """The log tells of each failed call its upstream, path and error, in one line."""
    for name, (upstream, path, _) in FAULTS.items():
        line = told.line_of(name)

        assert (upstream, path, "GET") == (line["upstream"], line["path"], line["method"])
        assert line["error"]
