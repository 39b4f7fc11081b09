import {{ cookiecutter.__httpx }}
import pytest

from {{ cookiecutter.package_name }}.app import create_app
from {{ cookiecutter.package_name }}.settings import Settings

from ..service import serve, service_for
from ..upstream import Upstream


async def test_status_of_the_upstream_is_data(
    service: httpx.AsyncClient, upstream: Upstream
) -> None:
    """The upstream's status and body are passed on in a 200."""
    answer = await service.get("/external", params={"url": f"{upstream.url}/status/404"})

    assert answer.status_code == 200
    assert answer.json() == {"result": "as you asked", "status": 404}


@pytest.mark.parametrize("path", ["/external", "/external/stream"])
async def test_other_urls_are_rejected(
    service: httpx.AsyncClient, upstream: Upstream, path: str
) -> None:
    """A URL that is not at an upstream, or contains a user, is rejected before anything is sent."""
    with_user = upstream.url.replace("//", "//me:pw@")
    elsewhere = ("http://elsewhere.invalid/", f"{upstream.url}@elsewhere.invalid/")
    for url in (*elsewhere, with_user, "x:", "/", "http://xn--a.com/"):
        answer = await service.get(path, params={"url": url})

        assert answer.status_code == 400
        assert answer.json()["type"] == "urn:problem-type:origin-not-allowed"
    assert upstream.seen == []


async def test_allowed_origins(upstream: Upstream, monkeypatch: pytest.MonkeyPatch) -> None:
    """APP_EXTERNAL_ALLOWED_ORIGINS adds origins; without any upstream, a URL is required."""
    monkeypatch.setenv("APP_EXTERNAL_ALLOWED_ORIGINS", f"https://a.example, {upstream.url}")
    async with serve(create_app(Settings(upstreams={}))) as service:
        answer = await service.get("/external", params={"url": upstream.url})
        nowhere = await service.get("/external")

    assert answer.json()["status"] == 200
    assert nowhere.status_code == 400


async def test_stream_passes_on(upstream: Upstream) -> None:
    """A stream passes on the upstream's status, type and body, and no browser runs its scripts."""
    async with service_for(upstream, max_response_bytes=1000) as service:
        large = await service.get("/external/stream", params={"url": f"{upstream.url}/chunked/99"})
        answer = await service.get("/external/stream")

    assert (large.status_code, len(large.content)) == (200, 99 * 1024)
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers["Content-Security-Policy"] == "sandbox"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


async def test_stream_that_fails(upstream: Upstream) -> None:
    """A stream that fails before its body becomes a problem; one that fails later is cut off."""
    async with service_for(upstream) as service:
        dropped = await service.get("/external/stream", params={"url": f"{upstream.url}/drop"})
        with pytest.raises(AssertionError):  # httpx's own: the application did not finish
            await service.get("/external/stream", params={"url": f"{upstream.url}/short"})
        ready = await service.get("/readyz")

    assert dropped.status_code == 502
    assert ready.json()["upstreams"]["up"]["in_flight"] == 0


@pytest.mark.parametrize(
    ("sent", "passed_on"),
    [
        ("text/plain;charset=zlib", "text/plain;charset=zlib"),
        ("text/plain;charset=utf-7", "text/plain;charset=utf-7"),
        ("text/html;%09charset=utf-8", "text/html;\tcharset=utf-8"),
        ("text/html%01", "text/plain"),
        ("日本", "日本"),
        ("", "text/plain"),
    ],
    ids=["zlib", "utf-7", "tab", "control", "not-ascii", "empty"],
)
async def test_any_content_type(
    service: httpx.AsyncClient, upstream: Upstream, sent: str, passed_on: str
) -> None:
    """A body of any Content-Type is passed on; a type that cannot be sent becomes text."""
    upstream.body = b"a lone surrogate: +2AA-"
    url = {"url": f"{upstream.url}/body?content-type={sent}"}
    whole = await service.get("/external", params=url)
    streamed = await service.get("/external/stream", params=url)

    assert whole.json()["result"].startswith("a lone surrogate: ")
    assert (streamed.status_code, streamed.content) == (200, upstream.body)
    assert streamed.headers["Content-Type"] == passed_on


async def test_redirects_are_data(upstream: Upstream) -> None:
    """Redirects are returned, not followed, even with FOLLOW_REDIRECTS."""
    redirecting = {"url": f"{upstream.url}/status/302?location=/echo"}
    async with service_for(upstream, follow_redirects=True) as service:
        answer = await service.get("/external", params=redirecting)
        streamed = await service.get("/external/stream", params=redirecting)

    assert (answer.json()["status"], streamed.status_code) == (302, 302)


async def test_upstreams_of_one_host(upstream: Upstream) -> None:
    """Among upstreams on one host, the path decides whose credentials are sent."""
    settings = Settings.model_validate(
        {
            "upstreams": {
                "one": {"base_url": f"{upstream.url}/echo/one", "bearer_token": "1"},
                "two": {"base_url": f"{upstream.url}/echo/two", "bearer_token": "2"},
            },
            "external_allowed_origins": [upstream.url],
        }
    )
    async with serve(create_app(settings)) as service:
        for path in ("one/x", "two/x", "two", "two?x=1"):
            await service.get("/external", params={"url": f"{upstream.url}/echo/{path}"})
        await service.get("/external")

    sent = [(request.target, request.headers["authorization"]) for request in upstream.seen]
    assert sent == [
        ("/echo/one/x", "Bearer 1"),
        ("/echo/two/x", "Bearer 2"),
        ("/echo/two", "Bearer 2"),
        ("/echo/two?x=1", "Bearer 2"),
        ("/echo/one", "Bearer 1"),
    ]
