import asyncio
import math
import re
from typing import Any, Literal

import {{ cookiecutter.__httpx }}
import pytest

from {{ cookiecutter.package_name }}.http_client.layers.timeouts import DeadlineExceeded
from {{ cookiecutter.package_name }}.settings import HTTPSettings

from ...service import client_for
from ...upstream import Upstream

SHORT = {"total_timeout_s": 0.05}


@pytest.mark.parametrize(
    ("http", "path", "own", "error"),
    [
        ({"total_timeout_s": 0.2}, "/hang", {}, "DeadlineExceeded: .* waiting for a response"),
        ({"total_timeout_s": 0.2}, "/drip", {}, "DeadlineExceeded: .* reading the body"),
        ({"attempt_timeout_s": 0.05}, "/hang", {}, "ReadTimeout"),
        ({}, "/hang", {"timeout": 0.05}, "ReadTimeout"),
        ({}, "/hang", {"extensions": SHORT}, "DeadlineExceeded"),
        ({}, "/hang", {"timeout": None, "extensions": SHORT}, "DeadlineExceeded"),
    ],
)
async def test_call_ends_in_time(
    upstream: Upstream, http: dict[str, Any], path: str, own: dict[str, Any], error: str
) -> None:
    """A silent upstream and a dripping body end at the bounds of the settings or of the call."""
    async with client_for(upstream, **http) as client, asyncio.timeout(5):
        with pytest.raises(httpx.TimeoutException) as failure:
            await client.get(path, **own)

    assert re.match(error, f"{failure.type.__name__}: {failure.value}")


async def test_redirects_share_one_deadline(upstream: Upstream) -> None:
    """Redirects that are followed do not extend the deadline."""
    async with client_for(upstream, total_timeout_s=0.2, follow_redirects=True) as client:
        with pytest.raises(DeadlineExceeded):
            await client.get("/slow-redirect")

    assert 1 < len(upstream.seen) < 20


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


@pytest.mark.parametrize("field", ["attempt_timeout_s", "total_timeout_s"])
def test_default_bounds_are_at_least_the_read_timeout(
    field: Literal["attempt_timeout_s", "total_timeout_s"],
) -> None:
    """READ_TIMEOUT_S raises the bounds that are not set, and no others."""
    assert HTTPSettings(read_timeout_s=90).bound_s(field) == 90
    assert HTTPSettings.model_validate({"read_timeout_s": 90, field: 5}).bound_s(field) == 5


@pytest.mark.parametrize(("own_s", "total_s"), [(math.nan, 1), (1, math.nan), (1, "5")])
async def test_bounds_are_numbers(client: httpx.AsyncClient, own_s: float, total_s: object) -> None:
    """A bound that is not a number is an error, before anything is sent."""
    with pytest.raises(ValueError, match="must be a number of seconds"):
        await client.get("/", timeout=own_s, extensions={"total_timeout_s": total_s})


async def test_body_is_not_part_of_the_attempt(upstream: Upstream) -> None:
    """A body that takes longer than ATTEMPT_TIMEOUT_S arrives."""
    async with (
        client_for(upstream, attempt_timeout_s=0.1) as client,
        client.stream("GET", "/drip") as response,
    ):
        assert await anext(response.aiter_bytes(8)) == b"." * 8
