import logging
import re

import pytest

from .service import service_for
from .upstream import Upstream


@pytest.mark.parametrize("given", ["a", "A1._-", "x" * 128])
async def test_harmless_id_is_kept(upstream: Upstream, given: str) -> None:
    """An id that matches is returned and sent along to the upstream."""
    async with service_for(upstream) as service:
        response = await service.get(
            "/external", params={"url": f"{upstream.url}/echo"}, headers={"X-Request-ID": given}
        )

    assert response.headers["X-Request-ID"] == given
    assert upstream.seen[0].headers["x-request-id"] == given


@pytest.mark.parametrize("given", ["", "a b", "x" * 129, "a\nb", "<script>"])
async def test_other_ids_are_replaced(upstream: Upstream, given: str) -> None:
    """Anything that could forge a log line or a header is not taken over."""
    async with service_for(upstream) as service:
        response = await service.get("/livez", headers=[(b"X-Request-ID", given.encode())])

    assert re.fullmatch("[0-9a-f]{32}", response.headers["X-Request-ID"])


async def test_one_access_line_per_request(
    upstream: Upstream, caplog: pytest.LogCaptureFixture
) -> None:
    """Each request is one line, without its query; health probes whisper."""
    caplog.set_level(logging.DEBUG)
    async with service_for(upstream) as service:
        await service.get("/external?secret=1")
        await service.get("/livez")
        await service.get("/nowhere%0aforged")

    lines = [vars(record) for record in caplog.records if record.message == "request"]
    assert [(line["path"], line["status"], line["levelname"]) for line in lines] == [
        ("/external", 200, "INFO"),
        ("/livez", 200, "DEBUG"),
        ("/nowhere%0Aforged", 404, "INFO"),
    ]
    assert all(line["method"] == "GET" and line["duration_ms"] > 0 for line in lines)
