"""What is being done to end a child, and the record of it."""

import signal
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Termination:
    """SIGTERM, grace, SIGKILL: when each came and what it took. Times are monotonic seconds."""

    reason: str
    """cancel, timeout, cpu_time, shutdown, supervisor_gone, or lingered (its work was done, its process would
    not end)."""
    began: float
    kill_at: float
    signals: list[tuple[str, float]] = field(default_factory=list)
    killed: int = 0

    def sent(self, number: signal.Signals, now: float) -> None:
        """Note a signal; the same one in a row counts once."""
        if not self.signals or self.signals[-1][0] != number.name:
            self.signals.append((number.name, now - self.began))

    def hurry(self, now: float, grace: float) -> None:
        """A second request shortens the grace, and never lengthens it."""
        self.kill_at = min(self.kill_at, now + grace)

    def to_record(self, now: float) -> dict[str, Any]:
        return {
            "reason": self.reason,
            "signals": [{"signal": name, "afterSeconds": round(after, 3)} for name, after in self.signals],
            "seconds": round(now - self.began, 3),
            "killed": self.killed,
        }
