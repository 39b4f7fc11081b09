import gzip
import math
import tracemalloc
import zlib
from functools import reduce

import {{ cookiecutter.__httpx }}
import pytest

from {{ cookiecutter.package_name }}.http_client.layers import response_limit
from {{ cookiecutter.package_name }}.http_client.layers.base import Call, Layer

from ...service import client_for
from ...upstream import Upstream


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
async def test_body_over_the_limit(upstream: Upstream, path: str) -> None:
    """A body over MAX_RESPONSE_BYTES fails: with a length or without, received or decoded."""
    async with client_for(upstream, max_response_bytes=100_000) as client:
        with pytest.raises(response_limit.ResponseTooLarge):
            await client.get(path)
        assert (await client.get("/large/100000")).content == b"x" * 100_000


class Ambiguous(Layer):
    """Stands for a transport that does not check the length of a body."""

    async def send(self, request: httpx.Request, call: Call) -> httpx.Response:
        headers = [("Content-Length", "10"), ("Content-Length", "1")]
        return httpx.Response(200, headers=headers, stream=httpx.ByteStream(b"0123456789"))


async def test_two_lengths() -> None:
    """Of two lengths, neither is trusted: the body itself is limited."""
    limit = response_limit.ResponseLimit(5)
    limit.inner = Ambiguous()
    call = Call("up", deadline=math.inf, streamed=False)
    response = await limit.send(httpx.Request("GET", "http://up"), call)

    with pytest.raises(response_limit.ResponseTooLarge):
        await response.aread()


async def test_gzip_is_decoded(client: httpx.AsyncClient) -> None:
    """Compressed bodies arrive decoded, whole and streamed."""
    assert (await client.get("/gzip/300000")).content == b"x" * 300_000
    async with client.stream("GET", "/gzip/300000") as response:
        assert sum([len(chunk) async for chunk in response.aiter_bytes()]) == 300_000


async def test_limit_of_a_call(upstream: Upstream) -> None:
    """``extensions={"max_response_bytes": …}`` replaces the limit; None removes it."""
    async with client_for(upstream, max_response_bytes=10) as client:
        whole = await client.get("/large/1000", extensions={"max_response_bytes": None})
        for size in (999, 0):
            with pytest.raises(response_limit.ResponseTooLarge):
                await client.get("/large/1000", extensions={"max_response_bytes": size})

    assert len(whole.content) == 1000


GZIP = gzip.compress(b"hello ")
ZLIB = zlib.compress(b"hello ")
BARE = zlib.compress(b"hello ", wbits=-zlib.MAX_WBITS)
SIX_TIMES = reduce(lambda body, _: gzip.compress(body), range(6), b"hello ")
TWO_LINES = "gzip%0D%0Acontent-encoding: deflate"


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
        pytest.param(TWO_LINES, zlib.compress(GZIP), b"hello ", id="two-lines"),
    ],
)
@pytest.mark.parametrize("piece", [7, 100_000])
async def test_decoding(
    client: httpx.AsyncClient, upstream: Upstream, coding: str, body: bytes, text: bytes, piece: int
) -> None:
    """All members and codings are decoded, and bytes after the end are ignored, as in browsers."""
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
        pytest.param(", ".join(["gzip"] * 6), SIX_TIMES, id="six-codings"),
    ],
)
async def test_undecodable_body(
    client: httpx.AsyncClient, upstream: Upstream, coding: str, body: bytes
) -> None:
    """A truncated or mislabelled body, or one in an unexpected coding, is an error."""
    upstream.body = body
    with pytest.raises(httpx.DecodingError):
        await client.get(f"/body?content-encoding={coding}")


def bomb_of(mebibytes: int) -> bytes:
    """Return a gzip stream of this many MiB, made of one block that is compressed only once."""
    packer = zlib.compressobj(9, wbits=zlib.MAX_WBITS | 16)
    head = packer.compress(b"") + packer.flush(zlib.Z_FULL_FLUSH)
    block = packer.compress(bytes(1024 * 1024)) + packer.flush(zlib.Z_FULL_FLUSH)
    return head + block * mebibytes


@pytest.mark.parametrize(
    ("coding", "body"),
    [
        pytest.param("gzip", bomb_of(200), id="once"),
        pytest.param("gzip, gzip", gzip.compress(bomb_of(200)), id="twice"),
        pytest.param("deflate", b"\0\0\0\xff\xff" * 300_000, id="empty-blocks"),
    ],
)
async def test_bombs(upstream: Upstream, coding: str, body: bytes) -> None:
    """A bomb stops at the limit, and costs no more than a few times the limit in memory."""
    upstream.body, upstream.piece = body, 100_000  # without a length, which alone would end it
    async with client_for(upstream, max_response_bytes=1_000_000) as client:
        tracemalloc.start()
        with pytest.raises(response_limit.ResponseTooLarge):
            await client.get(f"/pieces?content-encoding={coding}")
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()

    assert peak < 4_000_000


async def test_responses_without_a_body(upstream: Upstream) -> None:
    """The headers of a 304, or of the response to a HEAD, describe a body that is not sent."""
    async with client_for(upstream, max_response_bytes=1) as client:
        head = await client.head("/?content-encoding=br")
        unchanged = await client.get("/status/304?content-encoding=br")

    assert (head.status_code, unchanged.status_code) == (200, 304)


async def test_unknown_coding_is_ignored(client: httpx.AsyncClient, upstream: Upstream) -> None:
    """An unknown Content-Encoding is usually a mislabelled body. It stays in the header."""
    upstream.body = GZIP
    response = await client.get("/body?content-encoding=utf-8, gzip")

    assert (response.content, response.headers["Content-Encoding"]) == (b"hello ", "utf-8")
    assert (await client.get("/large/3?content-encoding=utf-8")).content == b"xxx"
