import asyncio

import {{ cookiecutter.__httpx }}
import pytest

from {{ cookiecutter.package_name }}.http_client.layers.timeouts import DeadlineExceeded

from ...service import client_for
from ...upstream import Upstream


@pytest.mark.parametrize(
    ("path", "awaited"), [("/hang", "waiting for a response"), ("/drip", "reading the body")]
)
async def test_call_ends_at_the_deadline(upstream: Upstream, path: str, awaited: str) -> None:
    """A silent upstream and a dripping body end at TOTAL_TIMEOUT_S."""
    async with client_for(upstream, total_timeout_s=0.2) as client, asyncio.timeout(5):
        with pytest.raises(DeadlineExceeded, match=awaited):
            await client.get(path)


async def test_redirects_share_one_deadline(upstream: Upstream) -> None:
    """Redirects that are followed do not extend the deadline."""
    async with client_for(upstream, total_timeout_s=0.2, follow_redirects=True) as client:
        with pytest.raises(DeadlineExceeded):
            await client.get("/slow-redirect")

    assert 1 < len(upstream.seen) < 20


async def test_hanging_attempt_ends(upstream: Upstream) -> None:
    """An attempt without a response ends at ATTEMPT_TIMEOUT_S, long before the deadline."""
    async with client_for(upstream, attempt_timeout_s=0.05) as client, asyncio.timeout(5):
        with pytest.raises(httpx.ReadTimeout):
            await client.get("/hang")


async def test_body_is_not_part_of_the_attempt(upstream: Upstream) -> None:
    """A body that takes longer than ATTEMPT_TIMEOUT_S arrives."""
    async with (
        client_for(upstream, attempt_timeout_s=0.1) as client,
        client.stream("GET", "/drip") as response,
    ):
        assert await anext(response.aiter_bytes(8)) == b"." * 8
