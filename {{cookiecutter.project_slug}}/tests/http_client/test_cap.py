import gzip
import zlib

import {{ cookiecutter.__httpx }}
import pytest

from {{ cookiecutter.package_name }}.http_client.errors import ResponseTooLarge

from ..service import client_for
from ..upstream import Upstream


@pytest.mark.parametrize(
    "path",
    [
        "/large/100001",
        "/chunked/100",
        "/gzip/100001",
        "/gzip/100001?content-encoding=identity,%09gzip",
        "/gzip/100001?content-encoding=gzip%C2%A0",
    ],
)
async def test_body_over_the_cap(upstream: Upstream, path: str) -> None:
    """A body is capped whether it tells its length or not, raw and decoded."""
    async with client_for(upstream, max_response_bytes=100_000) as client:
        with pytest.raises(ResponseTooLarge):
            await client.get(path)
        assert (await client.get("/large/100000")).content == b"x" * 100_000


async def test_gzip_is_decoded(client: httpx.AsyncClient) -> None:
    """Compressed bodies arrive decoded, in one piece and streamed."""
    assert (await client.get("/gzip/300000")).content == b"x" * 300_000
    async with client.stream("GET", "/gzip/300000") as response:
        assert sum([len(chunk) async for chunk in response.aiter_bytes()]) == 300_000


@pytest.mark.parametrize("path", ["/undecodable", "/large/10?content-encoding=br"])
async def test_undecodable_body(client: httpx.AsyncClient, path: str) -> None:
    """A body that is not what it says is a decoding error."""
    with pytest.raises(httpx.DecodingError):
        await client.get(path)


async def test_cap_is_lifted_explicitly(upstream: Upstream) -> None:
    """A call may set a cap of its own, or none."""
    async with client_for(upstream, max_response_bytes=10) as client:
        whole = await client.get("/large/1000", extensions={"max_response_bytes": None})
        for size in (999, 0):
            with pytest.raises(ResponseTooLarge):
                await client.get("/large/1000", extensions={"max_response_bytes": size})

    assert len(whole.content) == 1000


async def test_members_and_what_follows_them(upstream: Upstream) -> None:
    """gzip may have several members; anything else after the end is an error, and is counted."""
    member = gzip.compress(b"hello ")
    bare = zlib.compress(b"hello", wbits=-zlib.MAX_WBITS)
    async with client_for(upstream, max_response_bytes=100_000) as client:
        upstream.body = member * 2
        assert (await client.get("/body?content-encoding=gzip")).content == b"hello hello "
        upstream.body = bare
        assert (await client.get("/body?content-encoding=deflate")).content == b"hello"
        upstream.body = b""
        assert (await client.get("/body?content-encoding=gzip")).content == b""
        for upstream.body in [member + b"x" * 90_000, member[:-4], zlib.compress(b"a") + b"b"]:
            with pytest.raises(httpx.DecodingError):
                await client.get("/body?content-encoding=gzip")
        upstream.body = b"\x00\x00\x00\xff\xff" * 30_000  # blocks that decode to nothing
        with pytest.raises(ResponseTooLarge):
            await client.get("/body?content-encoding=deflate")


async def test_responses_without_a_body(upstream: Upstream) -> None:
    """A 304 and the answer to a HEAD have the headers of a body, and none."""
    async with client_for(upstream, max_response_bytes=1) as client:
        head = await client.head("/?content-encoding=br")
        unchanged = await client.get("/status/304?content-encoding=br")

    assert (head.status_code, unchanged.status_code) == (200, 304)


async def test_unknown_codings_are_passed_on(client: httpx.AsyncClient) -> None:
    """A coding that nobody knows is a mislabelled body more often than not."""
    assert (await client.get("/large/3?content-encoding=utf-8")).content == b"xxx"
