import re

import {{ cookiecutter.__httpx }}


async def test_docs_need_no_internet(service: httpx.AsyncClient) -> None:
    """The service itself serves every asset that the page loads."""
    page = await service.get("/docs")
    assets = re.findall(r'(?:src|href)="([^"]+)"', page.text)

    assert page.status_code == 200
    assert [asset.startswith("/docs/assets/") for asset in assets] == [True] * 3
    assert [(await service.get(asset)).status_code for asset in assets] == [200] * 3


async def test_openapi_documents_the_problems(service: httpx.AsyncClient) -> None:
    """A route that calls upstreams documents how it fails."""
    api = (await service.get("/openapi.json")).json()

    responses = api["paths"]["/external"]["get"]["responses"]
    assert responses.keys() == {"200", "400", "422", "502", "503", "504"}
    assert responses["504"]["content"].keys() == {"application/problem+json"}
