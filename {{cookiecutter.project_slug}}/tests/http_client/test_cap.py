import gzip
import tracemalloc
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


async def test_cap_is_lifted_explicitly(upstream: Upstream) -> None:
    """A call may set a cap of its own, or none."""
    async with client_for(upstream, max_response_bytes=10) as client:
        whole = await client.get("/large/1000", extensions={"max_response_bytes": None})
        for size in (999, 0):
            with pytest.raises(ResponseTooLarge):
                await client.get("/large/1000", extensions={"max_response_bytes": size})

    assert len(whole.content) == 1000


GZIP = gzip.compress(b"hello ")
ZLIB = zlib.compress(b"hello ")
BARE = zlib.compress(b"hello ", wbits=-zlib.MAX_WBITS)


@pytest.mark.parametrize(
    ("coding", "body", "text"),
    [
        pytest.param("gzip", GZIP * 3, b"hello " * 3, id="members"),
        pytest.param("gzip", GZIP + b"\0" * 70_000, b"hello ", id="padding"),
        pytest.param("gzip", GZIP + b"\r\n", b"hello ", id="line-break"),
        pytest.param("gzip", GZIP + b"\x1f", b"hello ", id="half-a-magic"),
        pytest.param("deflate", ZLIB + b"junk", b"hello ", id="junk"),
        pytest.param("deflate", BARE + GZIP, b"hello ", id="other-coding"),
        pytest.param("gzip", b"", b"", id="empty"),
        pytest.param("gzip, gzip", gzip.compress(GZIP), b"hello ", id="twice"),
        pytest.param("deflate, identity, gzip", gzip.compress(BARE), b"hello ", id="two-codings"),
        pytest.param(
            "gzip%0D%0Acontent-encoding: deflate", zlib.compress(GZIP), b"hello ", id="two-lines"
        ),
    ],
)
@pytest.mark.parametrize("piece", [1, 100_000])
async def test_decoding(
    client: httpx.AsyncClient, upstream: Upstream, coding: str, body: bytes, text: bytes, piece: int
) -> None:
    """All members and codings are undone, and what follows the end is ignored, as in browsers."""
    upstream.body, upstream.piece = body, piece
    response = await client.get(f"/pieces?content-encoding={coding}")

    assert response.content == text


@pytest.mark.parametrize(
    ("coding", "body"),
    [
        pytest.param("gzip", GZIP[:-4], id="truncated"),
        pytest.param("gzip", GZIP + GZIP[:-4], id="truncated-member"),
        pytest.param("gzip", GZIP[:-8] + b"\0" * 8, id="false-checksum"),
        pytest.param("gzip", BARE, id="not-gzip"),
        pytest.param("deflate", BARE[:-2], id="truncated-deflate"),
        pytest.param("gzip, gzip", GZIP, id="once-only"),
        pytest.param("gzip, br", GZIP, id="unexpected"),
        pytest.param(", ".join(["gzip"] * 6), GZIP, id="six-codings"),
    ],
)
async def test_undecodable_body(
    client: httpx.AsyncClient, upstream: Upstream, coding: str, body: bytes
) -> None:
    """A body that is not what it says, or in a coding that was not asked for, is an error."""
    upstream.body = body
    with pytest.raises(httpx.DecodingError):
        await client.get(f"/body?content-encoding={coding}")


async def test_bombs(upstream: Upstream) -> None:
    """200 MiB in one layer, in two and as empty blocks stop at the cap."""
    bomb = gzip.compress(bytes(200 * 1024 * 1024), 9)
    async with client_for(upstream, max_response_bytes=1_000_000) as client:
        for coding, body in {
            "gzip": bomb,
            "gzip, gzip": gzip.compress(bomb),
            "deflate": b"\0\0\0\xff\xff" * 300_000,
        }.items():
            upstream.body = body
            tracemalloc.start()
            with pytest.raises(ResponseTooLarge):
                await client.get(f"/body?content-encoding={coding}")
            _, most = tracemalloc.get_traced_memory()
            tracemalloc.stop()
            assert most < 4_000_000


async def test_responses_without_a_body(upstream: Upstream) -> None:
    """A 304 and the answer to a HEAD have the headers of a body, and none."""
    async with client_for(upstream, max_response_bytes=1) as client:
        head = await client.head("/?content-encoding=br")
        unchanged = await client.get("/status/304?content-encoding=br")

    assert (head.status_code, unchanged.status_code) == (200, 304)


async def test_unknown_codings_are_passed_on(client: httpx.AsyncClient) -> None:
    """A coding that nobody knows is a mislabelled body more often than not."""
    assert (await client.get("/large/3?content-encoding=utf-8")).content == b"xxx"
