"""What the jobs wrote down themselves: when each began, and in which process."""

import os
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.jobs.chores import LINE

_PAUSE = 0.002


class Stamps:
    """A file that jobs append to."""

    def __init__(self, folder: Path, name: str = "stamps") -> None:
        self.path = folder / name
        self.path.touch()

    def empty(self) -> None:
        """For the next jobs that are told this path."""
        os.truncate(self.path, 0)

    def count(self) -> int:
        return self.path.stat().st_size // LINE

    def read(self) -> list[tuple[int, int]]:
        """Nanoseconds of the monotonic clock, and pid, in order of the clock."""
        lines = self.path.read_text().splitlines()
        return sorted((int(line[:20]), int(line[21:])) for line in lines)

    def wait(self, number: int, within: float, alive: Callable[[], bool] = lambda: True) -> None:
        """Until so many jobs have begun. Raises TimeoutError."""
        deadline = time.monotonic() + within
        while (seen := self.count()) < number:
            if time.monotonic() > deadline or not alive():
                raise TimeoutError(f"{seen} of {number} jobs had begun after {within:g} s")
            time.sleep(_PAUSE)
