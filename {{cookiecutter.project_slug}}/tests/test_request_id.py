import logging
import re

import {{ cookiecutter.__httpx }}
import pytest

from .upstream import Upstream


@pytest.mark.parametrize("given", ["a", "A1._-", "x" * 128])
async def test_harmless_id_is_kept(
    service: httpx.AsyncClient, upstream: Upstream, given: str
) -> None:
    """An id that matches is returned and sent along to the upstream."""
    response = await service.get("/external", headers={"X-Request-ID": given})

    assert response.headers["X-Request-ID"] == given
    assert upstream.seen[0].headers["x-request-id"] == given


@pytest.mark.parametrize("given", ["", "a b", "x" * 129, "a\nb", "<script>"])
async def test_other_ids_are_replaced(service: httpx.AsyncClient, given: str) -> None:
    """Anything that could forge a log line or a header is not taken over."""
    response = await service.get("/livez", headers=[(b"X-Request-ID", given.encode())])

    assert re.fullmatch("[0-9a-f]{32}", response.headers["X-Request-ID"])


async def test_one_access_line_per_request(
    service: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    """Each request is one line, without its query; health probes whisper."""
    caplog.set_level(logging.DEBUG)
    for path in ("/external?secret=1", "/livez", "/nowhere%0aforged"):
        await service.get(path)

    lines = [vars(record) for record in caplog.records if record.message == "request"]
    assert [(line["path"], line["status"], line["levelname"]) for line in lines] == [
        ("/external", 200, "INFO"),
        ("/livez", 200, "DEBUG"),
        ("/nowhere%0Aforged", 404, "INFO"),
    ]
    assert all(line["method"] == "GET" and line["duration_ms"] > 0 for line in lines)
