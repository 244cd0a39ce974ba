# ruff: noqa: A002 - type is the column's name
"""What triggers have counted: jobs by type and status, waits and runs by length. No history is read."""

from collections import defaultdict
from dataclasses import dataclass, field

from sqlalchemy import bindparam, func, select

from supervisor.lifecycle import JobStatus
from supervisor.store.derived import LONGER, RAN, SECONDS, STARTED, WAITED, job_counts, job_tallies
from supervisor.store.engine import Transaction
from supervisor.store.schema import jobs
from supervisor.store.transitions import having

__all__ = [
    "LONGER",
    "RAN",
    "SECONDS",
    "STARTED",
    "WAITED",
    "Times",
    "count",
    "counts",
    "oldest_pending",
    "times",
]

_COUNTS = select(job_counts).where(job_counts.c.number > 0).order_by(job_counts.c.type)
_TIMES = select(job_tallies).order_by(job_tallies.c.type, job_tallies.c.what, job_tallies.c.bucket)
_OLDEST = (
    select(jobs.c.created_at)
    .where(jobs.c.type == bindparam("of_type"), having(JobStatus.PENDING))
    .order_by(jobs.c.seq)
    .limit(1)
)


@dataclass(slots=True)
class Times:
    """How long jobs of a type waited, or their attempts ran."""

    buckets: dict[int, int] = field(default_factory=dict)
    """Upper bound in milliseconds -> how many were in this bucket alone; LONGER: above all bounds."""
    milliseconds: int = 0
    """The sum of all."""


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


def times(tx: Transaction) -> dict[tuple[str, str], Times]:
    """By type, and WAITED (from the submit to the first attempt), RAN or STARTED (attempts)."""
    found: dict[tuple[str, str], Times] = defaultdict(Times)
    for job_type, what, bucket, number, milliseconds in tx.execute(_TIMES):
        entry = found[job_type, what]
        entry.buckets[bucket] = number
        entry.milliseconds += milliseconds
    return dict(found)


def oldest_pending(tx: Transaction, type: str) -> int | None:
    """When the job of this type that has been waiting longest was submitted."""
    created_at: int | None = tx.scalar(_OLDEST, {"of_type": type})
    return created_at
