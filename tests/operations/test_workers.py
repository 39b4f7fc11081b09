"""Several workers serve, stop and fail as a single one does."""

import asyncio
import contextlib
import os
import signal
from collections import Counter
from collections.abc import Callable, Iterator

import httpx
import pytest

from support.generated import Generated
from support.loopback import HOST
from support.process import BrokenPromiseError
from support.rendering import EVERYTHING, Bake
from support.service import Service

pytestmark = pytest.mark.anyio

WORKERS = 3
CALLS = 10  # in flight in each

# Errors in app.py that keep every worker from starting.
BREAKAGES = {
    "import": "raise RuntimeError",
    "creation": "def create_app(settings: object = None) -> FastAPI:\n    raise RuntimeError",
    "lifespan": "def open_clients(*_: object) -> None:\n    raise RuntimeError",
}


def events(process: Service, message: str) -> list[dict[str, object]]:
    return [event for event in process.events if event["message"] == message]


def workers(process: Service) -> list[int]:
    """Return the process ids of the workers that have started, oldest first."""
    return [int(str(event["worker"])) for event in events(process, "Application startup complete.")]


async def serving(process: Service, count: int = WORKERS) -> list[int]:
    """Return the workers once so many have started."""
    async with asyncio.timeout(30):
        while True:
            if len(found := workers(process)) >= count:
                return found
            await asyncio.sleep(0.01)


@contextlib.contextmanager
def alone(worker: int, workers: list[int]) -> Iterator[None]:
    """Pause the other workers, so that this one takes every call."""
    others = [other for other in workers if other != worker]
    for other in others:
        os.kill(other, signal.SIGSTOP)
    try:
        yield
    finally:
        for other in others:
            os.kill(other, signal.SIGCONT)


@pytest.mark.parametrize("stop", [Service.terminate, Service.interrupt], ids=["SIGTERM", "Ctrl+C"])
async def test_stopping_loses_no_call(
    everything: Generated, stop: Callable[[Service], None]
) -> None:
    """With several workers, and by Ctrl+C too: as test_shutdown.py promises, in every worker, and
    with the exit code of one worker."""
    async with everything.Upstream() as upstream, contextlib.AsyncExitStack() as stack:
        settings = {"upstreams__slow__base_url": upstream.url}
        with everything.start(**settings) as single:
            stop(single)
            code = await asyncio.to_thread(single.wait)

        process = everything.start(workers=WORKERS, **settings)
        base_url = f"http://{HOST}:{process.port}"
        caller = await stack.enter_async_context(httpx.AsyncClient(base_url=base_url, timeout=60))
        stack.enter_context(process)
        calls = []
        for each in (started := await serving(process)):
            with alone(each, started):
                calls += [
                    asyncio.create_task(
                        caller.get("/external", params={"url": upstream.url + "/gate"})
                    )
                    for _ in range(CALLS)
                ]
                await upstream.wait_for_calls(len(calls))

        stop(process)
        await asyncio.to_thread(process.wait_until_closed)
        await asyncio.sleep(0.3)  # so that the calls outlast the server's own pause
        assert upstream.in_flight == WORKERS * CALLS
        upstream.gate.set()
        answers = await asyncio.gather(*calls)
        assert await asyncio.to_thread(process.wait) == code

    clients = {(worker, name): 1 for worker in started for name in ("default", "slow")}
    counts = {
        message: Counter((event["worker"], event["upstream"]) for event in events(process, message))
        for message in ("client opened", "client closed", "upstream call")
    }
    assert Counter(answer.status_code for answer in answers) == Counter({200: WORKERS * CALLS})
    assert counts == {
        "client opened": clients,
        "client closed": clients,
        "upstream call": {(worker, "slow"): CALLS for worker in started},
    }
    assert process.err == []


async def test_each_worker_serves(everything: Generated) -> None:
    """Every worker serves over its own connection, and its log lines have its process id."""
    async with everything.Upstream() as upstream:
        with everything.start(workers=WORKERS, upstreams__up__base_url=upstream.url) as process:
            started = await serving(process)
            served: set[object] = set()
            async with asyncio.timeout(30):
                while served != set(started):
                    await asyncio.to_thread(process.get, f"/external?url={upstream.url}/status/200")
                    served = {event["worker"] for event in events(process, "request")}
            process.stop()

    fields = {"timestamp", "level", "logger", "message", "request_id"}
    assert upstream.connections == WORKERS
    assert all(fields <= event.keys() for event in process.events)
    assert {event.get("worker") for event in process.events} == {None, *started}


async def test_a_killed_worker_is_replaced(everything: Generated) -> None:
    """A killed worker is replaced, and the others finish their calls."""
    async with everything.Upstream() as upstream:
        with everything.start(workers=WORKERS, upstreams__up__base_url=upstream.url) as process:
            killed, *others = await serving(process)
            with alone(others[0], [killed, *others]):
                call = asyncio.to_thread(process.get, f"/external?url={upstream.url}/gate")
                answer = asyncio.create_task(call)
                await upstream.wait_for_calls()
            os.kill(killed, signal.SIGKILL)
            statuses = set()
            async with asyncio.timeout(30):
                while len(workers(process)) == WORKERS:
                    statuses.add((await asyncio.to_thread(process.get, "/livez")).status)
            upstream.gate.set()
            statuses.add((await answer).status)
            *_, new = workers(process)
            process.stop()

    (ended,) = events(process, "worker ended")
    assert statuses == {200}
    assert (killed, -signal.SIGKILL) == (ended["worker"], ended["exit_code"])
    assert {event["worker"] for event in events(process, "client closed")} == {*others, new}


async def test_orphaned_workers_stop(everything: Generated) -> None:
    """When the supervisor is killed, its workers finish their calls, end, and free the port."""
    async with everything.Upstream() as upstream:
        with everything.start(workers=WORKERS, upstreams__up__base_url=upstream.url) as process:
            started = await serving(process)
            call = asyncio.to_thread(process.get, f"/external?url={upstream.url}/gate")
            answer = asyncio.create_task(call)
            await upstream.wait_for_calls()
            process.kill()
            await asyncio.to_thread(process.wait_until_closed)
            upstream.gate.set()
            status = (await answer).status
            await asyncio.to_thread(process.wait)

    assert status == 200
    assert Counter(event["worker"] for event in events(process, "client closed")) == Counter(
        [*started, *started]
    )


async def test_a_slow_start_is_waited_for(bake: Bake) -> None:
    """Workers that need seconds to import their modules are not killed."""
    slow = Generated(bake(**EVERYTHING, upstreams=""))
    (slow.project.package / "__init__.py").write_text(
        "import multiprocessing, time\n\nif multiprocessing.parent_process():\n    time.sleep(7)\n"
    )
    with slow.start(workers=2) as process:
        started = await serving(process, 2)
        process.stop()

    assert len(started) == len(events(process, "Application startup complete."))
    assert events(process, "worker ended") == []


@pytest.mark.parametrize("breakage", BREAKAGES.values(), ids=BREAKAGES.keys())
async def test_a_worker_that_cannot_start_stops_the_service(bake: Bake, breakage: str) -> None:
    """An error that no worker survives ends the service, with the exit code of a single worker."""
    broken = Generated(bake(**EVERYTHING, upstreams=""))
    with (broken.project.package / "app.py").open("a") as app:
        app.write(f"\n\n{breakage}\n")
    one, several = (ended(broken, workers=number) for number in (1, WORKERS))

    assert one.wait() == several.wait() > 0
    assert "RuntimeError" in str([several.out, several.err])


async def test_invalid_settings_are_printed_once(everything: Generated) -> None:
    """Several workers print what one prints (the project's own test_main.py), once."""
    one, several = (ended(everything, workers=number, port="many") for number in (1, WORKERS))

    assert (several.wait(), several.out) == (3, [])
    assert [line.partition(": ")[0] for line in several.err] == [
        "Invalid settings:",
        "  APP_PORT",
    ]
    assert one.err == several.err


async def test_a_port_in_use_is_logged_in_a_line(everything: Generated) -> None:
    """A port in use is one log line without a traceback, with the exit code of a single worker."""
    with everything.start() as holder:
        one, several = (
            ended(everything, workers=number, port=holder.port) for number in (1, WORKERS)
        )
    (event,) = several.events

    assert "address already in use" in event["message"].lower()
    assert one.wait() == several.wait() > 0
    assert several.err == []


def ended(service: Generated, **settings: object) -> Service:
    """Start a service that must end by itself, and return it."""
    process = service.start(**settings)
    with pytest.raises(BrokenPromiseError, match="ended before it was ready"), process:
        pass
    return process
