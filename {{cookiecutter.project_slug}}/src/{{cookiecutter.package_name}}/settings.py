"""What the environment decides: every ``APP_`` variable is read here, and nowhere else."""

import importlib.util
import json
import re
import ssl
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
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

# The upstreams this service was made for. The environment changes and adds to them.
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
Ratio = Annotated[float, Field(gt=0, le=1)]
Name = Annotated[str, StringConstraints(to_lower=True, pattern=r"^[A-Za-z][A-Za-z0-9_]*$")]
HeaderName = Annotated[str, StringConstraints(pattern=r"^[!#$%&'*+.^_`|~0-9A-Za-z-]+$")]


def _fits_a_header(secret: SecretStr) -> SecretStr:
    if not re.fullmatch(r"[!-~]([ -~]*[!-~])?", secret.get_secret_value()):
        raise ValueError("must be printable ASCII, without space or line break at its ends")
    return secret


def _is_a_rate(limit: str) -> str:
    if not re.fullmatch(r"[1-9][0-9]{0,5}/([1-9][0-9]{0,5} )?(second|minute|hour|day)s?", limit):
        raise ValueError("must be like 100/minute or 20/5 seconds, of 999999 at most")
    return limit


def _is_a_redis(url: SecretStr) -> SecretStr:
    if importlib.util.find_spec("redis") is None:
        raise ValueError("needs the extra: uv sync --extra redis")
    from redis.asyncio import ConnectionPool  # takes 0.3 s

    try:
        pool = ConnectionPool.from_url(url.get_secret_value())
        pool.make_connection()  # type: ignore[no-untyped-call]  # and connects to nothing
    except Exception:  # whose words hold the URL, and so the password
        raise ValueError("must be like redis://host:6379/0, or rediss:// for TLS") from None
    return url


def _holds_certificates(path: Path) -> Path:
    try:
        ssl.create_default_context(cafile=path)
    except OSError as error:
        raise ValueError("must hold PEM certificates that can be read") from error
    return path


def _is_plain(url: AnyHttpUrl) -> AnyHttpUrl:
    if url.username or url.password or "?" in str(url) or "#" in str(url):
        raise ValueError("must have no user, password, query or fragment")
    return url


def _split(origins: object) -> object:
    if not isinstance(origins, str):
        return origins
    if origins.startswith("["):
        return json.loads(origins)
    return [origin.strip() for origin in origins.split(",") if origin.strip()]


HeaderValue = Annotated[SecretStr, AfterValidator(_fits_a_header)]


class HTTPSettings(BaseModel):
    """How an HTTP client behaves; ``none`` leaves a layer out where its field allows it."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    connect_timeout_s: Seconds = 5
    """Name look-up, TCP and TLS together, in seconds."""
    read_timeout_s: Seconds = 10
    """Longest silence while a response arrives, in seconds; per chunk, not in total."""
    write_timeout_s: Seconds = 10
    """Longest wait for the upstream to take a chunk of the request, in seconds."""
    pool_timeout_s: Seconds = 1
    """Longest wait for a free connection, in seconds; short, so that overload sheds early."""
    attempt_timeout_s: Seconds | None = 10
    """From sending a request to the response's headers, in seconds, for each attempt."""
    total_timeout_s: Seconds = 30
    """Everything together, in seconds: queueing, attempts, back-off and the body."""
    max_connections: Annotated[int, Field(gt=0)] = 100
    """Most calls at the upstream at once, from one worker process."""
    rate_limit: Annotated[str, AfterValidator(_is_a_rate)] | None = None
    """Most attempts in a time, such as 100/minute, in all processes of one SHARED_STATE_URL."""
    keepalive_expiry_s: Seconds = 4
    """Idle time after which a connection is not used again, in seconds; many servers cut at 5."""
    max_attempts: Annotated[int, Field(gt=0)] = 3
    """Most times a call is sent when it is safe to repeat; 1 turns retries off."""
    backoff_base_s: Seconds = 0.2
    """Upper bound of the first random wait before a retry, in seconds; it doubles."""
    backoff_max_s: Seconds = 2
    """Upper bound of any random wait before a retry, in seconds."""
    retry_budget: Annotated[float, Field(ge=0, le=1)] = 0.2
    """Retries allowed per call on average, besides one a second; more would hammer the upstream."""
    breaker_failure_ratio: Ratio | None = 0.5
    """Share of failed attempts that opens the circuit breaker."""
    breaker_min_calls: Annotated[int, Field(gt=0)] = 20
    """Attempts in the window before the ratio means anything."""
    breaker_window_s: Seconds = 30
    """How far back the breaker looks, in seconds."""
    breaker_open_s: Seconds = 5
    """How long an open breaker refuses calls before it lets one through, in seconds."""
    max_response_bytes: Annotated[int, Field(gt=0)] | None = 10 * 1024 * 1024
    """Largest response body, received or decompressed, in bytes."""
    follow_redirects: bool = False
    """Off, because a redirect is the upstream choosing where this service connects."""
    trust_env: bool = False
    """Whether HTTP_PROXY, HTTPS_PROXY, NO_PROXY and SSL_CERT_FILE count."""
    ca_bundle: Annotated[FilePath, AfterValidator(_holds_certificates)] | None = None
    """A PEM file of the certificate authorities to trust, in place of the default ones."""


class UpstreamSettings(HTTPSettings):
    """One upstream: where it is, how to log in, and any field of HTTPSettings to override."""

    base_url: Annotated[AnyHttpUrl, AfterValidator(_is_plain)]
    """Scheme, host and port; a path is put before the path of every call."""
    bearer_token: HeaderValue | None = None
    """Sent as ``Authorization: Bearer …``, to this upstream only."""
    headers: dict[HeaderName, HeaderValue] = {}
    """Sent with every call, to this upstream only; values are kept secret."""


class Settings(BaseSettings):
    """The service's settings: ``APP_`` variables, and the file ``.env`` beneath them."""

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
    workers: Annotated[int, Field(gt=0)] = 1
    """Processes; each has its own clients, and so its own MAX_CONNECTIONS."""
    log_level: Annotated[
        Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"], BeforeValidator(str.upper)
    ] = "INFO"
    """Least severe level that is logged."""
    log_format: Annotated[Literal["json", "console"], BeforeValidator(str.lower)] = "json"
    """``json`` for machines, ``console`` for people."""
    shutdown_grace_s: Seconds = 35
    """Time for calls in flight at shutdown, in seconds; less than TOTAL_TIMEOUT_S loses some."""
    external_allowed_origins: Annotated[
        tuple[AnyHttpUrl, ...], NoDecode, BeforeValidator(_split)
    ] = ()
    """Comma-separated origins that /external may call besides the upstreams'."""
    shared_state_url: Annotated[SecretStr, AfterValidator(_is_a_redis)] | None = None
    """A Redis where all processes count for RATE_LIMIT together, such as redis://host:6379/0."""
    http: HTTPSettings = HTTPSettings()
    """For every client."""
    upstreams: dict[Name, UpstreamSettings] = {}
    """By name; each field overrides the one in ``http``."""

    @model_validator(mode="after")
    def _inherit(self) -> Self:
        for name, upstream in self.upstreams.items():
            inherited = self.http.model_fields_set - upstream.model_fields_set
            self.upstreams[name] = upstream.model_copy(
                update={field: getattr(self.http, field) for field in inherited}
            )
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        sources = (init_settings, env_settings, dotenv_settings)
        if "upstreams" in init_settings():  # given in code: exactly these
            return sources
        upstreams = {name: {"base_url": url} for name, url in BASE_URLS.items()}
        return *sources, InitSettingsSource(settings_cls, {"upstreams": upstreams})


def explained(error: ValidationError | SettingsError) -> list[str]:
    """One line for each setting that is wrong, naming its variable and never its value."""
    if isinstance(error, SettingsError):  # which says: error parsing value for field "…"
        _, field, *_ = str(error).split('"')
        return [f"APP_{field.upper()}…: is not valid JSON, or a part of it is not"]
    return [f"{_variable(problem)}: {problem['msg']}" for problem in error.errors()]


def _variable(problem: Any) -> str:
    names = [part for part in problem["loc"] if isinstance(part, str) and part != "[key]"]
    return "__".join(["APP", *names]).replace("APP__", "APP_", 1).upper()
