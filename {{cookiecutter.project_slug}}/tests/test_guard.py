import asyncio
import socket

import {{ cookiecutter.__httpx }}
import pytest

from . import guard
from .service import client_for, service_for
from .upstream import Upstream


async def test_calls_to_other_machines_are_blocked() -> None:
    """Neither a name nor an address elsewhere is reached, whatever the test or the service uses."""
    loop = asyncio.get_running_loop()
    with socket.socket() as opened, pytest.raises(PermissionError):
        opened.connect(("192.0.2.1", 80))
    for attempt in (
        lambda: asyncio.open_connection("192.0.2.2", 80),
        lambda: loop.getaddrinfo("name.example", 80),
        lambda: loop.create_datagram_endpoint(asyncio.DatagramProtocol, None, ("192.0.2.3", 53)),
    ):
        with pytest.raises(PermissionError):
            await attempt()
    async with client_for(Upstream(url="http://pool.example")) as client:
        with pytest.raises(httpx.ConnectError, match=r"tests/guard\.py"):
            await client.get("/")
    async with service_for(Upstream(url="http://[2001:db8::1]")) as service:
        assert (await service.get("/external")).status_code == 502
    found, guard.blocked = guard.blocked, set()  # or this test would fail

    assert found == {
        *("192.0.2.1", "192.0.2.2", "name.example", "192.0.2.3"),
        *("pool.example", "2001:db8::1"),
    }
