"""The queries of `monitoring/`, and a running service that has every kind of outcome."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import yaml

from support.generated import Generated
from support.rendering import Project
from support.service import Service

DASHBOARD = "monitoring/dashboard.json"
ALERTS = "monitoring/alerts.yaml"

EVERY_FEATURE = "retry, circuit_breaker, rate_limit, oauth2, cache, workers"
# Those that change a panel or an alert, apart and together; the others change only texts.
FEATURES = ("", "retry", "circuit_breaker", "retry, circuit_breaker", "cache", EVERY_FEATURE)

Rule = dict[str, Any]
Panel = dict[str, Any]


def dashboard(project: Project) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(project.read(DASHBOARD))
    return loaded


def panels(project: Project) -> dict[str, Panel]:
    """Return the panels by title, without rows."""
    found = dashboard(project)["panels"]
    return {panel["title"]: panel for panel in found if panel["type"] != "row"}


def rules(project: Project) -> dict[str, Rule]:
    """Return the rules by alert."""
    (group,) = yaml.safe_load(project.read(ALERTS))["groups"]
    return {rule["alert"]: rule for rule in group["rules"]}


def variables(project: Project) -> dict[str, dict[str, Any]]:
    return {each["name"]: each for each in dashboard(project)["templating"]["list"]}


@dataclass(frozen=True)
class Asked:
    """The metrics and labels of a PromQL expression."""

    selectors: list[tuple[str, set[str]]]
    """Each metric with its matchers, as written."""
    kept: set[str]
    """The labels of the result."""

    @property
    def labels(self) -> set[str]:
        return self.kept | {
            re.split(r"[=!]", matcher)[0] for _, matchers in self.selectors for matcher in matchers
        }


_STRING = r"'[^']*'|\"[^\"]*\""
_SELECTOR = re.compile(rf"(\w+)\{{((?:[^'\"}}]|{_STRING})*)\}}(?:\[[^]]+\])?")
_CLAUSE = re.compile(r"\b(by|ignoring|group_left) \(([^)]*)\)")


def asked(expression: str) -> Asked:
    """Parse an expression, and fail rather than miss a metric or a label."""
    selectors = []
    for name, matchers in _SELECTOR.findall(expression):
        found = re.findall(rf"\w+(?:=~|!~|!=|=)(?:{_STRING})", matchers)
        assert re.sub(r"[\s,]", "", matchers) == "".join(found), matchers
        selectors.append((name, set(found)))
    rest = _SELECTOR.sub("", expression)
    kept = {
        label
        for clause, labels in _CLAUSE.findall(rest)
        if clause == "by"
        for label in re.findall(r"\w+", labels)
    }
    rest = re.sub(r"\w+ *\(", "(", _CLAUSE.sub("", rest))
    assert not re.search(r"[A-Za-z]", rest), f"{rest} in {expression}"
    return Asked(selectors, kept)


@dataclass(frozen=True)
class Watched:
    """A running service with telemetry, and its upstream."""

    service: Service
    url: str

    async def call(self, rounds: Iterable[int]) -> None:
        """Cause each outcome once per round: success, statuses, a repeat, drops, rejections."""
        for number in rounds:
            repeated = f"/flaky-drop/1?n={number}"  # on the connection that "/" left open
            for path in ("/", repeated, "/status/404", "/status/500", "/drop", "/garbage"):
                url = quote(self.url + path, safe="")
                await asyncio.to_thread(self.service.get, f"/external?url={url}")


@asynccontextmanager
async def watched(project: Project) -> AsyncIterator[Watched]:
    """Run the service with three upstreams: healthy, down, and recovering.

    Once called, the breaker of the second is open, and that of the third is half-open, if there
    are breakers.
    """
    generated = Generated(project)
    async with generated.Upstream() as upstream:
        once = {"breaker_min_calls": 1, "max_attempts": 1}
        known = project.read(".env.example")
        upstreams: dict[str, dict[str, object]] = {
            "well": {"base_url": upstream.url, "backoff_base_s": 0.01, "cache_max_bytes": 100_000},
            "down": {"base_url": f"{upstream.url}/drop", "breaker_open_s": 600, **once},
            "better": {"base_url": f"{upstream.url}/garbage", "breaker_open_s": 0.001, **once},
        }
        settings = {
            f"upstreams__{name}__{field}": value
            for name, fields in upstreams.items()
            for field, value in fields.items()
            if field == "base_url" or f"APP_HTTP__{field.upper()}=" in known
        }
        with generated.start(**settings) as service:
            yield Watched(service, upstream.url)
