import re

from .service import service_for
from .upstream import Upstream


async def test_docs_need_no_internet(upstream: Upstream) -> None:
    """Whatever the page loads, the service itself serves."""
    async with service_for(upstream) as service:
        page = await service.get("/docs")
        assets = re.findall(r'(?:src|href)="([^"]+)"', page.text)
        answers = [await service.get(asset) for asset in assets]

    assert page.status_code == 200
    assert len(assets) == 3
    assert all(asset.startswith("/docs/assets/") for asset in assets)
    assert [answer.status_code for answer in answers] == [200] * 3


async def test_openapi_tells_the_problems(upstream: Upstream) -> None:
    """A route that calls upstreams documents how it fails."""
    async with service_for(upstream) as service:
        api = (await service.get("/openapi.json")).json()

    told = api["paths"]["/external"]["get"]["responses"]
    assert {"200", "400", "422", "502", "503", "504"} == told.keys()
    assert "application/problem+json" in told["504"]["content"]
