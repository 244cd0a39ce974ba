"""Time, passed in: one clock for what is stored, one for deadlines."""

import time
from typing import Protocol


class Clock(Protocol):
    """Two clocks that must not be mixed."""

    def now(self) -> int:
        """Milliseconds since the Unix epoch, UTC: stored and shown, never subtracted for a deadline."""

    def monotonic(self) -> float:
        """Seconds on a clock that nobody sets: for deadlines, never stored."""


class SystemClock:
    """The machine's clocks. CLOCK_MONOTONIC, for deadlines, stands still while the machine is suspended."""

    def now(self) -> int:
        return time.time_ns() // 1_000_000

    def monotonic(self) -> float:
        return time.monotonic()
