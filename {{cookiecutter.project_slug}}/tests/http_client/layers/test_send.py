from typing import Any

import {{ cookiecutter.__httpx }}
import pytest

from ...service import Logged
from ...upstream import Upstream


@pytest.mark.parametrize(
    ("method", "own", "attempts"),
    [
        ("GET", {}, 2),
        ("POST", {"headers": {"Idempotency-Key": "1"}}, 2),
        ("POST", {"extensions": {"retry": True}}, 2),
        ("POST", {}, 1),
        ("GET", {"extensions": {"retry": False}}, 1),
    ],
    ids=["idempotent", "key", "wanted", "post", "unwanted"],
)
async def test_request_on_a_stale_connection(
    client: httpx.AsyncClient,
    upstream: Upstream,
    logged: Logged,
    method: str,
    own: dict[str, Any],
    attempts: int,
) -> None:
    """If a kept connection had ended, a request that is safe to repeat is sent again, once."""
    await client.request(method, "/keep-alive-cut", **own)
    try:
        status = (await client.request(method, "/keep-alive-cut", **own)).status_code
    except httpx.RemoteProtocolError:
        status = None

    assert status == (200 if attempts == 2 else None)
    assert [call["attempts"] for call in logged("upstream call")] == [1, attempts]
    assert len(upstream.seen) == 1 + attempts


async def test_invalid_extension(client: httpx.AsyncClient, upstream: Upstream) -> None:
    """``extensions={"retry": …}`` with another value is a bug; nothing is sent."""
    with pytest.raises(ValueError, match="must be True, False or None"):
        await client.get("/", extensions={"retry": "no"})

    assert upstream.seen == []
