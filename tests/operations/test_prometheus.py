"""Dashboard and alerts as Prometheus itself reads them (needs prometheus and promtool).

The server of these tests has a port and a directory of its own, whatever else runs here.
"""

import asyncio
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
import yaml

from support.loopback import HOST
from support.process import run
from support.rendering import EVERYTHING, Bake, Project
from support.service import Service

from .monitoring import ALERTS, FEATURES, panels, rules, watched

JOB = "my-service"
# Generous, for busy machines.
TIMEOUT_S = 60


def rendered(bake: Bake, features: str) -> Project:
    return bake(**EVERYTHING | {"features": features}, upstreams="")


@pytest.fixture(scope="module")
def project(bake: Bake) -> Project:
    return rendered(bake, "retry, circuit_breaker, cache")


def configuration(project: Project) -> dict[str, Any]:
    """Return the Prometheus configuration of docs/operations.md."""
    _, monitor = project.read("docs/operations.md").split("\n## Monitor\n")
    (text,) = re.findall(r"```yaml\n(.*?)```", monitor, re.DOTALL)
    loaded: dict[str, Any] = yaml.safe_load(text)
    return loaded


@pytest.mark.parametrize("features", FEATURES, ids=lambda features: features or "no feature")
def test_promtool_accepts_what_is_written(bake: Bake, features: str) -> None:
    """promtool accepts the rules, style included, and the README's configuration."""
    project = rendered(bake, features)
    config = configuration(project) | {"rule_files": [str(project.path / ALERTS)]}
    (project.path / "prometheus.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")

    checked = run(project.path, "promtool", "check", "rules", "--lint-fatal", ALERTS)
    whole = run(project.path, "promtool", "check", "config", "prometheus.yaml")

    assert checked.returncode == 0, checked.stdout
    assert f" {len(rules(project))} rules found" in checked.stdout
    assert whole.returncode == 0, whole.stdout


# --- When an alert fires --------------------------------------------------------------------


def series(name: str, **labels: str) -> str:
    written = "".join(f', {label}="{value}"' for label, value in labels.items())
    return f'{name}{{job="{JOB}", instance="a"{written}}}'


def requests(error: str = "") -> str:
    return series("http_server_request_duration_seconds_count", error_type=error)


def calls(error: str = "", upstream: str = "api") -> str:
    name = "http_client_request_duration_seconds_count"
    return series(name, error_type=error, upstream_name=upstream)


def cached(result: str) -> str:
    return series("http_client_cache_requests_total", cache_result=result, upstream_name="api")


def within(seconds: str) -> str:
    name = "http_client_request_duration_seconds_bucket"
    return series(name, le=seconds, upstream_name="api")


def state(name: str, upstream: str = "api") -> str:
    return series(f"http_client_{name}", upstream_name=upstream)


ALIVE = {state("open_connections"): "0x60"}
# A minute of nothing but failures among forty of success.
MOMENT = "0x20 100 100x40"
STEADY = "0+10x60"
LAYERS = "my_service.http_client.layers"


@dataclass(frozen=True)
class AlertCase:
    """Values of each series, minute by minute, and the alert that they cause."""

    alert: str
    values: dict[str, str]
    summary: str = ""
    """The summary of the firing alert; empty if it stays silent."""
    labels: dict[str, str] = field(default_factory=lambda: {"upstream_name": "api"})


FIRES = {
    "no-instance": AlertCase("ServiceDown", {}, "no instance reports metrics", {}),
    "broken-requests": AlertCase(
        "ServiceErrors",
        {requests(): "0+90x60", requests("502"): "0+8x60", requests("ValueError"): "0+2x60"},
        "10% of requests fail",
        {},
    ),
    "failing-upstream": AlertCase(
        "UpstreamFailing",
        {
            calls(): "0+90x60",
            calls("httpx2.ConnectError"): "0+10x60",
            calls(upstream="other"): "0+1000x60",
        },
        "10% of calls to api fail",
    ),
    "limited-quota": AlertCase(
        "UpstreamFailing", {calls("429"): STEADY}, "100% of calls to api fail"
    ),
    "rejected-by-the-breaker": AlertCase(
        "UpstreamFailing",
        {calls(): STEADY, calls(f"{LAYERS}.circuit_breaker.CircuitOpen"): STEADY},
        "50% of calls to api fail",
    ),
    "rejected-by-the-concurrency-limit": AlertCase(
        "UpstreamFailing",
        {calls(): STEADY, calls(f"{LAYERS}.concurrency_limit.ConcurrencyLimitReached"): STEADY},
        "50% of calls to api fail",
    ),
    "slow-upstream": AlertCase(
        "UpstreamSlow",
        {within("5"): "0+90x60", within("7.5"): "0+100x60", within("+Inf"): "0+100x60"},
        "one in a hundred calls to api takes 7.25s",
    ),
    "a-queue": AlertCase(
        "UpstreamSaturated",
        {state("waiting_requests"): "3x60", state("waiting_requests", "other"): "0x60"},
        "3 calls to api wait for a slot",
    ),
    "old-responses": AlertCase(
        "UpstreamStale", {cached("stale"): STEADY}, "callers get old responses of api"
    ),
    "open-breaker": AlertCase(
        "UpstreamBreakerOpen",
        {state("breaker_state"): "2x60"},
        "calls to api are rejected, because it keeps failing",
    ),
    "breaker-that-probes": AlertCase(
        "UpstreamBreakerOpen",
        {state("breaker_state"): "0 " + "2 1 " * 30},
        "calls to api are rejected, because it keeps failing",
    ),
    "many-retries": AlertCase(
        "UpstreamRetries",
        {calls(): "0+100x60", state("request_resent_total"): "0+20x60"},
        "20% retries per call to api",
    ),
}
SILENT = {
    "a-restart": AlertCase("ServiceDown", {state("open_connections"): "0x20 stale _ 0x37"}),
    "one-of-two-instances": AlertCase(
        "ServiceDown", {**ALIVE, state("open_connections", "other"): "0x20 stale"}
    ),
    "few-broken-requests": AlertCase(
        "ServiceErrors", {requests(): "0+96x60", requests("502"): "0+4x60"}
    ),
    "a-moment-of-broken-requests": AlertCase(
        "ServiceErrors", {requests(): STEADY, requests("500"): MOMENT}
    ),
    "callers-who-leave": AlertCase(
        "ServiceErrors",
        {requests("ConnectionError"): STEADY, requests("asyncio.CancelledError"): STEADY},
    ),
    "no-requests": AlertCase("ServiceErrors", {requests(): "9x60", requests("502"): "9x60"}),
    "few-failing-calls": AlertCase("UpstreamFailing", {calls(): "0+96x60", calls("500"): "0+4x60"}),
    "a-moment-of-failing-calls": AlertCase(
        "UpstreamFailing", {calls(): STEADY, calls("httpx2.ReadTimeout"): MOMENT}
    ),
    "what-is-not-there": AlertCase(
        "UpstreamFailing", {calls(): STEADY, calls("404"): STEADY, calls("422"): STEADY}
    ),
    "cancelled-calls": AlertCase(
        "UpstreamFailing", {calls("asyncio.exceptions.CancelledError"): STEADY}
    ),
    "no-calls": AlertCase("UpstreamFailing", {calls(): "9x60", calls("500"): "9x60"}),
    "a-fast-upstream": AlertCase("UpstreamSlow", {within("5"): STEADY, within("+Inf"): STEADY}),
    "a-slow-moment": AlertCase("UpstreamSlow", {within("5"): "0x60", within("+Inf"): MOMENT}),
    "no-slow-calls": AlertCase("UpstreamSlow", {within("5"): "1x60", within("+Inf"): "9x60"}),
    "a-burst": AlertCase("UpstreamSaturated", {state("waiting_requests"): "0 9 9 0 9 9 0x54"}),
    "fresh-responses": AlertCase("UpstreamStale", {cached("hit"): STEADY}),
    "a-moment-of-old-responses": AlertCase("UpstreamStale", {cached("stale"): MOMENT}),
    "a-short-outage": AlertCase("UpstreamBreakerOpen", {state("breaker_state"): "0 2 1 2 0x56"}),
    "nobody-who-probes": AlertCase("UpstreamBreakerOpen", {state("breaker_state"): "0 2 1x58"}),
    "few-retries": AlertCase(
        "UpstreamRetries", {calls(): "0+100x60", state("request_resent_total"): "0+5x60"}
    ),
    "a-moment-of-retries": AlertCase(
        "UpstreamRetries", {calls(): STEADY, state("request_resent_total"): MOMENT}
    ),
    "retries-long-ago": AlertCase(
        "UpstreamRetries", {calls(): "9x60", state("request_resent_total"): "9x60"}
    ),
}


def test_every_alert_has_its_cases(project: Project) -> None:
    """Each alert has cases that fire and cases that stay silent."""
    names = set(rules(project))

    assert {case.alert for case in FIRES.values()} == names
    assert {case.alert for case in SILENT.values()} == names


@pytest.mark.parametrize("case", FIRES.values(), ids=FIRES)
def test_an_alert_fires(project: Project, case: AlertCase, tmp_path: Path) -> None:
    """An alert fires after its waiting time, with its labels and texts, for its own job only."""
    rule = rules(project)[case.alert]
    expected = {
        "exp_labels": {"job": JOB} | rule["labels"] | case.labels,
        "exp_annotations": rule["annotations"] | {"summary": f"{JOB}: {case.summary}"},
    }
    other = {name.replace(JOB, "other"): values for name, values in case.values.items()}
    waiting = int(rule["for"].removesuffix("m")) - 1

    check(tmp_path, project, case.alert, case.values, {waiting: [], 40: [expected]})
    check(tmp_path, project, case.alert, other | ALIVE, {40: []})


@pytest.mark.parametrize("case", SILENT.values(), ids=SILENT)
def test_an_alert_is_silent(project: Project, case: AlertCase, tmp_path: Path) -> None:
    """The alert stays silent for an hour."""
    check(tmp_path, project, case.alert, case.values, {minute: [] for minute in range(60)})


def check(
    directory: Path,
    project: Project,
    alert: str,
    values: dict[str, str],
    expected: dict[int, list[Any]],
) -> None:
    """Let promtool compare an alert with the expected one, minute by minute."""
    test = {
        "rule_files": [str(project.path / ALERTS)],
        "tests": [
            {
                "interval": "1m",
                "input_series": [
                    {"series": name, "values": value} for name, value in values.items()
                ],
                "alert_rule_test": [
                    {"eval_time": f"{minute}m", "alertname": alert, "exp_alerts": alerts}
                    for minute, alerts in expected.items()
                ],
            }
        ],
    }
    (directory / "test.yaml").write_text(yaml.safe_dump(test), encoding="utf-8")
    done = run(directory, "promtool", "test", "rules", "test.yaml")
    assert done.returncode == 0, done.stdout


# --- A server that scrapes a running service ------------------------------------------------


class Prometheus(Service):
    """A running server, asked through its HTTP API."""

    health_path = "/-/ready"

    def __init__(self, config: dict[str, Any], directory: Path) -> None:
        """Configure a server that keeps its data in the directory."""
        (directory / "prometheus.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
        options = ["--config.file=prometheus.yaml", "--storage.tsdb.path=data"]
        super().__init__(["prometheus", *options], directory)
        self._command.append(f"--web.listen-address={HOST}:{self.port}")

    def ask(self, path: str, **parameters: str) -> Any:
        """Return the data of a path of the API, which must be a success."""
        answer = self.get(f"/api/v1/{path}?{urlencode(parameters)}").json
        assert answer["status"] == "success", answer
        return answer["data"]

    def numbers(self, expression: str) -> list[float]:
        """Return the numeric values of an expression now."""
        results = self.ask("query", query=expression)["result"]
        values = [float(result["value"][1]) for result in results]
        return [value for value in values if value == value]  # noqa: PLR0124 - not a NaN


@dataclass
class Seen:
    """The server's view of a running service."""

    without_data: set[str]
    alerts: list[dict[str, Any]]
    upstreams: list[str]


@pytest.fixture(scope="module", params=["", "retry, circuit_breaker"], ids=["none", "default"])
def running(bake: Bake, request: pytest.FixtureRequest) -> Project:
    """Return the projects whose services are called: no other feature has a metric."""
    return rendered(bake, request.param)


@pytest.fixture(scope="module")
def seen(running: Project, tmp_path_factory: pytest.TempPathFactory) -> Seen:
    return asyncio.run(observed(running, tmp_path_factory.mktemp("prometheus")))


async def observed(project: Project, directory: Path) -> Seen:
    """Call the service until the server has data for every expression, or time is up."""
    config = configuration(project)
    config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    config["rule_files"] = [str(project.path / ALERTS)]
    async with watched(project) as watching:
        config["scrape_configs"][0]["static_configs"] = [
            {"targets": [f"{HOST}:{watching.service.port}"]}
        ]
        with Prometheus(config, directory) as server:
            missing, number = questions(project), 0
            clock = asyncio.get_running_loop().time
            ends = clock() + TIMEOUT_S
            while missing and clock() < ends:
                number += 1
                await watching.call([number])
                missing = {asked for asked in missing if not server.numbers(asked)}
            (group,) = server.ask("rules")["groups"]
            upstreams = server.ask("label/upstream_name/values")
    return Seen(missing, group["rules"], upstreams)


def questions(project: Project) -> set[str]:
    """Return every panel's expressions with all choices, and the left sides of the alerts."""
    shown = {target["expr"] for panel in panels(project).values() for target in panel["targets"]}
    chosen = {"$__rate_interval": "10s", "$job": JOB, "$instance": ".+", "$upstream": ".+"}
    for name, value in chosen.items():
        shown = {expression.replace(name, value) for expression in shown}
    compared = {
        re.sub(r"\s*(>|==) [\d.]+$", "", rule["expr"])
        for rule in rules(project).values()
        if not rule["expr"].startswith("absent(")  # has data only without series
    }
    return shown | compared


def test_every_panel_and_alert_has_data(seen: Seen) -> None:
    """A server that scrapes a running service has numbers for every expression."""

    assert seen.without_data == set()


def test_the_server_evaluates_every_alert(running: Project, seen: Seen) -> None:
    """The server evaluates every alert without errors, and no alert fires within seconds."""

    assert set(rules(running)) == {alert["name"] for alert in seen.alerts}
    assert {(alert["health"], alert.get("lastError", "")) for alert in seen.alerts} == {("ok", "")}
    assert "firing" not in {alert["state"] for alert in seen.alerts}


def test_upstreams_can_be_chosen(seen: Seen) -> None:
    """The dashboard's upstream variable has the names of the upstreams."""

    assert set(seen.upstreams) == {"default", "well", "down", "better"}
