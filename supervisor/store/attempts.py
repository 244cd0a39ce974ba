"""The executions of a job: opened by a claim, closed once by its outcome."""

import json
from collections.abc import Sequence
from typing import Any, cast

from sqlalchemy import bindparam, func, insert, literal_column, select, update

from supervisor.lifecycle import OWNER_DEATHS, JobStatus
from supervisor.outcome import Outcome
from supervisor.store.engine import Transaction
from supervisor.store.prepared import Prepared
from supervisor.store.records import Attempt, ProcessIdentity
from supervisor.store.schema import attempts, jobs

_SEQ = select(jobs.c.seq).where(jobs.c.id == bindparam("of_job")).scalar_subquery()
_CHILD = (attempts.c.pid, attempts.c.start_ticks, attempts.c.pidfd_inode)
_ENDING = [
    attempts.c[name]
    for name in (
        "started_at ended_at status failure_kind exit_code signal error_message traceback termination"
        " user_seconds system_seconds max_rss_bytes peak_bytes isolation"
    ).split()
]

_OF = (
    select(jobs.c.id, attempts.c.number, attempts.c.owner, *_CHILD, *_ENDING)
    .join_from(attempts, jobs)
    .where(jobs.c.id == bindparam("of_job"))
    .order_by(attempts.c.number)
)
_GET = _OF.where(attempts.c.number == bindparam("the_number"))
_CHILDREN_OF = (
    select(jobs.c.id, attempts.c.number, *_CHILD)
    .join_from(attempts, jobs)
    .where(attempts.c.owner == bindparam("by"), attempts.c.ended_at.is_(None))
    .order_by(attempts.c.job_seq)
)
_OPEN = Prepared(
    insert(attempts).values(job_seq=_SEQ).inline(),  # what number it got, nobody asks
    ("number", "owner", *(column.name for column in _CHILD), "started_at"),
)
_CLOSE = Prepared(
    update(attempts)
    .where(
        attempts.c.job_seq == _SEQ,
        attempts.c.number == bindparam("the_number"),
        attempts.c.status.is_(None),
    )
    .values({column: bindparam(f"new_{column.name}") for column in _ENDING[1:]})
)
_FAILURES = Prepared(
    select(func.count())
    .select_from(attempts)
    .where(
        attempts.c.job_seq == bindparam("of_seq"),
        attempts.c.status == literal_column(f"'{JobStatus.FAILED}'"),
        *(attempts.c.failure_kind != literal_column(f"'{kind}'") for kind in sorted(OWNER_DEATHS)),
    )
)
_UNKILLABLE = (
    select(jobs.c.id)
    .join_from(attempts, jobs)
    .where(attempts.c.ended_at.is_(None), attempts.c.termination.is_not(None))
    .order_by(jobs.c.seq)
)
_NOTE_TERMINATION = (
    update(attempts)
    .where(
        attempts.c.job_seq == _SEQ,
        attempts.c.number == bindparam("the_number"),
        attempts.c.status.is_(None),
    )
    .values(termination=bindparam("new_termination"))
)


def of(tx: Transaction, job_id: str) -> list[Attempt]:
    """Oldest first."""
    return [_attempt(row) for row in tx.execute(_OF, {"of_job": job_id})]


def get(tx: Transaction, job_id: str, number: int) -> Attempt | None:
    row = tx.execute(_GET, {"of_job": job_id, "the_number": number}).first()
    return None if row is None else _attempt(row)


def failures(tx: Transaction, *, job_seq: int) -> int:
    """Attempts on record that failed by the job's own doing, and not by the end of the service."""
    ((number,),) = _FAILURES.rows(tx, {"of_seq": job_seq})
    return cast(int, number)


def children_of(tx: Transaction, *, owner: str) -> list[tuple[str, int, ProcessIdentity]]:
    """Job, attempt number and child of every attempt of this owner that is not on record as ended."""
    rows = tx.execute(_CHILDREN_OF, {"by": owner})
    return [(job_id, number, ProcessIdentity(*child)) for job_id, number, *child in rows]


def open_(tx: Transaction, *, job_id: str, number: int, owner: str, child: ProcessIdentity, now: int) -> None:
    values = {
        "of_job": job_id,
        "number": number,
        "owner": owner,
        "pid": child.pid,
        "start_ticks": child.start_ticks,
        "pidfd_inode": child.pidfd_inode,
        "started_at": now,
    }
    _OPEN.run(tx, values)


def close_(tx: Transaction, *, job_id: str, number: int, outcome: Outcome, now: int) -> None:
    """What became of the attempt: one that failed has Failed, whether or not the job is tried again."""
    usage = outcome.usage
    values = {
        "of_job": job_id,
        "the_number": number,
        "new_ended_at": now,
        "new_status": outcome.status,
        "new_failure_kind": outcome.failure_kind,
        "new_exit_code": outcome.exit_code,
        "new_signal": outcome.signal,
        "new_error_message": outcome.error_message,
        "new_traceback": outcome.traceback,
        "new_termination": None if outcome.termination is None else json.dumps(outcome.termination),
        "new_user_seconds": None if usage is None else usage.user_seconds,
        "new_system_seconds": None if usage is None else usage.system_seconds,
        "new_max_rss_bytes": None if usage is None else usage.max_rss_bytes,
        "new_peak_bytes": None if usage is None else usage.peak_bytes,
        "new_isolation": outcome.isolation,
    }
    _CLOSE.run(tx, values)


def note_termination(tx: Transaction, *, job_id: str, number: int, termination: dict[str, Any]) -> None:
    """What was done to end it so far, in vain; its outcome will tell what it took in all."""
    values = {"of_job": job_id, "the_number": number, "new_termination": json.dumps(termination)}
    tx.execute(_NOTE_TERMINATION, values)


def unkillable(tx: Transaction) -> tuple[str, ...]:
    """Ids of the jobs whose end was tried in vain so far, oldest first."""
    return tuple(tx.execute(_UNKILLABLE).scalars())


def _attempt(row: Sequence[Any]) -> Attempt:
    job_id, number, owner, pid, start_ticks, pidfd_inode, *rest = row
    started_at, ended_at, status, kind, code, signal, message, traceback, termination, *used = rest
    return Attempt(
        job_id,
        number,
        owner,
        ProcessIdentity(pid, start_ticks, pidfd_inode),
        started_at,
        ended_at,
        status,
        kind,
        code,
        signal,
        message,
        traceback,
        None if termination is None else json.loads(termination),
        *used,
    )
