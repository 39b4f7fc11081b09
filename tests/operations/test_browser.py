"""`/docs` in a real browser without internet."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Route, expect, sync_playwright

from support.loopback import HOST, RecordingUpstream
from support.rendering import Bake


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"))
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    with browser.new_page(viewport={"width": 1280, "height": 1600}) as page:
        yield page


def test_try_it_out(bake: Bake, page: Page, tmp_path: Path) -> None:
    """Deeper than the project's test_docs.py: in a browser, the offline page calls /external."""
    project = bake()
    elsewhere: list[str] = []
    errors: list[str] = []

    def only_loopback(route: Route) -> None:
        if route.request.url.startswith((f"http://{HOST}:", "data:")):
            route.continue_()
        else:
            elsewhere.append(route.request.url)
            route.abort()

    page.route("**/*", only_loopback)
    page.on("console", lambda line: errors.append(line.text) if line.type == "error" else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("requestfailed", lambda request: errors.append(request.url))

    with (
        RecordingUpstream() as upstream,
        project.start(APP_UPSTREAMS__HTTPBIN__BASE_URL=upstream.base_url) as service,
    ):
        page.goto(f"http://{HOST}:{service.port}/docs")
        operation = page.locator(".opblock", has=page.get_by_text("/external", exact=True))
        operation.locator(".opblock-summary-control").click()
        operation.get_by_role("button", name="Try it out").click()
        operation.get_by_role("button", name="Execute").click()
        answer = operation.locator(".live-responses-table .response")
        expect(answer.locator(".response-col_status")).to_contain_text("200")
        expect(answer).to_contain_text('"result": "upstream answer 1"')
        expect(answer).to_contain_text('"status": 200')
        page.screenshot(path=tmp_path / "docs.png")

    assert page.title() == "My Service"
    assert elsewhere == []
    assert errors == []
