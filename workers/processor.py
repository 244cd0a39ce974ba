"""Processor time: what all processes of a job have used, looked at as often as a limit takes."""

import os
from collections.abc import Callable, Iterable

import psutil

from workers.identity import Identity

_OFTEN, _SELDOM = 0.05, 1.0
"""Seconds between two looks: near the limit, and far from it."""


class ProcessorTime:
    """The watch over one job's `cpu_time`."""

    def __init__(self, limit: float, used: Callable[[], float], now: float) -> None:
        self._limit = limit
        self._used = used
        self.look_at = now + _OFTEN

    def is_over(self, now: float) -> bool:
        """Whether the limit is reached; looks when it is time to."""
        if now < self.look_at:
            return False
        left = self._limit - self._used()
        # It cannot use more than all processors give.
        self.look_at = now + min(_SELDOM, max(_OFTEN, left / (os.cpu_count() or 1)))
        return left <= 0


def seconds_of(processes: Iterable[Identity]) -> float:
    """What these have used, and the children that they have waited for; what is gone is not known."""
    total = 0.0
    for process in processes:
        try:
            times = psutil.Process(process.pid).cpu_times()
        except psutil.Error:
            continue
        total += times.user + times.system + times.children_user + times.children_system
    return total
