"""How busy the machine is with other work, so that a reader can distrust a noisy run."""

import os
import statistics
from collections.abc import Callable
from pathlib import Path

TICKS_PER_S = os.sysconf("SC_CLK_TCK")


class Load:
    """The share of the machine's processor time that other processes use.

    ``processes`` returns the running processes' own time, in seconds.
    """

    def __init__(self, processes: Callable[[], float]) -> None:
        self._processes = processes
        self._before = os.getloadavg()[0]
        self._samples: list[float] = []
        self._last = self._now()

    def sample(self) -> float:
        """Return the others' share since the last sample, in percent of all cores."""
        total, others = self._now()
        total_before, others_before = self._last
        self._last = total, others
        share = (others - others_before) / max(total - total_before, 1 / TICKS_PER_S) * 100
        self._samples.append(max(0.0, share))
        return self._samples[-1]

    def summary(self) -> dict[str, float]:
        samples = self._samples or [0.0]
        return {
            "average_before": round(self._before, 2),
            "others_median_percent": round(statistics.median(samples), 1),
            "others_most_percent": round(max(samples), 1),
        }

    def _now(self) -> tuple[float, float]:
        with Path("/proc/stat").open(encoding="ascii") as stat:
            user, nice, system, idle, iowait, irq, softirq, steal = (
                int(ticks) / TICKS_PER_S for ticks in stat.readline().split()[1:9]
            )
        # Not interrupts, because most of them are this benchmark's own packets.
        total = user + nice + system + idle + iowait + irq + softirq + steal
        own = sum(os.times()[:4]) + self._processes()
        return total, user + nice + system + steal - own
