import {{ cookiecutter.__httpx }}
import pytest

from ...service import Logged
from ...upstream import Upstream


@pytest.mark.parametrize(
    ("method", "headers", "attempts"),
    [("GET", {}, 2), ("POST", {"Idempotency-Key": "1"}, 2), ("POST", {}, 1)],
    ids=["idempotent", "key", "post"],
)
async def test_request_on_a_stale_connection(
    client: httpx.AsyncClient,
    upstream: Upstream,
    logged: Logged,
    method: str,
    headers: dict[str, str],
    attempts: int,
) -> None:
    """If a kept connection had ended, a request that is safe to repeat is sent again, once."""
    await client.request(method, "/keep-alive-cut", headers=headers)
    try:
        status = (await client.request(method, "/keep-alive-cut", headers=headers)).status_code
    except httpx.RemoteProtocolError:
        status = None

    assert status == (200 if attempts == 2 else None)
    assert [call["attempts"] for call in logged("upstream call")] == [1, attempts]
    assert len(upstream.seen) == 1 + attempts
