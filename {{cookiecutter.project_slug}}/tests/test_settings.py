import ast
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
    describe_errors,
    warn_of_unknown_variables,
)

EXAMPLE = Path(__file__).parents[1] / ".env.example"


def test_defaults() -> None:
    """Without an environment, the service has the upstreams it was generated with."""
    base_urls = {name: str(up.base_url).rstrip("/") for name, up in Settings().upstreams.items()}

    assert base_urls == {name: url.rstrip("/") for name, url in BASE_URLS.items()}


def test_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Variables change every client or one upstream, and add upstreams."""
    for name, value in {
        "APP_PORT": "9000",
        "APP_LOG_LEVEL": "debug",
        "APP_HTTP__READ_TIMEOUT_S": "3",
        "APP_HTTP__ATTEMPT_TIMEOUT_S": "none",
        "APP_UPSTREAMS__OTHER__BASE_URL": "http://other.example/v1",
        "APP_UPSTREAMS__OTHER__READ_TIMEOUT_S": "2",
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
    assert (settings.http.attempt_timeout_s, other.attempt_timeout_s) == (None, None)
    assert str(other.base_url) == "http://other.example/v1"
    assert len(settings.external_allowed_origins) == 2
    assert "s3cret" not in repr(settings)
    assert "k3y" not in repr(settings)


{% if "retry" in cookiecutter.features %}
@pytest.mark.parametrize(
    ("value", "statuses"),
    [("429, 503", (429, 503)), ("[429]", (429,)), ("500", (500,)), ("none", ())],
)
def test_statuses(monkeypatch: pytest.MonkeyPatch, value: str, statuses: tuple[int, ...]) -> None:
    """RETRY_STATUSES is a list separated by commas, or JSON, or none; an upstream can have its own."""
    monkeypatch.setenv("APP_HTTP__RETRY_STATUSES", "504")
    monkeypatch.setenv("APP_UPSTREAMS__OTHER__BASE_URL", "http://other.example")
    monkeypatch.setenv("APP_UPSTREAMS__OTHER__RETRY_STATUSES", value)
    settings = Settings()

    assert settings.http.retry_statuses == (504,)
    assert settings.upstreams["other"].retry_statuses == statuses


{% endif %}
def test_environment_takes_precedence_over_dotenv(monkeypatch: pytest.MonkeyPatch) -> None:
    """``.env`` sets what the environment leaves unset."""
    Path(".env").write_text("APP_PORT=1\nAPP_HOST=0.0.0.0\nUNRELATED=1\n", encoding="utf-8")
    monkeypatch.setenv("APP_PORT", "2")

    assert (Settings().port, Settings().host) == (2, "0.0.0.0")


def test_socks_proxy_stops_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """With TRUST_ENV, a SOCKS proxy that a client would use is a problem."""
    monkeypatch.setenv("ALL_PROXY", "socks5://127.0.0.1:1080")
    monkeypatch.setenv("APP_HTTP__TRUST_ENV", "true")
    with pytest.raises(ValidationError, match="ALL_PROXY to be an http:// URL"):
        Settings()
    for name in ("HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "127.0.0.1:3128")

    assert Settings().http.trust_env


def test_unknown_variables_are_one_warning(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Unknown variables do not stop the start; one line names each, with the closest setting."""
    Path(".env").write_text("APP_LOG_LEVL=s3cret\nAPP_PORT=1\n", encoding="utf-8")
    for name in ("HTTP__READ_TIMEOT_S", "UPSTREAM__UP__BASE_ULR", "SERVICE_HOST"):
        monkeypatch.setenv(f"APP_{name}", "s3cret")
    monkeypatch.setenv("APP_UPSTREAMS__UP__BASE_URL", "http://up.example")
    Settings()
    warn_of_unknown_variables()

    assert caplog.messages == [
        "unknown settings: APP_HTTP__READ_TIMEOT_S (closest: APP_HTTP__READ_TIMEOUT_S), "
        "APP_LOG_LEVL (closest: APP_LOG_LEVEL), APP_SERVICE_HOST, "
        "APP_UPSTREAM__UP__BASE_ULR (closest: APP_UPSTREAMS__UP__BASE_URL)"
    ]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("APP_LOG_LEVEL", "loud"),
        ("APP_ROOT_PATH", "api"),
        ("APP_EXTERNAL_ALLOWED_ORIGINS", "http://a,nonsense"),
        ("APP_HTTP__TOTAL_TIMEOUT_S", "inf"),
        ("APP_HTTP__CA_BUNDLE", __file__),
        ("APP_HTTP__CLIENT_CERT", __file__),
        ("APP_UPSTREAMS__OTHER__CLIENT_KEY", __file__),
        ("APP_UPSTREAMS__OTHER__BASE_URL", "other.example"),
        ("APP_UPSTREAMS__OTHER__BASE_URL", "ftp://other.example"),
        ("APP_UPSTREAMS__OTHER__BASE_URL", "http://other.example/?"),
        ("APP_UPSTREAMS__OTHER__BASE_URL", "http://user:s3cret@other.example"),
        ("APP_UPSTREAMS__OTHER__BEARER_TOKEN", "s3cret\n"),
        ("APP_UPSTREAMS__OTHER__BEARER_TOKEN", "s3crét"),
        ("APP_HTTP", "s3cret"),
{% if "retry" in cookiecutter.features %}
        ("APP_HTTP__RETRY_STATUSES", "429,s3cret"),
        ("APP_HTTP__RETRY_STATUSES", "429,200"),
        ("APP_UPSTREAMS__OTHER__RETRY_STATUSES", "[429"),
{% endif %}
    ],
)
def test_invalid_value(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    """An invalid value is one line at the start, which names its variable and hides its value."""
    monkeypatch.setenv("APP_UPSTREAMS__OTHER__BASE_URL", "http://other.example")
    monkeypatch.setenv(name, value)
    with pytest.raises((ValidationError, SettingsError)) as error:
        Settings()

    assert isinstance(error.value, ValidationError | SettingsError)
    (line,) = describe_errors(error.value)
    assert line.startswith(name)
    assert "s3cr" not in line
    assert "relative URL" not in line


def test_example_lists_every_setting() -> None:
    """``.env.example`` has every setting, with its default and its description."""
    lines = [line.removeprefix("# ") for line in EXAMPLE.read_text(encoding="utf-8").splitlines()]
    listed = dict(line.split("=", 1) for line in lines if line.startswith("APP_"))
    above = {line.partition("=")[0]: text for text, line in pairwise(lines)}

    for model, prefix in ((Settings, "APP_"), (HTTPSettings, "APP_HTTP__")):
        for name, description in descriptions_of(model).items():
            variable = prefix + name.upper()
            default = as_written(model.model_fields[name].default)
            assert (listed.pop(variable), above[variable]) == (default, description)
    for name, base_url in (BASE_URLS or {"example": "https://api.example.com"}).items():
        assert listed.pop(f"APP_UPSTREAMS__{name.upper()}__BASE_URL") == base_url
    only_upstreams = UpstreamSettings.model_fields.keys() - HTTPSettings.model_fields.keys()
    names = {variable.rpartition("__")[2].lower() for variable in listed}
    assert names == only_upstreams - {"base_url"}


def descriptions_of(model: type[BaseModel]) -> dict[str, str]:
    """Return the string after each field of a model, except those that are models themselves."""
    (tree,) = ast.parse(getsource(model)).body
    assert isinstance(tree, ast.ClassDef)
    return {
        name: " ".join(ast.literal_eval(text.value).replace("``", "").split())
        for field, text in pairwise(tree.body)
        if isinstance(field, ast.AnnAssign) and isinstance(text, ast.Expr)
        if (name := ast.unparse(field.target)) not in {"http", "upstreams"}
    }


def as_written(default: object) -> str:
    if isinstance(default, bool) or default is None:
        return str(default).lower()
    return ",".join(map(str, default)) if isinstance(default, tuple) else str(default)
