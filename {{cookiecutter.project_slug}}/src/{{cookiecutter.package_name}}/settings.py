"""Reads the service's own settings, from ``APP_`` variables and ``.env``."""

import errno
{% if cookiecutter.__shared_state %}
import importlib.util
{% endif %}
import json
import logging
import re
import ssl
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    AnyHttpUrl,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    FilePath,
    SecretStr,
    StringConstraints,
    ValidationError,
{% if "oauth2" in cookiecutter.features %}
    ValidationInfo,
    field_validator,
{% endif %}
    model_validator,
)
from pydantic_core import InitErrorDetails, PydanticCustomError
from pydantic_settings import (
    BaseSettings,
    DotEnvSettingsSource,
    EnvSettingsSource,
    InitSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

log = logging.getLogger(__name__)

# The default upstreams. The environment can change them and add others.
{% if cookiecutter.upstreams %}
BASE_URLS: dict[str, str] = {
{% for upstream in cookiecutter.upstreams | parse_upstreams %}
    {{ upstream.name | python_string }}: {{ upstream.base_url | python_string }},
{% endfor %}
}
{% else %}
BASE_URLS: dict[str, str] = {}
{% endif %}

Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
{% if "circuit_breaker" in cookiecutter.features %}
Ratio = Annotated[float, Field(gt=0, le=1)]
{% endif %}
Name = Annotated[str, StringConstraints(to_lower=True, pattern=r"^[A-Za-z][A-Za-z0-9_]*$")]
HeaderName = Annotated[str, StringConstraints(pattern=r"^[!#$%&'*+.^_`|~0-9A-Za-z-]+$")]


def _check_header_value(secret: SecretStr) -> SecretStr:
    if not re.fullmatch(r"[!-~]([ -~]*[!-~])?", secret.get_secret_value()):
        raise ValueError("must be printable ASCII with no leading or trailing whitespace")
    return secret


{% if "rate_limit" in cookiecutter.features %}
def _check_rate(limit: str) -> str:
    if not re.fullmatch(r"[1-9][0-9]{0,5}/([1-9][0-9]{0,5} )?(second|minute|hour|day)s?", limit):
        raise ValueError("must look like 100/minute or 20/5 seconds (at most 999999)")
    return limit


{% endif %}
{% if cookiecutter.__shared_state %}
def _check_redis_url(url: SecretStr) -> SecretStr:
    if importlib.util.find_spec("redis") is None:
        raise ValueError("needs the extra: uv sync --extra redis")
    from redis.asyncio import ConnectionPool  # takes 0.3 s

    try:
        pool = ConnectionPool.from_url(url.get_secret_value())
        pool.make_connection()  # type: ignore[no-untyped-call]  # does not connect yet
    except Exception:  # its message contains the URL, and so the password
        raise ValueError("must look like redis://host:6379/0, or rediss:// for TLS") from None
    return url


{% endif %}
def _check_certificates(path: Path) -> Path:
    try:
        ssl.create_default_context(cafile=path)
    except OSError as error:
        raise ValueError("must be a readable PEM file of certificates") from error
    return path


def load_client_certificate(context: ssl.SSLContext, cert: Path, key: Path | None = None) -> None:
    """Load a certificate and its key, which may be in the same file; raises OSError."""

    def reject() -> str:  # called for an encrypted key; without it, OpenSSL asks on the terminal
        raise OSError(errno.EACCES, "the key is encrypted")

    context.load_cert_chain(cert, key, password=reject)


def _check_proxies(trust_env: bool) -> bool:
    proxies = urllib.request.getproxies() if trust_env else {}
    for scheme in ("http", "https"):
        name = scheme if scheme in proxies else "all"
        proxy = proxies.get(name, "").lower()
        if "://" in proxy and not proxy.startswith(("http://", "https://")):
            raise ValueError(f"needs {name.upper()}_PROXY to be an http:// URL, not SOCKS")
    return trust_env


def _check_base_url(url: AnyHttpUrl) -> AnyHttpUrl:
    if url.username or url.password or "?" in str(url) or "#" in str(url):
        raise ValueError("must not contain a user, password, query or fragment")
    return url


{% if "oauth2" in cookiecutter.features %}
def _check_token_url(url: AnyHttpUrl) -> AnyHttpUrl:
    if url.username or url.password or "#" in str(url):
        raise ValueError("must not contain a user, password or fragment")
    return url


{% endif %}
def _split(values: object) -> object:
    if not isinstance(values, str):
        return () if values is None else values
    if values.startswith("["):
        return json.loads(values)
    return [value.strip() for value in values.split(",") if value.strip()]


HeaderValue = Annotated[SecretStr, AfterValidator(_check_header_value)]
{% if "retry" in cookiecutter.features %}
ErrorStatuses = Annotated[
    tuple[Annotated[int, Field(ge=400, le=599)], ...], NoDecode, BeforeValidator(_split)
]
{% endif %}


class HTTPSettings(BaseModel):
    """How an HTTP client behaves. Set an optional field to ``none`` to turn its layer off."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    connect_timeout_s: Seconds = 5
    """DNS, TCP and TLS together, in seconds."""
    read_timeout_s: Seconds = 10
    """Longest wait for the next chunk of a response, in seconds."""
    write_timeout_s: Seconds = 10
    """Longest wait for the upstream to take a chunk of the request, in seconds."""
    pool_timeout_s: Seconds = 1
    """Longest wait for a slot, in seconds; short, so that overload is shed early."""
    attempt_timeout_s: Seconds | None = 10
    """Each attempt up to the response's headers, in seconds. Not set: 10, or READ_TIMEOUT_S if longer."""
    total_timeout_s: Seconds = 30
    """The call except a streamed body, in seconds. Not set: 30, or READ_TIMEOUT_S if longer."""
    stream_timeout_s: Seconds = 600
    """A streamed body, in seconds; READ_TIMEOUT_S bounds each chunk."""
    max_connections: Annotated[int, Field(gt=0)] = 100
    """Maximum concurrent calls to the upstream, per process."""
    keepalive_expiry_s: Seconds = 4
    """Idle time before a connection is closed, in seconds; many servers close theirs after 5."""
    max_response_bytes: Annotated[int, Field(gt=0)] | None = 10 * 1024 * 1024
    """Largest response body, received or decompressed, in bytes."""
    follow_redirects: bool = False
    """Whether to follow redirects: an upstream's at its origin, the default client's anywhere."""
    trust_env: Annotated[bool, AfterValidator(_check_proxies)] = False
    """Whether to honour HTTP_PROXY, HTTPS_PROXY, NO_PROXY and SSL_CERT_FILE."""
    ca_bundle: Annotated[FilePath, AfterValidator(_check_certificates)] | None = None
    """A PEM file of the certificate authorities to trust instead of the default ones."""
    client_cert: Annotated[FilePath, AfterValidator(_check_certificates)] | None = None
    """A PEM file of the client certificate; new connections use what replaces it."""
    client_key: FilePath | None = None
    """A PEM file of its key, not encrypted; not set if CLIENT_CERT contains it."""
    dns_ttl_s: Seconds = 10
    """How long an address is used after DNS has last returned it, in seconds."""
    connection_max_age_s: Seconds | None = None
    """Age after which a connection takes no more calls, in seconds."""
{% if "retry" in cookiecutter.features %}

    max_attempts: Annotated[int, Field(gt=0)] = 3
    """Maximum attempts per call, the first included; 1 retries only on a stale connection."""
    backoff_base_s: Seconds = 0.2
    """Upper bound of the first random wait before a retry, in seconds; it doubles each time."""
    backoff_max_s: Seconds = 2
    """Upper bound of every random wait before a retry, in seconds."""
    retry_budget: Annotated[float, Field(ge=0, le=1)] = 0.2
    """Retry budget: retries per call on average, plus one per second."""
    retry_statuses: ErrorStatuses = (429, 502, 503, 504)
    """Comma-separated statuses after which a call that is safe to repeat is repeated."""
    retry_after_max_s: Seconds | None = 60
    """Longest time without calls after a 429 or 503 with Retry-After, in seconds."""
{% endif %}
{% if "circuit_breaker" in cookiecutter.features %}

    breaker_failure_ratio: Ratio | None = 0.5
    """Share of failed attempts that opens the circuit breaker."""
    breaker_min_calls: Annotated[int, Field(gt=0)] = 20
    """Minimum attempts in the window before the breaker may open."""
    breaker_window_s: Seconds = 30
    """Length of the window in which the breaker counts, in seconds."""
    breaker_open_s: Seconds = 5
    """How long an open breaker rejects calls before it admits a probe, in seconds."""
{% endif %}
{% if "rate_limit" in cookiecutter.features %}

    rate_limit: Annotated[str, AfterValidator(_check_rate)] | None = None
    """Maximum attempts per period, such as 100/minute; shared through SHARED_STATE_URL."""
{% endif %}
{% if "cache" in cookiecutter.features %}

    cache_max_bytes: Annotated[int, Field(gt=0)] | None = None
    """Memory for cached responses, in bytes; with SHARED_STATE_URL, they are kept there instead."""
{% endif %}

    @property
    def timeouts(self) -> dict[str, float]:
        """The timeouts of httpx, by its names."""
        names = ("connect", "read", "write", "pool")
        return {name: getattr(self, f"{name}_timeout_s") for name in names}

    def bound_s(self, field: Literal["attempt_timeout_s", "total_timeout_s"]) -> float:
        """Return a bound in seconds; a default one does not undercut the read timeout."""
        bound_s: float = getattr(self, field)
        return bound_s if field in self.model_fields_set else max(bound_s, self.read_timeout_s)


class UpstreamSettings(HTTPSettings):
    """An upstream's URL and credentials, plus overrides for any field of HTTPSettings."""

    base_url: Annotated[AnyHttpUrl, AfterValidator(_check_base_url)]
    """Scheme, host, port and an optional path, which is prepended to every call's path."""
    bearer_token: HeaderValue | None = None
    """Sent as ``Authorization: Bearer …``, to this upstream only."""
    headers: dict[HeaderName, HeaderValue] = {}
    """Sent with every call, to this upstream only; the values are secret."""
{% if "oauth2" in cookiecutter.features %}

    oauth2_token_url: Annotated[AnyHttpUrl, AfterValidator(_check_token_url)] | None = None
    """Where to request access tokens for this upstream, by the grant client_credentials."""
    oauth2_client_id: Annotated[str, Field(min_length=1)] | None = Field(
        None, validate_default=True
    )
    """This service's name at the token endpoint."""
    oauth2_client_secret: Annotated[SecretStr, Field(min_length=1)] | None = Field(
        None, validate_default=True
    )
    """Sent to the token endpoint only."""
    oauth2_scope: str | None = None
    """Scopes to request, separated by spaces; without it, the token endpoint decides."""
    oauth2_audience: str | None = None
    """The API that the token is for, if the token endpoint needs it, as Auth0's does."""

    @field_validator("oauth2_token_url")
    @classmethod
    def _check_no_other_token(cls, url: AnyHttpUrl | None, info: ValidationInfo) -> Any:
        names = {name.lower() for name in info.data.get("headers", {})}
        if url and (info.data.get("bearer_token") or "authorization" in names):
            raise ValueError("cannot be combined with BEARER_TOKEN or an Authorization in HEADERS")
        return url

    @field_validator("oauth2_client_id", "oauth2_client_secret")
    @classmethod
    def _check_complete(cls, value: object, info: ValidationInfo) -> Any:
        url = info.data.get("oauth2_token_url", ...)  # missing if it is invalid
        if url is not ... and (url is None) != (value is None):
            raise ValueError("must be set together with OAUTH2_TOKEN_URL")
        return value
{% endif %}


def _check_client_certificate(
    http: HTTPSettings, given: set[str], *path: str
) -> Iterator[InitErrorDetails]:
    """Check the pair after inheritance; ``given`` are the fields that were set at ``path``."""
    cert, key = http.client_cert, http.client_key
    field = "client_key" if key is not None and "client_key" in given else "client_cert"
    try:
        if cert is not None and field in given:
            load_client_certificate(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), cert, key)
        elif cert is None and field == "client_key" and "client_cert" not in given:
            raise OSError(errno.ENOENT, "CLIENT_CERT is not set")
    except OSError as error:
        reason = "must be PEM files of a certificate and its unencrypted key: {reason}"
        problem = PydanticCustomError("client_certificate", reason, {"reason": error.strerror})
        yield InitErrorDetails(type=problem, loc=(*path, field), input=None)


class Settings(BaseSettings):
    """The service's settings: ``APP_`` variables, which take precedence over ``.env``."""

    model_config = SettingsConfigDict(
        env_prefix="APP_",
        env_nested_delimiter="__",
        env_file=".env",
        env_ignore_empty=True,
        env_parse_none_str="none",
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
    )

    host: str = "127.0.0.1"
    """Address to listen on; 0.0.0.0 for calls from other machines."""
    port: Annotated[int, Field(ge=0, le=65535)] = 8000
    """Port to listen on."""
{% if "workers" in cookiecutter.features %}
    workers: Annotated[int, Field(gt=0)] = 1
    """Processes; each has its own clients, and so its own MAX_CONNECTIONS."""
{% endif %}
    root_path: Annotated[str, StringConstraints(pattern=r"^(/[A-Za-z0-9._~-]+)*$")] = ""
    """Path under which a proxy serves this service, such as /api, whether or not the proxy strips it."""
    log_level: Annotated[
        Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"], BeforeValidator(str.upper)
    ] = "INFO"
    """Minimum level that is logged."""
    log_format: Annotated[Literal["json", "console"], BeforeValidator(str.lower)] = "json"
    """``json`` for machines, ``console`` for people."""
    shutdown_grace_s: Seconds = 35
    """Grace period for in-flight calls at shutdown, in seconds; keep it above TOTAL_TIMEOUT_S."""
    cancel_on_disconnect: bool = True
    """Whether to end the upstream calls of callers who disconnect; never after a write."""
    external_allowed_origins: Annotated[
        tuple[AnyHttpUrl, ...], NoDecode, BeforeValidator(_split)
    ] = ()
    """Comma-separated origins that /external may call besides the upstreams'."""
{% if cookiecutter.__shared_state %}
    shared_state_url: Annotated[SecretStr, AfterValidator(_check_redis_url)] | None = None
    """A Redis through which processes share state, such as redis://host:6379/0."""
{% endif %}
    http: HTTPSettings = HTTPSettings()
    """Defaults of every client."""
    upstreams: dict[Name, UpstreamSettings] = {}
    """By name; their fields override those of ``http``."""

    @model_validator(mode="after")
    def _inherit(self) -> Self:
        problems = [*_check_client_certificate(self.http, self.http.model_fields_set, "http")]
        for name, upstream in self.upstreams.items():
            inherited = self.http.model_fields_set - upstream.model_fields_set
            self.upstreams[name] = upstream.model_copy(
                update={field: getattr(self.http, field) for field in inherited}
            )
            given = upstream.model_fields_set
            path = ("upstreams", name)
            problems += _check_client_certificate(self.upstreams[name], given, *path)
        if problems:
            raise ValidationError.from_exception_data("Settings", problems)
        return self

    @classmethod
    def settings_customise_sources(
        cls, settings_cls: type[BaseSettings], *_: Any, **sources: Any
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        init, env, dotenv = (sources[f"{name}_settings"] for name in ("init", "env", "dotenv"))
        for source in (env, dotenv):  # a platform's own variables are no error
            source.env_vars = {k: v for k, v in source.env_vars.items() if _is_setting(k)}
        given = (init, env, dotenv)
        if "upstreams" in init():  # given in code: exactly these
            return given
        upstreams = {name: {"base_url": url} for name, url in BASE_URLS.items()}
        return *given, InitSettingsSource(settings_cls, {"upstreams": upstreams})


def read_settings() -> Settings:
    """Read the settings. If any is invalid, print one line for each to stderr and exit."""
    try:
        return Settings()
    except (ValidationError, SettingsError, UnicodeDecodeError) as error:
        print("Invalid settings:", *describe_errors(error), sep="\n  ", file=sys.stderr)
        sys.exit(3)  # uvicorn's code for a failed start; on any other, gunicorn tries again


def warn_of_unknown_variables() -> None:
    """Log a warning that names each ``APP_`` variable that is no setting, and the closest one."""
    given = {*EnvSettingsSource(Settings).env_vars, *DotEnvSettingsSource(Settings).env_vars}
    unknown = [name for name in sorted(given) if name.startswith("app_") and not _is_setting(name)]
    if unknown:
        log.warning("unknown settings: %s", ", ".join(map(_name_closest, unknown)))


def _is_setting(variable: str) -> bool:
    name = variable.removeprefix("app_")
    return "__".join(name.split("__")[:3]) in _settings_like(name)


def _settings_like(name: str) -> list[str]:
    """Return all settings, and those of an upstream with the second part of the name."""
    names = [*Settings.model_fields, *(f"http__{field}" for field in HTTPSettings.model_fields)]
    if "__" in name:
        upstream = "upstreams__" + name.split("__")[1]
        names += [upstream, *(f"{upstream}__{field}" for field in UpstreamSettings.model_fields)]
    return names


def _name_closest(variable: str) -> str:
    from difflib import get_close_matches  # rarely needed

    name = variable.removeprefix("app_")
    closest = get_close_matches(name, _settings_like(name), 1, 0.75)
    return variable.upper() + "".join(f" (closest: APP_{name.upper()})" for name in closest)


def describe_errors(error: ValidationError | SettingsError | UnicodeDecodeError) -> list[str]:
    """Return one line for each invalid setting, with its variable and without its value."""
    if isinstance(error, UnicodeDecodeError):
        return [".env: must be encoded in UTF-8"]
    if isinstance(error, SettingsError):  # its message: error parsing value for field "…"
        _, field, *_ = str(error).split('"')
        return [f"APP_{field.upper()}…: is not valid JSON"]
    lines = [f"{_variable(problem)}: {problem['msg']}" for problem in error.errors()]
    return [line.replace("relative URL without a base", "such as https://…") for line in lines]


def _variable(problem: Any) -> str:
    names = [part for part in problem["loc"] if isinstance(part, str) and part != "[key]"]
    return "__".join(["APP", *names]).replace("APP__", "APP_", 1).upper()
