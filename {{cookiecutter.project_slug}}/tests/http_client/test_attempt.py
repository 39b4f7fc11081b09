import {{ cookiecutter.__httpx }}
import pytest

from ..service import client_for
from ..upstream import Upstream


async def test_hanging_attempt_leaves_time_for_the_next(upstream: Upstream) -> None:
    """Each attempt has its own bound, and a safe call is tried again within the total."""
    async with client_for(upstream, attempt_timeout_s=0.1, max_attempts=3) as client:
        with pytest.raises(httpx.ReadTimeout):
            await client.get("/hang")

    assert len(upstream.seen) == 3


async def test_body_is_not_part_of_the_attempt(upstream: Upstream) -> None:
    """A body that takes longer than an attempt may, arrives."""
    async with (
        client_for(upstream, attempt_timeout_s=0.1) as client,
        client.stream("GET", "/drip") as response,
    ):
        assert await anext(response.aiter_bytes(10)) == b"." * 10
