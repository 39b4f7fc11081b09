import asyncio
from functools import partial

import pytest

from {{ cookiecutter.package_name }}.http_client.timer import SharedTimer, Timeout


@pytest.fixture
async def timer() -> SharedTimer:
    return SharedTimer()


def after(seconds: float) -> float:
    return asyncio.get_running_loop().time() + seconds


async def test_timeouts_end_in_order(timer: SharedTimer) -> None:
    """Each timeout ends at its own time, whatever the order in which they started."""
    ended: list[str] = []
    times = {"third": 0.06, "late": -1, "first": 0.02, "no": 0.03, "second": 0.04}
    callbacks = {name: partial(ended.append, name) for name in times}
    for callback, seconds in zip(callbacks.values(), times.values(), strict=True):
        timer.start(callback, after(seconds))
    timer.stop(callbacks["no"])

    await asyncio.sleep(0.1)
    assert ended == ["late", "first", "second", "third"]


async def test_others_end_after_one_that_fails(timer: SharedTimer) -> None:
    """A callback that raises, as cancelling a task can, does not stop the other timeouts."""
    failures: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: failures.append(context))
    ended: list[str] = []
    timer.start(lambda: 1 / 0, after(0.01))
    timer.start(partial(ended.append, "later"), after(0.02))

    await asyncio.sleep(0.1)
    assert (ended, len(failures)) == (["later"], 1)


async def test_timeout_cancels_its_block(timer: SharedTimer) -> None:
    """A block that takes too long raises TimeoutError; one that ends earlier is not cancelled."""
    with pytest.raises(TimeoutError), Timeout(timer, after(0.01)) as timeout:
        await asyncio.sleep(5)
    with Timeout(timer, after(0.01)) as earlier:
        pass
    await asyncio.sleep(0.03)

    assert (timeout.expired, earlier.expired) == (True, False)


async def test_timeouts_nest(timer: SharedTimer) -> None:
    """An outer timeout ends the inner block as well; the inner one has not expired."""
    outer, inner = Timeout(timer, after(0.01)), Timeout(timer, after(5))
    with pytest.raises(TimeoutError), outer, inner:
        await asyncio.sleep(5)

    assert (outer.expired, inner.expired) == (True, False)
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


async def test_cancellation_is_not_a_timeout(timer: SharedTimer) -> None:
    """A task that is cancelled as its timeout expires is cancelled."""

    async def call() -> None:
        with Timeout(timer, after(0.01)):
            try:
                await asyncio.sleep(5)
            finally:
                task.cancel()

    task = asyncio.create_task(call())
    with pytest.raises(asyncio.CancelledError):
        await task
