"""Names whose addresses change, on a clock that each test sets."""

import asyncio
import socket
from typing import Any

import pytest

from {{ cookiecutter.package_name }}.http_client.transport import sockets
from {{ cookiecutter.package_name }}.settings import HTTPSettings


class MovingName:
    """A name with a TTL of 10 s: ``answer`` is what DNS returns or raises at ``clock``."""

    def __init__(self) -> None:
        self.answer: list[str] | Exception = ["10.0.0.1"]
        self.clock = 0.0
        self.look_ups = 0
        settings = HTTPSettings(dns_ttl_s=10, connection_max_age_s=100)
        self.name = sockets.Name(sockets.Resolver(settings), settings, "up.example", 80)
        self.name.now = lambda: self.clock

    def look_up(self, *_: object, **__: object) -> list[Any]:
        self.look_ups += 1
        if isinstance(self.answer, Exception):
            raise self.answer
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (ip, 80)) for ip in self.answer]

    async def connect(self) -> sockets.Peer:
        found = await self.name.look_up()
        return sockets.Peer(self.name, found[0][4][0])

    async def call_at(self, clock: float) -> None:
        """Do what a call does at this time, and wait for the look-up that it may begin."""
        self.clock = clock
        if clock >= self.name.due:
            await self.name.refresh()
        while self.name._look_up is not None:  # noqa: ASYNC110
            await asyncio.sleep(0.001)


@pytest.fixture
async def moving(monkeypatch: pytest.MonkeyPatch) -> MovingName:
    moving = MovingName()
    monkeypatch.setattr(socket, "getaddrinfo", moving.look_up)
    return moving


async def test_address_that_left_is_good_for_the_ttl(moving: MovingName) -> None:
    """Addresses of alternating answers stay good; one that left is retired after the TTL."""
    first = await moving.connect()
    for clock in range(1, 49):  # a look-up every 4 s, the last one at 48
        moving.answer = ["10.0.0.1", "::1"] if moving.look_ups % 2 else ["10.0.0.2"]
        assert first.is_current()
        await moving.call_at(clock)
    assert moving.look_ups == 13
    moving.answer = ["10.0.0.2"]
    await moving.call_at(53)
    assert first.is_current()
    moving.clock = 54

    assert not first.is_current()
    assert (await moving.connect()).is_current()


async def test_call_after_a_pause_waits_for_the_look_up(moving: MovingName) -> None:
    """If the last answer is older than the TTL, no call uses the old address."""
    old = await moving.connect()
    moving.answer, moving.clock = ["10.0.0.2"], 10
    await asyncio.gather(*(moving.name.refresh() for _ in range(100)))

    assert (moving.look_ups, old.is_current()) == (2, False)


async def test_failing_dns_changes_nothing(moving: MovingName) -> None:
    """What is known stays in use while DNS is down; a name that ended gets no new connections."""
    peer = await moving.connect()
    moving.answer = socket.gaierror(socket.EAI_AGAIN, "no answer")
    for clock in (5, 10, 50):
        await moving.call_at(clock)
        assert (await moving.connect()).is_current()
    moving.answer = socket.gaierror(socket.EAI_NONAME, "unknown")
    await moving.call_at(60)

    assert peer.is_current()
    with pytest.raises(socket.gaierror, match="unknown"):
        await moving.connect()


async def test_connections_share_a_look_up(moving: MovingName) -> None:
    """A caller who leaves harms no other; a failed connection makes the next one look up again."""
    leaving = asyncio.create_task(moving.connect())
    others = [asyncio.create_task(moving.connect()) for _ in range(99)]
    await asyncio.sleep(0)
    leaving.cancel()
    peers = await asyncio.gather(*others)
    assert moving.look_ups == 1
    moving.name.forget()
    moving.answer = ["10.0.0.2"]
    await moving.connect()

    assert moving.look_ups == 2
    moving.clock = 9
    assert all(peer.is_current() for peer in peers)


async def test_old_connections_are_retired(moving: MovingName) -> None:
    """A connection is used for CONNECTION_MAX_AGE_S at most."""
    peer = await moving.connect()
    moving.clock = 99
    assert peer.is_current()
    moving.clock = 100

    assert not peer.is_current()
