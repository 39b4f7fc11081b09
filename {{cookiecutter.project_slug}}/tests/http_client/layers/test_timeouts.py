import asyncio
from typing import Any, Literal

import {{ cookiecutter.__httpx }}
import pytest

from {{ cookiecutter.package_name }}.http_client.layers.timeouts import DeadlineExceeded
from {{ cookiecutter.package_name }}.settings import HTTPSettings

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


@pytest.mark.parametrize(
    "own",
    [
        {"timeout": 5},
        {"timeout": httpx.Timeout(1, read=5)},
        {"timeout": None},
        {"timeout": 5, "extensions": {"total_timeout_s": None}},
    ],
)
@pytest.mark.parametrize("stream", [False, True])
async def test_call_may_take_longer_than_the_settings(
    upstream: Upstream, own: dict[str, Any], stream: bool
) -> None:
    """A call's own longer timeout raises the attempt timeout and the deadline: it is sent once."""
    short = {"read_timeout_s": 0.05, "attempt_timeout_s": 0.05, "total_timeout_s": 0.1}
    async with client_for(upstream, **short) as client:
        asyncio.get_running_loop().call_later(0.3, upstream.gate.set)
        response = await client.send(client.build_request("POST", "/gate", **own), stream=stream)
        assert await response.aread() == b"open"

    assert len(upstream.seen) == 1


@pytest.mark.parametrize(
    ("own", "error"),
    [
        ({"timeout": 0.05}, httpx.ReadTimeout),
        ({"extensions": {"total_timeout_s": 0.05}}, DeadlineExceeded),
        ({"timeout": None, "extensions": {"total_timeout_s": 0.05}}, DeadlineExceeded),
    ],
)
async def test_call_may_end_sooner_than_the_settings(
    upstream: Upstream, own: dict[str, Any], error: type[httpx.TimeoutException]
) -> None:
    """A call's own shorter bounds are kept."""
    async with client_for(upstream) as client, asyncio.timeout(5):
        with pytest.raises(error):
            await client.get("/hang", **own)


@pytest.mark.parametrize("field", ["attempt_timeout_s", "total_timeout_s"])
def test_default_bounds_are_at_least_the_read_timeout(
    field: Literal["attempt_timeout_s", "total_timeout_s"],
) -> None:
    """READ_TIMEOUT_S raises the bounds that are not set, and no others."""
    assert HTTPSettings(read_timeout_s=90).bound_s(field) == 90
    assert HTTPSettings.model_validate({"read_timeout_s": 90, field: 5}).bound_s(field) == 5


async def test_body_is_not_part_of_the_attempt(upstream: Upstream) -> None:
    """A body that takes longer than ATTEMPT_TIMEOUT_S arrives."""
    async with (
        client_for(upstream, attempt_timeout_s=0.1) as client,
        client.stream("GET", "/drip") as response,
    ):
        assert await anext(response.aiter_bytes(8)) == b"." * 8
