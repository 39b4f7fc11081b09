import re

import {{ cookiecutter.__httpx }}
import pytest

from {{ cookiecutter.package_name }}.app import create_app
from {{ cookiecutter.package_name }}.settings import Settings

from .service import serve


async def test_docs_need_no_internet(service: httpx.AsyncClient) -> None:
    """The service itself serves every asset that the page loads."""
    page = await service.get("/docs")
    assets = re.findall(r'(?:src|href)="([^"]+)"', page.text)

    assert page.status_code == 200
    assert [asset.startswith("/docs/assets/") for asset in assets] == [True] * 3
    assert [(await service.get(asset)).status_code for asset in assets] == [200] * 3


@pytest.mark.parametrize("kept", ["", "/api"], ids=["stripped", "kept"])
async def test_docs_behind_a_proxy(kept: str) -> None:
    """With APP_ROOT_PATH, every URL has the proxy's prefix, whether the proxy strips it or not."""
    settings = Settings.model_validate({"root_path": "/api", "upstreams": {}})
    async with serve(create_app(settings)) as service:
        page = await service.get(f"{kept}/docs")
        api = (await service.get(f"{kept}/openapi.json")).json()
        script = await service.get(f"{kept}/docs/assets/swagger-ui-bundle.js")

    assert "/api/docs/assets/swagger-ui-bundle.js" in page.text
    assert "'/api/openapi.json'" in page.text
    assert api["servers"] == [{"url": "/api"}]
    assert script.status_code == 200


async def test_openapi_documents_the_problems(service: httpx.AsyncClient) -> None:
    """A route that calls upstreams documents how it fails."""
    api = (await service.get("/openapi.json")).json()

    responses = api["paths"]["/external"]["get"]["responses"]
    assert responses.keys() == {"200", "400", "422", "502", "503", "504"}
    assert responses["504"]["content"].keys() == {"application/problem+json"}
