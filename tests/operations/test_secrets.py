"""A service with every part, every credential and many faults: no secret leaves it."""

import asyncio
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trustme

from support.generated import misbehaving_upstream
from support.loopback import HOST
from support.otlp import Receiver
from support.protected import protected
from support.redis import PASSWORD, Redis
from support.rendering import EVERYTHING, Bake
from support.service import Response

SECRET = "hunter2"  # noqa: S105 - searched for in all output
FAULTS = (
    *("drop", "reset", "garbage", "short", "undecodable", "status/401", "status/503"),
    *("redirect?to=http://elsewhere.invalid/?token=hunter2", "body", "nothing-there"),
)


def leaky(upstream: Any) -> Any:
    """Return a subclass of `Upstream` that refuses all credentials, and repeats them."""

    class Leaky(upstream):  # type: ignore[misc]
        async def _answer(self, request: Any, _: Any, writer: asyncio.StreamWriter) -> bool:
            repeated = json.dumps({"error": SECRET, "error_description": str(request)}).encode()
            writer.write(b"HTTP/1.1 400 X\r\ncontent-length: %d\r\n\r\n" % len(repeated) + repeated)
            return True

    return Leaky


@pytest.mark.anyio
async def test_no_secret_leaves_the_service(bake: Bake, redis: Redis, tmp_path: Path) -> None:
    """No log line at DEBUG, span, metric, problem or health response contains a secret."""
    project = bake(**EVERYTHING, upstreams="")
    upstream = misbehaving_upstream(project.path)
    certificate = trustme.CA().issue_cert("client.example").private_key_and_cert_chain_pem
    certificate.write_to_path(tmp_path / "client.pem")
    async with protected(upstream)() as api, leaky(upstream)() as leak, upstream() as plain:
        settings = {
            "APP_LOG_LEVEL": "DEBUG",
            "APP_SHARED_STATE_URL": redis.url,
            "APP_HTTP__CACHE_MAX_BYTES": "1000000",
            "APP_HTTP__RATE_LIMIT": "1000/second",
            "APP_HTTP__CLIENT_CERT": str(tmp_path / "client.pem"),
            "APP_UPSTREAMS__API__BASE_URL": f"{api.url}/",
            "APP_UPSTREAMS__API__OAUTH2_TOKEN_URL": f"{api.url}/token",
            "APP_UPSTREAMS__LEAK__BASE_URL": leak.url,
            "APP_UPSTREAMS__LEAK__OAUTH2_TOKEN_URL": f"{leak.url}/token?key={SECRET}",
            "APP_UPSTREAMS__PLAIN__BASE_URL": f"{plain.url}/",
            "APP_UPSTREAMS__PLAIN__BEARER_TOKEN": SECRET,
            "APP_UPSTREAMS__PLAIN__HEADERS": json.dumps({"X-Key": SECRET}),
        }
        for name in ("API", "LEAK"):
            settings[f"APP_UPSTREAMS__{name}__OAUTH2_CLIENT_ID"] = "client"
            settings[f"APP_UPSTREAMS__{name}__OAUTH2_CLIENT_SECRET"] = SECRET
        with Receiver() as receiver:
            exported = {
                "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url,
                "OTEL_EXPORTER_OTLP_HEADERS": f"Authorization=Bearer%20{SECRET}",
            }
            service = project.start(**settings, **exported)
            await asyncio.to_thread(service.__enter__)
            try:
                answers = await asyncio.to_thread(
                    calls, service.get, [api.url, leak.url, plain.url]
                )
                redis.kill()
                answers += await asyncio.to_thread(calls, service.get, [api.url, plain.url])
            finally:
                await asyncio.to_thread(service.stop)
            raw = receiver.raw
        tokens = api.valid

    key = re.findall(r"[A-Za-z0-9+/]{40,}", (tmp_path / "client.pem").read_text("ascii"))[1]
    secrets = {SECRET, PASSWORD, key, *tokens}
    output = "\n".join([*service.out, *service.err, *answers]) + raw.decode("latin-1")
    assert tokens
    assert "token-unavailable" in output
    assert {secret for secret in secrets if secret in output} == set()


def calls(get: Callable[..., Response], urls: list[str]) -> list[str]:
    """Call every upstream in many ways; return the responses that are the service's own."""
    own = []
    for url in urls:
        for path in ("", *FAULTS):
            for route in ("/external", "/external/stream"):
                called = get(f"{route}?url={url}/{path}&token={SECRET}", Cookie=f"session={SECRET}")
                if called.status != 200:
                    own.append(called.body.decode())
    own += [get(path).body.decode() for path in ("/readyz", "/livez", "/metrics", "/docs")]
    own.append(get(f"/external?url=http://{SECRET}:{SECRET}@{HOST}/").body.decode())
    return own
