"""The table of live children as the supervisor sees them: starting, idle, claimed for a job, deadlines."""

from dataclasses import dataclass, field
from typing import Any

from supervisor.jobtypes.records import JobType
from supervisor.outcome import End, Usage
from supervisor.store.records import Job
from workers.identity import Identity
from workers.trees import Dead


@dataclass
class Child:
    """One child. It is idle while it has no job, and never gets a second one."""

    number: int
    keeper: int
    """Number of the keeper that holds it."""
    identity: Identity | None = None
    """None until the keeper says that it is started."""
    job: Job | None = None
    """As it was claimed: owner and attempt are those of what runs here."""
    job_type: JobType | None = None
    overdue_at: float = float("inf")
    """Monotonic time at which its job type's timeout is over."""
    terminating: str | None = None
    """Why it is being ended."""
    progress: dict[str, Any] | None = None
    """The newest progress that is not recorded yet."""
    unkillable: dict[str, Any] | None = None
    """What was done to end it and the pids that are there all the same, until that is recorded."""
    lasting: tuple[int, ...] = ()
    """The pids of that, for as long as it has not ended."""
    end: End | None = None
    """Set once nothing of it is left; it stays in the table until that is recorded."""
    keeper_died: bool = False
    usage: Usage | None = None
    """Of what was reaped of it, where its keeper is dead and did not do that."""
    status: int | None = None
    """Its wait status, likewise."""

    @property
    def idle(self) -> bool:
        return self.identity is not None and self.job is None and self.end is None and not self.keeper_died

    def owns(self, dead: Dead) -> bool:
        """Whether it is this process, or led its session."""
        return self.identity is not None and (dead.who == self.identity or dead.session == self.identity.pid)

    def bury(self, dead: Dead) -> None:
        """A process of it that came to us when its keeper died, and was reaped."""
        if dead.who == self.identity:
            self.status = dead.status
        used = self.usage or Usage(0.0, 0.0, 0)
        self.usage = Usage(
            used.user_seconds + dead.usage.ru_utime,
            used.system_seconds + dead.usage.ru_stime,
            max(used.max_rss_bytes, dead.usage.ru_maxrss * 1024),
        )


@dataclass
class Children:
    """All of them, by number."""

    _by_number: dict[int, Child] = field(default_factory=dict)
    _next: int = 1

    def add(self, keeper: int) -> Child:
        child = Child(self._next, keeper)
        self._by_number[child.number] = child
        self._next += 1
        return child

    def get(self, number: int) -> Child | None:
        return self._by_number.get(number)

    def remove(self, child: Child) -> None:
        self._by_number.pop(child.number, None)

    def all(self) -> list[Child]:
        return list(self._by_number.values())

    def idle(self) -> list[Child]:
        return [child for child in self._by_number.values() if child.idle]

    def starting(self) -> list[Child]:
        return [
            c for c in self._by_number.values() if c.identity is None and c.end is None and not c.keeper_died
        ]

    def running(self) -> list[Child]:
        """Those with a job whose end is not known yet."""
        return [
            c for c in self._by_number.values() if c.job is not None and c.end is None and not c.keeper_died
        ]

    def with_jobs(self) -> list[Child]:
        """Those whose job is InProgress on record, ended or not."""
        return [child for child in self._by_number.values() if child.job is not None]

    def of_job(self, job_id: str) -> Child | None:
        return next((c for c in self._by_number.values() if c.job is not None and c.job.id == job_id), None)
