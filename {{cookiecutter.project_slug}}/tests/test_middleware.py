import logging
import re

import {{ cookiecutter.__httpx }}
import pytest

from .upstream import Upstream


@pytest.mark.parametrize("given", ["a", "A1._-", "x" * 128], ids=["a", "marks", "longest"])
async def test_harmless_id_is_kept(
    service: httpx.AsyncClient, upstream: Upstream, given: str
) -> None:
    """A valid X-Request-ID is returned, and forwarded to the upstream."""
    response = await service.get("/external", headers={"X-Request-ID": given})

    assert response.headers["X-Request-ID"] == given
    assert upstream.seen[0].headers["x-request-id"] == given


async def test_other_ids_are_replaced(service: httpx.AsyncClient) -> None:
    """An id that could forge a log line or a header is replaced."""
    for given in ("", "a b", "x" * 129, "a\nb", "<script>"):
        response = await service.get("/livez", headers=[(b"X-Request-ID", given.encode())])
        assert re.fullmatch("[0-9a-f]{32}", response.headers["X-Request-ID"])


async def test_one_access_line_per_request(
    service: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    """Each request is one line, without its query; health probes are logged at DEBUG."""
    caplog.set_level(logging.DEBUG)
    for path in ("/external?secret=1", "/livez", "/nowhere%0aforged"):
        await service.get(path)

    lines = [vars(record) for record in caplog.records if record.message == "request"]
    assert [(line["path"], line["status"], line["levelname"]) for line in lines] == [
        ("/external", 200, "INFO"),
        ("/livez", 200, "DEBUG"),
        ("/nowhere%0Aforged", 404, "INFO"),
    ]
    assert [(line["method"], line["duration_ms"] > 0) for line in lines] == [("GET", True)] * 3
