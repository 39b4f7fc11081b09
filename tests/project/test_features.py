"""Each feature can be left out, alone and together with every other, without a trace."""

import difflib
import re

import pytest

from answers.features import FEATURES
from support.rendering import EVERYTHING, Bake, Project

PACKAGE = "src/my_service"
# For each feature: the files that only exist with it. Those of rate_limit and cache share a Redis,
# which retry uses if it is there.
FILES = {
    "retry": {
        "http_client/layers/pushback.py",
        "http_client/layers/retry.py",
        "http_client/layers/shared_pushback.py",
    },
    "circuit_breaker": {"http_client/layers/circuit_breaker.py"},
    "rate_limit": {
        "http_client/layers/rate_limit.py",
        "http_client/layers/shared_rate_limit.py",
    },
    "oauth2": {"http_client/auth/oauth2.py"},
    "cache": {
        "http_client/layers/cache.py",
        "http_client/layers/cache_rules.py",
        "http_client/layers/cache_store.py",
    },
    "workers": {"supervisor.py"},
}
# Words that only a project with the feature contains, except where they are terms of HTTP itself.
WORDS = {
    "retry": r"\bretr(y|ies|ied|ying)\b(?!.after)|back(ing)?.?off|push.?back|MAX_ATTEMPTS",
    "circuit_breaker": r"breaker|circuit",
    "rate_limit": r"rate.?limit",
    "oauth2": r"oauth|access.?token|token.?endpoint",
    # functools and Docker have caches, too.
    "cache": r"\bcache_|CACHE_MAX|layers.cache|RFC 9111|\brevalidat|stale.if.error|\bthe cache\b",
    "workers": r"\bworker|supervis",
}
# Without retries, extensions={"retry": …} still decides whether a closed connection is replaced;
# uvicorn starts one process, whatever WEB_CONCURRENCY says; redis-py has retries of its own.
ALLOWED = re.compile(r'"retry"|workers=1,|\bredis(\.\w+)+ import .*|\bretry=Retry\(.*')


def rendered(bake: Bake, *features: str) -> Project:
    return bake(**EVERYTHING | {"features": ", ".join(features)})


@pytest.fixture(scope="module")
def full(bake: Bake) -> Project:
    """A project with every feature."""
    return rendered(bake, *FEATURES)


@pytest.mark.parametrize("feature", FEATURES)
def test_a_feature_is_a_file_a_line_and_a_block(bake: Bake, full: Project, feature: str) -> None:
    """Without it, its files and their tests are missing, and other files only lose lines."""
    without = rendered(bake, *(each for each in FEATURES if each != feature))
    missing = full.files() - without.files()
    changed = {
        name
        for name in without.files()
        if name.startswith(PACKAGE) and without.read(name) != full.read(name)
    }

    assert {name.removeprefix(f"{PACKAGE}/") for name in missing if name.startswith(PACKAGE)} == (
        FILES[feature]
    )
    assert {name for name in missing if name.startswith("tests/")} != set()
    assert without.files() <= full.files()
    assert changed <= {
        f"{PACKAGE}/{name}"
        for name in (
            "__main__.py",
            "settings.py",
            "http_client/pipeline.py",
            "http_client/layers/base.py",
            "http_client/layers/call_log.py",
            "http_client/layers/telemetry.py",
        )
    }
    for name in (f"{PACKAGE}/http_client/pipeline.py", f"{PACKAGE}/settings.py", ".env.example"):
        lines = difflib.ndiff(full.read(name).splitlines(), without.read(name).splitlines())
        assert [line for line in lines if line.startswith("+ ")] == [], name


@pytest.mark.parametrize("feature", FEATURES)
def test_a_feature_leaves_no_word(bake: Bake, feature: str) -> None:
    """A project without a feature does not mention it, whichever others it has."""
    pattern = re.compile(WORDS[feature], re.IGNORECASE)
    for others in ((), tuple(each for each in FEATURES if each != feature)):
        project = rendered(bake, *others)
        found = [
            f"{name}: {line.strip()}"
            for name in sorted(project.files() - {"LICENSE"})
            for line in project.read(name).splitlines()
            if pattern.search(ALLOWED.sub("", line))
        ]
        assert found == []
