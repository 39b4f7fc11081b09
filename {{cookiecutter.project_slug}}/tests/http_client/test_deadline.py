import asyncio
import time

import pytest

from {{ cookiecutter.package_name }}.http_client.errors import DeadlineExceeded

from ..service import client_for
from ..upstream import Upstream


@pytest.mark.parametrize("path", ["/drip", "/hang", "/flaky/99?retry-after=0"])
async def test_everything_ends_at_the_deadline(upstream: Upstream, path: str) -> None:
    """A dripping body, a silent upstream and endless retries all end in time."""
    patience = {"max_attempts": 1_000_000, "retry_budget": 1, "backoff_max_s": 0.001}
    async with client_for(upstream, total_timeout_s=0.4, **patience) as client:
        started = time.monotonic()
        try:
            async with asyncio.timeout(10):
                response = await client.get(path)
        except DeadlineExceeded:
            pass
        else:  # told the last answer when there was no time, or no budget, for another
            assert response.status_code == 503

    assert time.monotonic() - started < 5


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
