"""What has been kept long enough: ended jobs, with their attempts and keys; supervisors; free pages."""

from typing import NamedTuple

from sqlalchemy import bindparam, delete, exists, select, tuple_

from supervisor.lifecycle import JobStatus
from supervisor.store.engine import Transaction
from supervisor.store.schema import jobs, supervisors
from supervisor.store.transitions import having


class Due(NamedTuple):
    """An ended job, as far as it must be known."""

    completed_at: int
    seq: int
    id: str


START = Due(-(2**63), 0, "")
"""Before the first."""

_END = (jobs.c.completed_at, jobs.c.seq)
_OLD = jobs.c.completed_at <= bindparam("until")
_AFTER = tuple_(*_END) > tuple_(bindparam("after_end"), bindparam("after_seq"))

_DUE = {
    status: select(*_END, jobs.c.id)
    .where(having(status), jobs.c.completed_at.is_not(None), _OLD, _AFTER)
    .order_by(*_END)
    .limit(bindparam("at_most"))
    for status in JobStatus
}
_REMOVE = {
    status: delete(jobs).where(jobs.c.seq == bindparam("the_seq"), having(status), _OLD)
    for status in JobStatus
}
_HOLDS_JOBS = exists().where(jobs.c.owner == supervisors.c.uuid, having(JobStatus.IN_PROGRESS))
_ENOUGH = (
    select(supervisors.c.ended_at)
    .where(supervisors.c.ended_at.is_not(None))
    .order_by(supervisors.c.ended_at.desc())
    .limit(1)
    .offset(bindparam("enough"))
)
_FORGOTTEN = (
    select(supervisors.c.uuid)
    .where(supervisors.c.ended_at <= bindparam("until"), ~_HOLDS_JOBS)
    .limit(bindparam("at_most"))
)
_FORGET = delete(supervisors).where(supervisors.c.uuid == bindparam("the_uuid"), ~_HOLDS_JOBS)


def due(tx: Transaction, *, status: JobStatus, until: int, after: Due = START, limit: int) -> list[Due]:
    """What ended with this status until then, longest ago first, from the one `after` this on."""
    values = {"until": until, "after_end": after.completed_at, "after_seq": after.seq, "at_most": limit}
    return [Due(*row) for row in tx.execute(_DUE[status], values)]


def remove(tx: Transaction, job: Due, *, status: JobStatus, until: int) -> bool:
    """With its attempts and its idempotency keys. False where it is gone already, or lives again."""
    return tx.execute(_REMOVE[status], {"the_seq": job.seq, "until": until}).rowcount == 1


def old_supervisors(tx: Transaction, *, until: int, enough: int, limit: int) -> list[str]:
    """Those that ended until then, or before as many others as are `enough`.

    Who holds a job is not among them: recovery asks who that was.
    """
    latest: int | None = tx.scalar(_ENOUGH, {"enough": enough})
    until = until if latest is None else max(until, latest)
    return list(tx.scalars(_FORGOTTEN, {"until": until, "at_most": limit}))


def forget_supervisor(tx: Transaction, uuid: str) -> None:
    tx.execute(_FORGET, {"the_uuid": uuid})


def free_pages(tx: Transaction) -> int:
    """Pages that can be given back to the disk; none where the file was made without that."""
    if tx.exec_driver_sql("PRAGMA auto_vacuum").scalar() != 2:
        return 0
    return int(tx.exec_driver_sql("PRAGMA freelist_count").scalar() or 0)


def give_back(tx: Transaction, pages: int) -> None:
    """Move as many pages from the end of the file into free ones, and cut it; the next checkpoint does it."""
    for _ in range(pages):
        # It yields rows without columns, one a page, and Python's driver stops at the first.
        tx.exec_driver_sql("PRAGMA incremental_vacuum(1)")
