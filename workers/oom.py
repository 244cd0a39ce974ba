"""The kernel's count of processes that its out-of-memory killer has ended, on the whole host."""

from workers import files


def oom_kills() -> int:
    """Since the boot, `oom_kill` in /proc/vmstat (Linux 4.13); 0 where it cannot be read.

    A process killed at its cgroup's limit counts as well. The counter goes up before the SIGKILL goes out.
    """
    try:
        text = files.read("/proc/vmstat")
    except OSError:
        return 0
    counts = (line.split() for line in text.splitlines() if line.startswith("oom_kill "))
    return next((int(count) for _, count in counts), 0)


class Meanwhile:
    """How many there were from its begin to its last look."""

    def __init__(self) -> None:
        self._first = self._last = 0

    def begin(self) -> None:
        self._first = self._last = oom_kills()

    def look(self) -> None:
        self._last = oom_kills()

    @property
    def number(self) -> int:
        return max(0, self._last - self._first)
