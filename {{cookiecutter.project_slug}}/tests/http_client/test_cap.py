import {{ cookiecutter.__httpx }}
import pytest

from {{ cookiecutter.package_name }}.http_client.errors import ResponseTooLarge

from ..service import client_for
from ..upstream import Upstream


@pytest.mark.parametrize("path", ["/large/100001", "/chunked/100", "/gzip/100001"])
async def test_body_over_the_cap(upstream: Upstream, path: str) -> None:
    """A body is capped whether it tells its length or not, raw and decoded."""
    async with client_for(upstream, max_response_bytes=100_000) as client:
        with pytest.raises(ResponseTooLarge):
            await client.get(path)
        assert (await client.get("/large/100000")).content == b"x" * 100_000


async def test_gzip_is_decoded(upstream: Upstream) -> None:
    """Compressed bodies arrive decoded, in one piece and streamed."""
    async with client_for(upstream) as client:
        assert (await client.get("/gzip/300000")).content == b"x" * 300_000
        async with client.stream("GET", "/gzip/300000") as response:
            assert sum([len(chunk) async for chunk in response.aiter_bytes()]) == 300_000


async def test_undecodable_body(upstream: Upstream) -> None:
    """A body that is not what it says is a decoding error."""
    async with client_for(upstream) as client:
        with pytest.raises(httpx.DecodingError):
            await client.get("/undecodable")
        with pytest.raises(httpx.DecodingError):
            await client.get("/large/10?content-encoding=br")


async def test_cap_is_lifted_explicitly(upstream: Upstream) -> None:
    """A call may set a cap of its own, or none."""
    async with client_for(upstream, max_response_bytes=10) as client:
        whole = await client.get("/large/1000", extensions={"max_response_bytes": None})
        with pytest.raises(ResponseTooLarge):
            await client.get("/large/1000", extensions={"max_response_bytes": 999})

    assert len(whole.content) == 1000
