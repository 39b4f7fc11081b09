"""An event loop in which waiting takes no time, so that a test can wait for hours."""

import asyncio
import selectors


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock jumps to the next timer as soon as no task can run.

    With sockets, it first waits ``network_s`` real seconds for them.
    """

    def __init__(self, network_s: float = 0) -> None:
        self._clock = _Clock(network_s)
        super().__init__(self._clock)

    def time(self) -> float:
        return self._clock.now

    def turn(self) -> None:
        """Run the callbacks that are ready now, without those that they schedule."""
        self.call_soon(self.stop)
        self.run_forever()

    def advance(self, seconds: float) -> None:
        """Run until this much virtual time has passed."""
        self.run_until_complete(asyncio.sleep(seconds))


class _Clock(selectors.DefaultSelector):
    def __init__(self, network_s: float) -> None:
        super().__init__()
        self.now = 0.0
        self._network_s = network_s

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0 if timeout == 0 else self._network_s)
        if not ready:
            if timeout is None:
                raise RuntimeError("every task waits, and nothing will ever wake one")
            self.now += timeout
        return ready
