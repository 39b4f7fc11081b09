import {{ cookiecutter.__httpx }}
import pytest

from {{ cookiecutter.package_name }}.http_client.layers import origin_guard

from ...service import client_for
from ...upstream import Upstream


async def test_other_origins_are_rejected_before_sending(
    client: httpx.AsyncClient, upstream: Upstream
) -> None:
    """An upstream's client calls only its upstream, so its credentials go nowhere else."""
    async with Upstream() as other:
        schemes = [upstream.url.replace("http:", scheme) for scheme in ("https:", "ws:")]
        for url in (other.url, *schemes, "http://localhost/"):
            with pytest.raises(origin_guard.URLNotAllowed, match=upstream.url):
                await client.get(url)

        assert (await client.get(f"{upstream.url}/echo")).status_code == 200
        assert other.connections == 0


async def test_redirects_elsewhere_are_rejected(
    client: httpx.AsyncClient, upstream: Upstream
) -> None:
    """Redirects are followed on request only, within the origin; others are a 502."""
    async with Upstream() as other, client_for(upstream, follow_redirects=True) as following:
        path = f"/status/302?location={other.url}"
        assert (await client.get(path)).status_code == 302
        with pytest.raises(origin_guard.RedirectNotAllowed) as failure:
            await following.get(path)
        followed = await following.get("/status/302?location=/echo")

        assert other.connections == 0
    assert failure.value.problem.status == 502
    assert {"transfer-encoding", "content-length"} & followed.json().keys() == set()


@pytest.mark.parametrize(("scheme", "port"), [("HTTP", 80), ("HTTPS", 443)])
def test_default_port(scheme: str, port: int) -> None:
    """An origin is the same with and without its default port, in any case."""
    written, bare = f"{scheme}://HOST:{port}/", f"{scheme.lower()}://host"

    assert origin_guard.origin_of(httpx.URL(written)) == origin_guard.origin_of(httpx.URL(bare))
