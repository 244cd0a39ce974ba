"""What an attempt has used, as the kernel counts it when a process is reaped (getrusage(2))."""

import resource
from dataclasses import dataclass


@dataclass
class Usage:
    """The sum over everything that was reaped of an attempt."""

    user_seconds: float = 0.0
    system_seconds: float = 0.0
    max_rss_bytes: int = 0
    """Of the largest single process: what several held at one time nobody has counted."""

    def add(self, one: resource.struct_rusage) -> None:
        """A process that was reaped, and with it those of its own children that it had waited for."""
        self.user_seconds += one.ru_utime
        self.system_seconds += one.ru_stime
        self.max_rss_bytes = max(self.max_rss_bytes, one.ru_maxrss * 1024)
