"""What comes out of the store: frozen records that cannot go stale or touch the database.

All times are milliseconds since the Unix epoch, UTC.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from supervisor.lifecycle import FailureKind, Isolation, JobStatus
from workers.identity import Identity as ProcessIdentity

__all__ = ["Attempt", "CancelAnswer", "Eligible", "Job", "ProcessIdentity", "Start", "Supervisor"]


@dataclass(frozen=True, slots=True)
class Supervisor:
    """One life of a supervisor process."""

    uuid: str
    host: str
    boot_id: str
    pid_namespace: int
    """Inode of the PID namespace that its pids are numbers of."""
    identity: ProcessIdentity
    version: str
    state: str
    """starting, running, stopping, stopped (ended by itself) or lost (found dead and recovered)."""
    started_at: int
    heartbeat_at: int
    ended_at: int | None
    isolation: Isolation | None = None
    """By what its keeper holds the processes of jobs together; None until that is known."""


@dataclass(frozen=True, slots=True)
class Job:
    """A job, as last read."""

    seq: int = field(compare=False)
    """The order of submission, from 1 on; 0 where it came over the service's socket, which does not tell."""
    id: str
    type: str
    payload: str
    """JSON text, as submitted."""
    status: JobStatus
    priority: int
    attempt: int
    """Number of the current or last attempt; 0 before the first."""
    max_attempts: int
    """Attempts in all: as the job type said at the submit, and one more for each that did not count."""
    crashes: int
    """Attempts that a signal, the lack of memory or the end of the service has ended."""
    run_at: int | None
    """Of a Pending job that waits for its next attempt: when that may begin; None: as soon as it can."""
    owner: str | None
    """UUID of the supervisor that runs it or ran it last."""
    pid: int | None
    created_at: int
    started_at: int | None
    completed_at: int | None
    cancel_requested_at: int | None
    progress_fraction: float | None
    progress_message: str | None
    result: str | None
    """JSON text of what the handler returned; only where it Completed."""
    error_message: str | None
    failure_kind: FailureKind | None
    exit_code: int | None
    signal: int | None

    @property
    def ended(self) -> bool:
        return self.completed_at is not None


@dataclass(frozen=True, slots=True)
class Eligible:
    """A job that may be claimed, as far as its place in the line goes: a payload can be long."""

    seq: int
    id: str
    priority: int


@dataclass(frozen=True, slots=True)
class Start:
    """What a job type gives a job to begin with."""

    priority: int
    max_attempts: int


@dataclass(frozen=True, slots=True)
class Attempt:
    """One execution of a job: who ran it, how it ended, what it took to end it, what it used."""

    job_id: str
    number: int
    owner: str
    child: ProcessIdentity
    started_at: int
    ended_at: int | None
    status: JobStatus | None
    """Completed, Failed or Cancelled; Pending where the attempt was given back; None while it runs."""
    failure_kind: FailureKind | None
    exit_code: int | None
    signal: int | None
    error_message: str | None
    traceback: str | None
    termination: dict[str, Any] | None
    """What was done to end it: {"reason", "signals": [{"signal", "afterSeconds"}], "seconds", "killed"}."""
    user_seconds: float | None
    system_seconds: float | None
    max_rss_bytes: int | None
    """What the largest of its processes had in memory at most."""
    peak_bytes: int | None
    """What all of them together had at most; None where nothing counts that."""
    isolation: Isolation | None
    """By what its processes were held together."""


class CancelAnswer(StrEnum):
    """What a request to cancel a job came to."""

    CANCELLED = "cancelled"
    """It was Pending and now is Cancelled."""
    REQUESTED = "requested"
    """It is InProgress; its supervisor has been asked to end it."""
    ALREADY_REQUESTED = "already_requested"
    """Somebody asked before; this changed nothing."""
    ALREADY_ENDED = "already_ended"
    """It had ended; this changed nothing."""
