# ruff: noqa: A002 - type is the column's name
"""What triggers have counted: jobs by type and status, waits and runs by length. No history is read."""

from collections import defaultdict
from dataclasses import dataclass, field

from sqlalchemy import bindparam, func, select

from supervisor.lifecycle import JobStatus
from supervisor.store.derived import (
    BYTES,
    LONGER,
    PEAK,
    RAN,
    SECONDS,
    STARTED,
    SYSTEM,
    USER,
    WAITED,
    job_counts,
    job_tallies,
)
from supervisor.store.engine import Transaction
from supervisor.store.schema import jobs
from supervisor.store.transitions import having

__all__ = [
    "BYTES",
    "LONGER",
    "PEAK",
    "RAN",
    "SECONDS",
    "STARTED",
    "SYSTEM",
    "USER",
    "WAITED",
    "Tally",
    "count",
    "counts",
    "oldest_pending",
    "tallies",
]

_COUNTS = select(job_counts).where(job_counts.c.number > 0).order_by(job_counts.c.type)
_TALLIES = select(job_tallies).order_by(job_tallies.c.type, job_tallies.c.what, job_tallies.c.bucket)
_OLDEST = (
    select(jobs.c.created_at)
    .where(jobs.c.type == bindparam("of_type"), having(JobStatus.PENDING))
    .order_by(jobs.c.seq)
    .limit(1)
)


@dataclass(slots=True)
class Tally:
    """How many of a type there have been, and how much of it."""

    buckets: dict[int, int] = field(default_factory=dict)
    """Upper bound, milliseconds or bytes -> how many were in this bucket alone; LONGER: above all bounds."""
    amount: int = 0
    """The sum of all."""

    @property
    def number(self) -> int:
        return sum(self.buckets.values())


def counts(tx: Transaction) -> dict[str, dict[JobStatus, int]]:
    """By type, then by status; what there is none of is left out."""
    found: dict[str, dict[JobStatus, int]] = defaultdict(dict)
    for job_type, status, number in tx.execute(_COUNTS):
        found[job_type][status] = number
    return dict(found)


def count(tx: Transaction, *, status: JobStatus | None = None, type: str | None = None) -> int:
    statement = select(func.coalesce(func.sum(job_counts.c.number), 0))
    if status is not None:
        statement = statement.where(job_counts.c.status == status)
    if type is not None:
        statement = statement.where(job_counts.c.type == type)
    return int(tx.scalar(statement) or 0)


def tallies(tx: Transaction) -> defaultdict[tuple[str, str], Tally]:
    """By type, and by what was tallied.

    WAITED is from the submit to the first attempt. The others are of attempts: STARTED, RAN, the failure
    kinds, USER and SYSTEM time in microseconds, and PEAK memory.
    """
    found: defaultdict[tuple[str, str], Tally] = defaultdict(Tally)
    for job_type, what, bucket, number, amount in tx.execute(_TALLIES):
        entry = found[job_type, what]
        entry.buckets[bucket] = number
        entry.amount += amount
    return found


def oldest_pending(tx: Transaction, type: str) -> int | None:
    """When the job of this type that has been waiting longest was submitted."""
    created_at: int | None = tx.scalar(_OLDEST, {"of_type": type})
    return created_at
