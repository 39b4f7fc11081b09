"""What `monitoring/` asks for, and a running service that has met every kind of outcome."""

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

Rule = dict[str, Any]
Panel = dict[str, Any]


def dashboard(project: Project) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(project.read(DASHBOARD))
    return loaded


def panels(project: Project) -> dict[str, Panel]:
    """The panels by title, without the rows that part them."""
    found = dashboard(project)["panels"]
    return {panel["title"]: panel for panel in found if panel["type"] != "row"}


def rules(project: Project) -> dict[str, Rule]:
    """The rules by the name of their alert."""
    (group,) = yaml.safe_load(project.read(ALERTS))["groups"]
    return {rule["alert"]: rule for rule in group["rules"]}


def variables(project: Project) -> dict[str, dict[str, Any]]:
    return {each["name"]: each for each in dashboard(project)["templating"]["list"]}


@dataclass(frozen=True)
class Asked:
    """What an expression of Prometheus' language asks for."""

    selectors: list[tuple[str, set[str]]]
    """Each metric, with its matchers as they are written."""
    kept: set[str]
    """Labels that its result is grouped by."""

    @property
    def labels(self) -> set[str]:
        return self.kept | {
            re.split(r"[=!]", matcher)[0] for _, matchers in self.selectors for matcher in matchers
        }


_STRING = r"'[^']*'|\"[^\"]*\""
_SELECTOR = re.compile(rf"(\w+)\{{((?:[^'\"}}]|{_STRING})*)\}}(?:\[[^]]+\])?")
_CLAUSE = re.compile(r"\b(by|ignoring|group_left) \(([^)]*)\)")


def asked(expression: str) -> Asked:
    """Take an expression apart, so strictly that no metric or label in it can be missed."""
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
    """A running service with telemetry, and what it calls."""

    service: Service
    url: str

    async def call(self, rounds: Iterable[int]) -> None:
        """Meet each kind of outcome once per round: success, statuses, a retry, drops, refusals."""
        for number in rounds:
            retried = f"/flaky/1?n={number}"
            for path in ("/", "/status/404", "/status/500", retried, "/drop", "/garbage"):
                url = quote(self.url + path, safe="")
                await asyncio.to_thread(self.service.get, f"/external?url={url}")


@asynccontextmanager
async def watched(project: Project) -> AsyncIterator[Watched]:
    """The service with an upstream that is well, one that is down, and one that may be better.

    The breaker of the second is open, and that of the third half-open, once they were called.
    """
    generated = Generated(project)
    async with generated.Upstream() as upstream:
        once = {"breaker_min_calls": 1, "max_attempts": 1}
        upstreams: dict[str, dict[str, object]] = {
            "well": {"base_url": upstream.url, "backoff_base_s": 0.01},
            "down": {"base_url": f"{upstream.url}/drop", "breaker_open_s": 600, **once},
            "better": {"base_url": f"{upstream.url}/garbage", "breaker_open_s": 0.001, **once},
        }
        settings = {
            f"upstreams__{name}__{field}": value
            for name, fields in upstreams.items()
            for field, value in fields.items()
        }
        with generated.start(**settings) as service:
            yield Watched(service, upstream.url)
