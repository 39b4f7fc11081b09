import re

import {{ cookiecutter.__httpx }}


async def test_docs_need_no_internet(service: httpx.AsyncClient) -> None:
    """Whatever the page loads, the service itself serves."""
    page = await service.get("/docs")
    assets = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    answers = [await service.get(asset) for asset in assets]

    assert page.status_code == 200
    assert len(assets) == 3
    assert all(asset.startswith("/docs/assets/") for asset in assets)
    assert [answer.status_code for answer in answers] == [200] * 3


async def test_openapi_tells_the_problems(service: httpx.AsyncClient) -> None:
    """A route that calls upstreams documents how it fails."""
    api = (await service.get("/openapi.json")).json()

    told = api["paths"]["/external"]["get"]["responses"]
    assert {"200", "400", "422", "502", "503", "504"} == told.keys()
    assert "application/problem+json" in told["504"]["content"]
