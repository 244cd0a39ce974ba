# ruff: noqa: A002 - id and type are the columns' names
"""Jobs: submitted, found, listed, counted. The edges of their lives are in transitions.py."""

from collections.abc import Sequence
from dataclasses import fields
from typing import Any, TypedDict, Unpack, cast

import sqlalchemy as sa
from sqlalchemy import Select, bindparam, select

from supervisor.errors import AmbiguousJob, UnknownJob
from supervisor.lifecycle import JobStatus
from supervisor.store.engine import Transaction
from supervisor.store.prepared import Prepared
from supervisor.store.records import Eligible, Job
from supervisor.store.schema import jobs
from supervisor.store.transitions import (
    claim,
    finish,
    give_back,
    having,
    in_their_turn,
    in_turn,
    next_turn,
    record_progress,
    request_cancel,
    retry,
    try_again,
)

__all__ = [
    "cancel_requests",
    "claim",
    "count",
    "count_eligible",
    "counts",
    "eligible",
    "find",
    "finish",
    "get",
    "get_all",
    "give_back",
    "held_by",
    "ids_matching",
    "in_progress_per_type",
    "in_their_turn",
    "in_turn",
    "insert",
    "insert_many",
    "living",
    "next_turn",
    "owners_in_progress",
    "page",
    "pending_per_type",
    "record_progress",
    "request_cancel",
    "retry",
    "try_again",
]

_SHORTEST_PREFIX = 4
_AFTER_EVERY_TEXT = "\U0010ffff"
_LARGEST = 2**63 - 1

_COLUMNS = [jobs.c[field.name] for field in fields(Job)]
_PENDING = having(JobStatus.PENDING)
_IN_PROGRESS = having(JobStatus.IN_PROGRESS)
_HELD = (_IN_PROGRESS, jobs.c.owner == bindparam("by"))

_NEWEST = select(sa.func.coalesce(sa.func.max(jobs.c.seq), 0))
_NEWER = select(jobs.c.seq).where(jobs.c.seq > bindparam("than")).order_by(jobs.c.seq)
_NOTHING_YET: dict[str, Any] = {
    "status": JobStatus.PENDING,
    "attempt": 0,
    "crashes": 0,
    **dict.fromkeys(
        "run_at owner pid started_at completed_at cancel_requested_at progress_fraction progress_message"
        " result error_message failure_kind exit_code signal".split()
    ),
}
_GET = Prepared(select(*_COLUMNS).where(jobs.c.id == bindparam("the_id")))
_GET_ALL = select(*_COLUMNS).where(jobs.c.id.in_(bindparam("the_ids", expanding=True)))
_BEGINNING = (
    select(*_COLUMNS)
    .where(jobs.c.id >= bindparam("prefix"), jobs.c.id < bindparam("beyond"))
    .order_by(jobs.c.id)
    .limit(2)
)
_READY = (_PENDING, jobs.c.run_at.is_(None), jobs.c.type == bindparam("of_type"))
_ELIGIBLE = Prepared(
    select(*(jobs.c[field.name] for field in fields(Eligible)))
    .where(*_READY)
    .order_by(jobs.c.priority.desc(), jobs.c.seq)
    .limit(bindparam("at_most"))
)
_COUNT_ELIGIBLE = Prepared(
    select(sa.func.count()).select_from(
        select(jobs.c.seq).where(*_READY).limit(bindparam("at_most")).subquery()
    )
)
_COUNTS = select(jobs.c.status, sa.func.count()).group_by(jobs.c.status)
_IN_PROGRESS_PER_TYPE = Prepared(
    select(jobs.c.type, sa.func.count()).where(_IN_PROGRESS).group_by(jobs.c.type)
)
_PENDING_PER_TYPE = select(jobs.c.type, sa.func.count()).where(_PENDING).group_by(jobs.c.type)
_HELD_BY = select(*_COLUMNS).where(*_HELD).order_by(jobs.c.seq)
_CANCEL_REQUESTS = Prepared(select(jobs.c.id).where(*_HELD, jobs.c.cancel_requested_at.is_not(None)))
_OWNERS = select(jobs.c.owner).where(_IN_PROGRESS).distinct()


class New(TypedDict):
    """What a job begins with."""

    id: str
    type: str
    payload: str
    priority: int
    max_attempts: int
    created_at: int


_INSERT = Prepared(
    sa.insert(jobs).values(status=JobStatus.PENDING, attempt=0, crashes=0).inline(),
    tuple(New.__annotations__),
)


def insert(tx: Transaction, **new: Unpack[New]) -> Job:
    seq = _INSERT.run(tx, new).lastrowid
    assert seq is not None
    return Job(seq=seq, **new, **_NOTHING_YET)


def insert_many(tx: Transaction, new: Sequence[New]) -> list[Job]:
    """In the same order, which is that of their numbers: nobody else writes meanwhile."""
    if not new:
        return []
    before = tx.scalar(_NEWEST)
    _INSERT.run_each(tx, new)
    numbers = tx.scalars(_NEWER, {"than": before})
    return [Job(seq=seq, **each, **_NOTHING_YET) for seq, each in zip(numbers, new, strict=True)]


def get(tx: Transaction, id: str) -> Job | None:
    rows = _GET.rows(tx, {"the_id": id})
    return Job(*rows[0]) if rows else None


def get_all(tx: Transaction, ids: Sequence[str]) -> dict[str, Job]:
    """Those that there are, by id; a hundred at most, or so."""
    rows = tx.execute(_GET_ALL, {"the_ids": list(ids)})
    return {job.id: job for job in (Job(*row) for row in rows)}


def find(tx: Transaction, prefix: str) -> Job:
    """The job with this id, else the only one whose id begins like this."""
    exact = get(tx, prefix)
    if exact is not None:
        return exact
    if len(prefix) < _SHORTEST_PREFIX:
        raise UnknownJob(
            f"there is no job {prefix!r}; of a longer id, give {_SHORTEST_PREFIX} characters or more"
        )
    rows = tx.execute(_BEGINNING, {"prefix": prefix, "beyond": prefix + _AFTER_EVERY_TEXT}).all()
    if not rows:
        raise UnknownJob(f"there is no job whose id is or begins with {prefix!r}")
    if len(rows) > 1:
        raise AmbiguousJob(f"more than one job's id begins with {prefix!r}; give more of it")
    return Job(*rows[0])


def page(
    tx: Transaction,
    *,
    status: JobStatus | None = None,
    type: str | None = None,
    offset: int = 0,
    limit: int = 20,
) -> list[Job]:
    """Newest first."""
    chosen = _matching(select(*_COLUMNS), status, type).order_by(jobs.c.seq.desc())
    return [Job(*row) for row in tx.execute(chosen.limit(limit).offset(min(offset, _LARGEST)))]


def count(tx: Transaction, *, status: JobStatus | None = None, type: str | None = None) -> int:
    return tx.scalar(_matching(select(sa.func.count()).select_from(jobs), status, type)) or 0


def ids_matching(
    tx: Transaction, *, status: JobStatus | None = None, type: str | None = None, limit: int
) -> list[str]:
    """Oldest first."""
    chosen = _matching(select(jobs.c.id), status, type).order_by(jobs.c.seq).limit(limit)
    return list(tx.scalars(chosen))


def living(tx: Transaction, ids: Sequence[str], status: JobStatus | None = None) -> list[str]:
    """Those of them that have not ended, and are of this status; in the same order."""
    chosen = _matching(select(jobs.c.id), status, None).where(
        jobs.c.id.in_(ids), jobs.c.completed_at.is_(None)
    )
    found = set(tx.scalars(chosen))
    return [each for each in ids if each in found]


def counts(tx: Transaction) -> dict[JobStatus, int]:
    """Of every status, 0 included."""
    found = _pairs(tx, _COUNTS)
    return {status: found.get(status, 0) for status in JobStatus}


def in_progress_per_type(tx: Transaction) -> dict[str, int]:
    return dict(row[:2] for row in _IN_PROGRESS_PER_TYPE.rows(tx, {}))


def pending_per_type(tx: Transaction) -> dict[str, int]:
    return _pairs(tx, _PENDING_PER_TYPE)


def eligible(tx: Transaction, *, type: str, limit: int) -> list[Eligible]:
    """Pending, their time come, in the order to claim them. With a cancel request they would be Cancelled."""
    return [Eligible(*row) for row in _ELIGIBLE.rows(tx, {"of_type": type, "at_most": limit})]


def count_eligible(tx: Transaction, *, type: str, up_to: int) -> int:
    """How many there are of these; no more are counted than are asked for."""
    ((number,),) = _COUNT_ELIGIBLE.rows(tx, {"of_type": type, "at_most": up_to})
    return cast(int, number)


def held_by(tx: Transaction, *, owner: str) -> list[Job]:
    """What this owner has in progress, oldest first."""
    return [Job(*row) for row in tx.execute(_HELD_BY, {"by": owner})]


def cancel_requests(tx: Transaction, *, owner: str) -> list[str]:
    """Of what this owner has in progress, what somebody asked to end."""
    return [job_id for (job_id,) in _CANCEL_REQUESTS.rows(tx, {"by": owner})]


def owners_in_progress(tx: Transaction) -> set[str]:
    return {owner for (owner,) in tx.execute(_OWNERS)}


def _pairs(tx: Transaction, statement: Select[Any]) -> dict[Any, int]:
    return dict(tuple(row) for row in tx.execute(statement))


def _matching(statement: Select[Any], status: JobStatus | None, type: str | None) -> Select[Any]:
    if status is not None:
        statement = statement.where(having(status))
    if type is not None:
        statement = statement.where(jobs.c.type == type)
    return statement
