"""The dashboard and the alerts query metrics that a running service exposes."""

import asyncio
import itertools
import re
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest
from prometheus_client.parser import text_string_to_metric_families

from answers.names import SLUG_LIMIT
from support.rendering import EVERYTHING, Bake, Project

from .monitoring import (
    ALERTS,
    DASHBOARD,
    EVERY_FEATURE,
    FEATURES,
    asked,
    dashboard,
    panels,
    rules,
    variables,
    watched,
)

# What Prometheus itself adds to each series.
ADDED = {"job", "instance"}
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
# The alerts and panels that exist only with a feature.
OWN = {
    "circuit_breaker": {"UpstreamBreakerOpen", "Circuit breaker"},
    "retry": {"UpstreamRetries"},
    "cache": {"UpstreamStale", "Calls answered by the cache"},
}


def rendered(bake: Bake, features: str) -> Project:
    return bake(**EVERYTHING | {"features": features}, upstreams="")


@pytest.fixture(scope="module", params=FEATURES, ids=lambda features: features or "no feature")
def project(bake: Bake, request: pytest.FixtureRequest) -> Project:
    """Return a project with telemetry and each combination of features in turn."""
    return rendered(bake, request.param)


@pytest.fixture(
    scope="module",
    params=["", "retry, circuit_breaker", "cache"],
    ids=["none", "default", "cache"],
)
def running(bake: Bake, request: pytest.FixtureRequest) -> Project:
    """Return the projects whose services are called: no other feature has a metric."""
    return rendered(bake, request.param)


@dataclass(frozen=True)
class Scraped:
    """The metrics and readiness of a service after calls of every outcome."""

    labels: dict[str, set[str]]
    """The labels of each metric, without empty ones, which Prometheus drops."""
    breakers: dict[str, int]
    ready: dict[str, Any]


@pytest.fixture(scope="module")
def scraped(running: Project) -> Scraped:
    return asyncio.run(scrape(running))


async def scrape(project: Project) -> Scraped:
    async with watched(project) as watching:
        await watching.call(range(1))
        metrics = await asyncio.to_thread(watching.service.get, "/metrics")
        ready = await asyncio.to_thread(watching.service.get, "/readyz")
    labels: dict[str, set[str]] = {}
    breakers = {}
    for family in text_string_to_metric_families(metrics.body.decode()):
        for sample in family.samples:
            found = {name for name, value in sample.labels.items() if value}
            labels.setdefault(sample.name, set()).update(found)
            if sample.name == "http_client_breaker_state":
                breakers[sample.labels["upstream_name"]] = int(sample.value)
    return Scraped(labels, breakers, ready.json["upstreams"])


def expressions(project: Project) -> list[str]:
    """Return every expression of the dashboard and of the alerts."""
    shown = [target["expr"] for panel in panels(project).values() for target in panel["targets"]]
    return shown + [rule["expr"] for rule in rules(project).values()]


# --- Both -----------------------------------------------------------------------------------


def test_only_with_telemetry(bake: Bake) -> None:
    """Only a project with telemetry has a dashboard and alerts."""
    project, without = bake(**EVERYTHING, upstreams=""), bake(telemetry=False)

    assert {name for name in project.files() if name.startswith("monitoring/")} == {
        ALERTS,
        DASHBOARD,
    }
    assert not (without.path / "monitoring").exists()


def test_features_have_their_own_alerts_and_panels(bake: Bake) -> None:
    """A project has an alert or panel of a feature exactly if it has the feature."""

    def names(features: str) -> set[str]:
        project = rendered(bake, features)
        return set(rules(project)) | set(panels(project))

    every = names(EVERY_FEATURE)
    assert set().union(*OWN.values()) <= every
    for features in FEATURES:
        absent = OWN.keys() - set(features.split(", "))
        assert names(features) == every - set().union(*(OWN[feature] for feature in absent))


def test_texts_name_exceptions_that_exist(project: Project) -> None:
    """Each error type in a text is a class of the client, of httpx or of Python."""
    texts = [rule["annotations"]["description"] for rule in rules(project).values()]
    texts += [panel["description"] for panel in panels(project).values()]
    source = "".join(file.read_text(encoding="utf-8") for file in project.package.rglob("*.py"))
    own = set(re.findall(r"(?m)^class (\w+)\(", source))
    known = own | set(dir(httpx2)) | {"CancelledError", "RuntimeError"}
    named = set(re.findall(r"\b(?:[A-Z][a-z]+){2,}\b", " ".join(texts)))

    assert {"ConcurrencyLimitReached", "DeadlineExceeded", "ReadTimeout"} <= named
    assert named - known == set()


def test_every_metric_is_emitted(running: Project, scraped: Scraped) -> None:
    """A running service exposes every queried metric with the named labels."""
    wanted = [
        (metric, label)
        for parts in map(asked, expressions(running))
        for metric, _ in parts.selectors
        for label in parts.labels - {"le"} - ADDED
    ]

    assert [
        (metric, label) for metric, label in wanted if label not in scraped.labels.get(metric, ())
    ] == []
    assert [each for each in expressions(running) if not asked(each).selectors] == []


def test_texts_name_labels_that_are_left(project: Project) -> None:
    """Legends and summaries name only labels that their expression keeps."""
    shown = [
        (target["expr"], re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))
        for panel in panels(project).values()
        for target in panel["targets"]
    ]
    summarised = [
        (rule["expr"], re.findall(r"\$labels\.(\w+)", rule["annotations"]["summary"]))
        for rule in rules(project).values()
        if not rule["expr"].startswith("absent(")  # whose labels are those that it asks for
    ]

    assert [
        (names, expression)
        for expression, names in shown + summarised
        if not set(names) <= asked(expression).kept
    ] == []


# --- The dashboard --------------------------------------------------------------------------


def test_the_dashboard_keeps_its_identity(project: Project) -> None:
    """A second import replaces the dashboard, in any Grafana and time zone."""
    whole = dashboard(project)

    assert (whole["uid"], whole["title"], whole["id"]) == ("my-service", "My Service", None)
    assert (whole["schemaVersion"], whole["timezone"]) == (42, "browser")


@pytest.mark.parametrize(
    ("name", "slug"),
    [
        ("'\"`\\ ünï 🚀 </script> \\u0041 }} %} ${job}", "my-service"),
        ("Long", "s" * SLUG_LIMIT),
    ],
    ids=["awkward", "long"],
)
def test_any_name_is_good_for_the_dashboard(bake: Bake, name: str, slug: str) -> None:
    """The title is the project's name unchanged, and Grafana accepts the uid."""
    project = bake(project_name=name, project_slug=slug, telemetry=True)

    assert dashboard(project)["title"] == name
    assert re.fullmatch(r"[a-z0-9-]{1,40}", dashboard(project)["uid"])
    assert slug.startswith(dashboard(project)["uid"])
    assert variables(project)["job"]["current"]["value"] == [slug]


def test_every_query_goes_to_the_chosen_data_source(project: Project) -> None:
    """Every query goes to the data source of the variable, which is a Prometheus."""
    choices = variables(project)
    source = choices.pop("datasource")

    assert (source["type"], source["query"]) == ("datasource", "prometheus")
    assert [each["datasource"] for each in choices.values()] == [SOURCE] * 3
    assert [
        title
        for title, panel in panels(project).items()
        for target in panel["targets"]
        if (panel["datasource"], target.get("datasource", SOURCE)) != (SOURCE, SOURCE)
    ] == []
    assert set(re.findall(r'"uid": "([^"]*)"', project.read(DASHBOARD))) == {
        "my-service",
        "${datasource}",
    }


def test_every_panel_filters_by_the_variables(running: Project, scraped: Scraped) -> None:
    """Every panel filters by job and instance, and by upstream where its metric has one."""
    choices = variables(running)
    chosen = {"job=~'$job'", "instance=~'$instance'"}
    upstream = {"upstream_name=~'$upstream'"}

    assert list(choices) == ["datasource", "job", "instance", "upstream"]
    for name, label in (("job", "job"), ("instance", "instance"), ("upstream", "upstream_name")):
        query = choices[name]["query"]
        assert re.fullmatch(rf"label_values\(http_client_open_connections.*, {label}\)", query)
        assert choices[name]["multi"] and choices[name]["includeAll"]  # noqa: PT018
    for panel in panels(running).values():
        for target in panel["targets"]:
            for metric, matchers in asked(target["expr"]).selectors:
                named = upstream if "upstream_name" in scraped.labels[metric] else set()
                assert chosen | named <= matchers


def test_panels_are_distinct(project: Project) -> None:
    """Each panel has its own id, title, area and unit, and a description."""
    every = dashboard(project)["panels"]
    cells = [
        (panel["id"], x, y)
        for panel in every
        for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    ]
    width, height = 24, max(y for *_, y in cells) + 1

    assert len(every) == len({panel["id"] for panel in every})
    assert len(every) == len({panel["title"] for panel in every})
    # Neither an overlap nor a gap.
    assert set(itertools.product(range(width), range(height))) == {cell[1:] for cell in cells}
    assert width * height == len(cells)
    for title, panel in panels(project).items():
        assert len(panel["description"]) > 60, title
        defaults = panel["fieldConfig"]["defaults"]
        assert defaults.get("unit") or defaults.get("mappings"), title
        references = [target["refId"] for target in panel["targets"]]
        assert len(references) == len(set(references)), title


@pytest.mark.parametrize("running", ["retry, circuit_breaker"], ids=["default"], indirect=True)
def test_the_breaker_reads_as_readyz_says(running: Project, scraped: Scraped) -> None:
    """The panel names the breaker's states as /readyz does."""
    (mapping,) = panels(running)["Circuit breaker"]["fieldConfig"]["defaults"]["mappings"]
    words = {int(value): shown["text"] for value, shown in mapping["options"].items()}

    assert {name: words[value] for name, value in scraped.breakers.items()} == {
        "well": "closed",
        "down": "open",
        "better": "half-open",
    }
    assert {name: words[value] for name, value in scraped.breakers.items()} == {
        name: scraped.ready[name]["breaker"] for name in scraped.breakers
    }


def test_the_file_is_kept_by_hand(project: Project) -> None:
    """The file stays readable: keys in one order, and no defaults of Grafana."""
    orders = {
        tuple(key for key in panel if key != "fieldConfig") for panel in panels(project).values()
    }

    assert len(orders) == 1
    assert len(project.read(DASHBOARD).splitlines()) < 250
    assert not re.search(
        r'"(?:version|pluginVersion|iteration|__inputs)":', project.read(DASHBOARD)
    )


# --- The alerts -----------------------------------------------------------------------------


def test_alerts_say_what_to_do(project: Project) -> None:
    """Each alert has a severity, a summary and a description that names existing panels."""
    for name, rule in rules(project).items():
        texts = rule["annotations"]
        assert {"critical", "warning"} & {rule["labels"]["severity"]}, name
        assert set(texts) == {"summary", "description"}, name
        assert len(texts["description"]) > 100, name
        named = set(re.findall(r'"([^"]+)"', texts["description"])) - {"upstream call"}
        assert named <= set(panels(project)), name


def test_alerts_are_those_of_this_service(bake: Bake) -> None:
    """Each rule selects its own service, since one Prometheus loads the rules of several."""
    project = bake(project_slug="maps", telemetry=True)

    for rule in rules(project).values():
        for _, matchers in asked(rule["expr"]).selectors:
            assert 'job="maps"' in matchers
    assert "my-service" not in project.read(ALERTS)


def test_one_bad_moment_alerts_nobody(project: Project) -> None:
    """An alert waits at least as long as its expression looks back."""

    def minutes(text: str) -> int:
        return int(text.removesuffix("m"))

    assert [
        name
        for name, rule in rules(project).items()
        for window in re.findall(r"\[(\w+)\]", rule["expr"])
        if minutes(window) > minutes(rule["for"])
    ] == []


def test_what_fails_is_the_same_in_both(project: Project) -> None:
    """The panel of an alert counts what the alert counts."""
    pairs = {
        "ServiceErrors": "Failed requests",
        "UpstreamFailing": "Failed calls",
        "UpstreamRetries": "Repeats per call",
    }

    def counted(expression: str) -> list[str]:
        return re.findall(r'error_type[=!~]+"[^"]*"|http_\w+', expression)

    for alert in rules(project).keys() & pairs:
        title = pairs[alert]
        shown = panels(project)[title]["targets"][0]["expr"].replace("'", '"')

        assert counted(rules(project)[alert]["expr"]) == counted(shown)
