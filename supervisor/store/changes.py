"""What has changed of which job, in order: the last ten thousand changes, written by a trigger."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

from sqlalchemy import bindparam, func, literal, select

from supervisor.store.derived import job_changes
from supervisor.store.engine import Transaction
from supervisor.store.records import Job
from supervisor.store.schema import jobs

_THEN = {column.name for column in job_changes.c}
_LEFT_OUT = {"payload": literal("null"), "result": literal(None)}
_COLUMNS = [
    _LEFT_OUT[field.name]
    if field.name in _LEFT_OUT
    else (job_changes.c if field.name in _THEN else jobs.c)[field.name]
    for field in fields(Job)
]
_AFTER = (
    select(job_changes.c.number, *_COLUMNS)
    .join_from(job_changes, jobs, jobs.c.seq == job_changes.c.job_seq)
    .where(job_changes.c.number > bindparam("after"))
    .order_by(job_changes.c.number)
    .limit(bindparam("at_most"))
)
_KEPT = select(
    select(func.min(job_changes.c.number)).scalar_subquery(),
    select(func.max(job_changes.c.number)).scalar_subquery(),
)


@dataclass(frozen=True, slots=True)
class Change:
    """A job as a change left it; its payload and its result are left out, long messages cut off."""

    number: int
    job: Job


def after(tx: Transaction, number: int, limit: int) -> list[Change]:
    """Oldest first."""
    return [_change(row) for row in tx.execute(_AFTER, {"after": number, "at_most": limit})]


def kept(tx: Transaction) -> tuple[int, int]:
    """The numbers of the oldest and of the newest change that is kept; (1, 0) before the first."""
    oldest, newest = tx.execute(_KEPT).one()
    return (1, 0) if oldest is None else (oldest, newest)


def _change(row: Sequence[Any]) -> Change:
    number, *job = row
    return Change(number, Job(*job))
