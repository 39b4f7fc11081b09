import asyncio

import pytest

from {{ cookiecutter.package_name }}.http_client.errors import DeadlineExceeded

from ..service import client_for
from ..upstream import Upstream


@pytest.mark.parametrize("path", ["/drip", "/hang"])
async def test_everything_ends_at_the_deadline(upstream: Upstream, path: str) -> None:
    """A dripping body and a silent upstream end in time."""
    async with client_for(upstream, total_timeout_s=0.4) as client, asyncio.timeout(5):
        with pytest.raises(DeadlineExceeded):
            await client.get(path)


async def test_deadline_holds_while_a_stream_is_read(upstream: Upstream) -> None:
    """A body that is read in pieces ends at the deadline, whoever is slow."""
    async with (
        client_for(upstream, total_timeout_s=0.3) as client,
        client.stream("GET", "/large/3000000") as response,
    ):
        chunks = response.aiter_raw()
        await anext(chunks)
        await asyncio.sleep(0.4)
        with pytest.raises(DeadlineExceeded):
            async for _ in chunks:
                pass


async def test_redirects_share_one_deadline(upstream: Upstream) -> None:
    """Following redirects buys an upstream no time."""
    async with client_for(upstream, total_timeout_s=0.5, follow_redirects=True) as client:
        with pytest.raises(DeadlineExceeded):
            async with asyncio.timeout(10):
                await client.get("/slow-redirect")

    assert 1 < len(upstream.seen) < 10
