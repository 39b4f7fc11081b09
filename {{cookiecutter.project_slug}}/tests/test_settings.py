import ast
import sys
from inspect import getsource
from itertools import pairwise
from pathlib import Path

import pytest
from pydantic import BaseModel, ValidationError
from pydantic_settings import SettingsError

from {{ cookiecutter.package_name }}.settings import (
    BASE_URLS,
    HTTPSettings,
    Settings,
    UpstreamSettings,
    explained,
)

ROOT = Path(__file__).parents[1]


def test_defaults() -> None:
    """Without an environment the service has the upstreams it was made for."""
    assert {name: str(up.base_url).rstrip("/") for name, up in Settings().upstreams.items()} == {
        name: url.rstrip("/") for name, url in BASE_URLS.items()
    }


def test_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Variables change every client, one upstream, and add upstreams."""
    for name, value in {
        "APP_PORT": "9000",
        "APP_LOG_LEVEL": "debug",
        "APP_HTTP__READ_TIMEOUT_S": "3",
        "APP_HTTP__BREAKER_FAILURE_RATIO": "none",
        "APP_HTTP__RATE_LIMIT": "100/minute",
        "APP_UPSTREAMS__OTHER__BASE_URL": "http://other.example/v1",
        "APP_UPSTREAMS__OTHER__READ_TIMEOUT_S": "2",
        "APP_UPSTREAMS__OTHER__RATE_LIMIT": "20/5 seconds",
        "APP_UPSTREAMS__OTHER__BEARER_TOKEN": "s3cret",
        "APP_UPSTREAMS__OTHER__HEADERS": '{"X-Api-Key": "k3y"}',
        "APP_EXTERNAL_ALLOWED_ORIGINS": "http://a.example,http://b.example:81",
    }.items():
        monkeypatch.setenv(name, value)
    settings = Settings()

    other = settings.upstreams["other"]
    assert settings.upstreams.keys() == {*BASE_URLS, "other"}
    assert (settings.port, settings.log_level) == (9000, "DEBUG")
    assert (settings.http.read_timeout_s, other.read_timeout_s) == (3, 2)
    assert (settings.http.rate_limit, other.rate_limit) == ("100/minute", "20/5 seconds")
    assert settings.http.breaker_failure_ratio is other.breaker_failure_ratio is None
    assert str(other.base_url) == "http://other.example/v1"
    assert len(settings.external_allowed_origins) == 2
    assert "s3cret" not in repr(settings)
    assert "k3y" not in repr(settings)


def test_dotenv_is_beneath_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """``.env`` counts where the environment says nothing."""
    Path(".env").write_text("APP_PORT=1\nAPP_HOST=0.0.0.0\nUNRELATED=1\n", encoding="utf-8")
    monkeypatch.setenv("APP_PORT", "2")

    assert (Settings().port, Settings().host) == (2, "0.0.0.0")


def test_each_problem_names_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    """All problems are told, one line each, without the values."""
    monkeypatch.setenv("APP_PORT", "s3cret")
    monkeypatch.setenv("APP_HTTP__MAX_CONNECTIONS", "0")
    monkeypatch.setenv("APP_HTTP__REED_TIMEOUT_S", "1")
    monkeypatch.setenv("APP_UPSTREAMS__OTHER__READ_TIMEOUT_S", "2")
    with pytest.raises(ValidationError) as error:
        Settings()

    told = explained(error.value)
    assert sorted(line.partition(":")[0] for line in told) == [
        "APP_HTTP__MAX_CONNECTIONS",
        "APP_HTTP__REED_TIMEOUT_S",
        "APP_PORT",
        "APP_UPSTREAMS__OTHER__BASE_URL",
    ]
    assert "s3cret" not in "".join(told)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("APP_LOG_LEVEL", "loud"),
        ("APP_EXTERNAL_ALLOWED_ORIGINS", "http://a,nonsense"),
        ("APP_SHARED_STATE_URL", "http://s3cret.example"),
        ("APP_SHARED_STATE_URL", "redis://:s3cret@cache?socket_timeout=s3cret"),
        ("APP_SHARED_STATE_URL", "redis://:s3cret@cache?what=s3cret"),
        ("APP_HTTP__RATE_LIMIT", "100"),
        ("APP_HTTP__RATE_LIMIT", "0/minute"),
        ("APP_HTTP__RATE_LIMIT", "1\u0663/minute"),
        ("APP_HTTP__TOTAL_TIMEOUT_S", "inf"),
        ("APP_HTTP__CA_BUNDLE", __file__),
        ("APP_UPSTREAMS__OTHER__BASE_URL", "ftp://other.example"),
        ("APP_UPSTREAMS__OTHER__BASE_URL", "http://other.example/?"),
        ("APP_UPSTREAMS__OTHER__BASE_URL", "http://user:s3cret@other.example"),
        ("APP_UPSTREAMS__OTHER__BEARER_TOKEN", "s3cret\n"),
        ("APP_UPSTREAMS__OTHER__BEARER_TOKEN", "s3crét"),
        ("APP_HTTP", "s3cret"),
    ],
)
def test_bad_value_names_its_variable(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    """Whatever is wrong is told by name at the start, and not at the first call."""
    monkeypatch.setenv("APP_UPSTREAMS__OTHER__BASE_URL", "http://other.example")
    monkeypatch.setenv(name, value)
    with pytest.raises((ValidationError, SettingsError)) as error:
        Settings()

    assert isinstance(error.value, ValidationError | SettingsError)
    (told,) = explained(error.value)
    assert told.startswith(name)
    assert "s3cr" not in told


def test_what_needs_an_extra_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing package is told at the start, with the command that installs it."""
    monkeypatch.setitem(sys.modules, "redis", None)
    monkeypatch.setenv("APP_SHARED_STATE_URL", "redis://localhost")
    with pytest.raises(ValidationError) as error:
        Settings()

    assert "uv sync --extra redis" in explained(error.value)[0]


def test_example_lists_every_setting_with_its_default() -> None:
    """``.env.example`` cannot drift: it is compared with the settings themselves."""
    lines = (ROOT / ".env.example").read_text(encoding="utf-8").splitlines()
    listed = dict(
        line.removeprefix("# ").split("=", 1) for line in lines if line.startswith("# APP_")
    )

    expected = (
        example(Settings, "APP_", {"http", "upstreams"})
        | example(HTTPSettings, "APP_HTTP__", set())
        | {f"APP_UPSTREAMS__{name.upper()}__BASE_URL": url for name, url in BASE_URLS.items()}
    )
    upstream = next((name for name in BASE_URLS), "example").upper()
    only_upstreams = UpstreamSettings.model_fields.keys() - HTTPSettings.model_fields.keys()
    for name in only_upstreams - {"base_url"}:
        assert listed.pop(f"APP_UPSTREAMS__{upstream}__{name.upper()}") != ""
    if not BASE_URLS:
        assert listed.pop("APP_UPSTREAMS__EXAMPLE__BASE_URL") != ""
    assert listed == expected

    said = {line[2:].partition("=")[0]: above[2:] for above, line in pairwise(lines)}
    for model, prefix in ((Settings, "APP_"), (HTTPSettings, "APP_HTTP__")):
        for name in model.model_fields.keys() - {"http", "upstreams"}:
            assert said[prefix + name.upper()] == documentation(model)[name]


def example(model: type[BaseModel], prefix: str, apart: set[str]) -> dict[str, str]:
    """The fields of a model as ``.env.example`` writes them."""
    return {
        prefix + name.upper(): written(field.default)
        for name, field in model.model_fields.items()
        if name not in apart
    }


def documentation(model: type[BaseModel]) -> dict[str, str]:
    """What the source says of each field, in the string after it."""
    (tree,) = ast.parse(getsource(model)).body
    assert isinstance(tree, ast.ClassDef)
    return {
        ast.unparse(field.target): ast.literal_eval(text.value).replace("``", "")
        for field, text in pairwise(tree.body)
        if isinstance(field, ast.AnnAssign) and isinstance(text, ast.Expr)
    }


def written(default: object) -> str:
    if isinstance(default, bool) or default is None:
        return str(default).lower()
    return "" if default == () else str(default)
