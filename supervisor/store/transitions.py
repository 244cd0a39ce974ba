# ruff: noqa: A002 - id is the column's name
"""The edges of a job's life, each one conditional UPDATE that says whether it won."""

from dataclasses import replace
from typing import Any, cast

from sqlalchemy import ColumnElement, Integer, bindparam, func, literal_column, select, text, update

from supervisor.errors import UnknownJob
from supervisor.lifecycle import JobStatus
from supervisor.outcome import Outcome
from supervisor.store import attempts
from supervisor.store.engine import Transaction
from supervisor.store.prepared import Prepared
from supervisor.store.records import CancelAnswer, ProcessIdentity
from supervisor.store.schema import jobs


def having(status: JobStatus) -> ColumnElement[bool]:
    """Spelled out in the SQL: for a bound value SQLite cannot choose a partial index."""
    return jobs.c.status == literal_column(f"'{status}'")


_THE_JOB = jobs.c.id == bindparam("the_id")
_RUNNING = (
    _THE_JOB,
    having(JobStatus.IN_PROGRESS),
    jobs.c.owner == bindparam("by"),
    jobs.c.attempt == bindparam("the_attempt"),
)
_NOT_ASKED = jobs.c.cancel_requested_at.is_(None)
_NOTHING_RUNS: dict[str, Any] = dict.fromkeys(
    ("owner", "pid", "started_at", "progress_fraction", "progress_message")
)


def _to(status: JobStatus, *conditions: ColumnElement[bool], **values: Any) -> Prepared:
    return _change(*conditions, status=literal_column(f"'{status}'"), **values)


def _change(*conditions: ColumnElement[bool], **values: Any) -> Prepared:
    return Prepared(update(jobs).where(*conditions).values(**values))


_CLAIM = _to(
    JobStatus.IN_PROGRESS,
    _THE_JOB,
    having(JobStatus.PENDING),
    jobs.c.run_at.is_(None),
    jobs.c.attempt == bindparam("the_attempt") - 1,
    owner=bindparam("by"),
    attempt=bindparam("the_attempt"),
    pid=bindparam("its_pid"),
    started_at=bindparam("at"),
    error_message=None,
    exit_code=None,
    signal=None,
)
_FINISH = _change(
    *_RUNNING,
    status=bindparam("new_status"),
    completed_at=bindparam("at"),
    result=bindparam("new_result"),
    error_message=bindparam("new_error_message"),
    failure_kind=bindparam("new_failure_kind"),
    exit_code=bindparam("new_exit_code"),
    signal=bindparam("new_signal"),
    crashes=jobs.c.crashes + bindparam("crashed"),
)
_GIVE_BACK = _to(
    JobStatus.PENDING,
    *_RUNNING,
    _NOT_ASKED,
    **_NOTHING_RUNS,
    max_attempts=jobs.c.max_attempts + bindparam("not_counted"),
    crashes=jobs.c.crashes + bindparam("crashed"),
    run_at=bindparam("new_run_at"),
    error_message=bindparam("new_error_message"),
    exit_code=bindparam("new_exit_code"),
    signal=bindparam("new_signal"),
)
_GIVE_UP = _to(
    JobStatus.CANCELLED,
    *_RUNNING,
    ~_NOT_ASKED,
    completed_at=bindparam("at"),
    error_message=bindparam("new_error_message"),
    exit_code=bindparam("new_exit_code"),
    signal=bindparam("new_signal"),
)
_CANCEL_PENDING = _to(
    JobStatus.CANCELLED,
    _THE_JOB,
    having(JobStatus.PENDING),
    run_at=None,
    cancel_requested_at=bindparam("at"),
    completed_at=bindparam("at"),
)
_RETRY = _to(
    JobStatus.PENDING,
    _THE_JOB,
    jobs.c.completed_at.is_not(None),
    **_NOTHING_RUNS,
    max_attempts=func.max(jobs.c.max_attempts, jobs.c.attempt + 1),
    crashes=0,
    completed_at=None,
    cancel_requested_at=None,
    result=None,
    error_message=None,
    failure_kind=None,
    exit_code=None,
    signal=None,
)
# INDEXED BY, for which Core has no word in SQLite's dialect: without statistics SQLite takes the index of all
# Pending jobs, and walks past a million that wait for nothing but a slot.
_IN_THEIR_TURN = Prepared(
    text(
        "UPDATE jobs INDEXED BY jobs_pending_later SET run_at = NULL"
        " WHERE status = 'Pending' AND run_at <= :now"
    ).bindparams(bindparam("now", type_=Integer))
)
_NEXT_TURN = Prepared(
    text(
        "SELECT min(run_at) AS run_at FROM jobs INDEXED BY jobs_pending_later"
        " WHERE status = 'Pending' AND run_at IS NOT NULL"
    ).columns(run_at=Integer)
)
_IN_TURN = _change(
    _THE_JOB,
    having(JobStatus.PENDING),
    jobs.c.run_at.is_not(None),
    jobs.c.attempt == bindparam("the_attempt"),
    run_at=None,
)
_ASK_RUNNING = _change(
    _THE_JOB, having(JobStatus.IN_PROGRESS), _NOT_ASKED, cancel_requested_at=bindparam("at")
)
_RECORD_PROGRESS = _change(
    *_RUNNING, progress_fraction=bindparam("new_fraction"), progress_message=bindparam("new_message")
)
_STATUS = select(jobs.c.status).where(_THE_JOB)


def claim(
    tx: Transaction, *, job_id: str, owner: str, attempt: int, child: ProcessIdentity, now: int
) -> bool:
    """False where the job is no longer Pending, waits for its time, or had another attempt meanwhile."""
    values = {"the_id": job_id, "by": owner, "the_attempt": attempt, "its_pid": child.pid, "at": now}
    if not _won(tx, _CLAIM, values):
        return False
    attempts.open_(tx, job_id=job_id, number=attempt, owner=owner, child=child, now=now)
    return True


def finish(
    tx: Transaction,
    *,
    job_id: str,
    owner: str,
    attempt: int,
    outcome: Outcome,
    now: int,
    crashed: bool = False,
) -> bool:
    """False where this attempt of this owner is not in progress: whoever ended it has written why."""
    values = {
        "the_id": job_id,
        "by": owner,
        "the_attempt": attempt,
        "at": now,
        "new_status": outcome.status,
        "new_result": outcome.result,
        "new_error_message": outcome.error_message,
        "new_failure_kind": outcome.failure_kind,
        "new_exit_code": outcome.exit_code,
        "new_signal": outcome.signal,
        "crashed": int(crashed),
    }
    if not _won(tx, _FINISH, values):
        return False
    attempts.close_(tx, job_id=job_id, number=attempt, outcome=outcome, now=now)
    return True


def give_back(tx: Transaction, *, job_id: str, owner: str, attempt: int, now: int) -> JobStatus | None:
    """An attempt of which nothing has run: to Pending, or to Cancelled where somebody asked for its end.

    None where it was not its to give. It is not counted as one of the attempts that the job may have.
    """
    never = Outcome(JobStatus.PENDING)
    budget = {"new_run_at": None, "crashed": 0, "not_counted": 1}
    return _back(tx, {"the_id": job_id, "by": owner, "the_attempt": attempt, **budget}, never, now)


def try_again(
    tx: Transaction,
    *,
    job_id: str,
    owner: str,
    attempt: int,
    now: int,
    outcome: Outcome,
    run_at: int | None,
    crashed: bool,
    counted: bool,
) -> JobStatus | None:
    """An attempt that failed and is followed by another: to Pending, or to Cancelled, or None as above.

    `outcome` goes on record with the attempt. `run_at` is when the next may begin; None is at once.
    """
    budget = {"new_run_at": run_at, "crashed": int(crashed), "not_counted": int(not counted)}
    return _back(tx, {"the_id": job_id, "by": owner, "the_attempt": attempt, **budget}, outcome, now)


def _back(tx: Transaction, values: dict[str, Any], outcome: Outcome, now: int) -> JobStatus | None:
    values |= {
        "new_error_message": outcome.error_message,
        "new_exit_code": outcome.exit_code,
        "new_signal": outcome.signal,
    }
    if _won(tx, _GIVE_BACK, values):
        status = JobStatus.PENDING
    elif _won(tx, _GIVE_UP, values | {"at": now}):
        status = JobStatus.CANCELLED
        outcome = replace(outcome, status=status, failure_kind=None)
    else:
        return None
    job_id, number = values["the_id"], values["the_attempt"]
    attempts.close_(tx, job_id=job_id, number=number, outcome=outcome, now=now)
    return status


def retry(tx: Transaction, *, id: str) -> bool:
    """Have an ended job run once more; False where it has not ended.

    It has an attempt left then, whatever it had, and as many crashes as a new job.
    """
    return _won(tx, _RETRY, {"the_id": id})


def in_their_turn(tx: Transaction, *, now: int) -> int:
    """Those that waited for a time which has come may be claimed: how many."""
    return _IN_THEIR_TURN.run(tx, {"now": now}).rowcount


def in_turn(tx: Transaction, *, job_id: str, attempt: int) -> bool:
    """That one may be claimed now; False where it waits for no time after this attempt."""
    return _won(tx, _IN_TURN, {"the_id": job_id, "the_attempt": attempt})


def next_turn(tx: Transaction) -> int | None:
    """When the time of the next one comes."""
    ((at,),) = _NEXT_TURN.rows(tx, {})
    return cast(int | None, at)


def request_cancel(tx: Transaction, *, id: str, now: int) -> CancelAnswer:
    """Cancel a Pending job; ask for the end of one in progress."""
    values = {"the_id": id, "at": now}
    if _won(tx, _CANCEL_PENDING, values):
        return CancelAnswer.CANCELLED
    if _won(tx, _ASK_RUNNING, values):
        return CancelAnswer.REQUESTED
    status = tx.scalar(_STATUS, {"the_id": id})
    if status is None:
        raise UnknownJob(f"there is no job {id}")
    in_progress = status is JobStatus.IN_PROGRESS
    return CancelAnswer.ALREADY_REQUESTED if in_progress else CancelAnswer.ALREADY_ENDED


def record_progress(
    tx: Transaction, *, job_id: str, owner: str, attempt: int, fraction: float | None, message: str | None
) -> bool:
    """False where this attempt of this owner is not in progress."""
    values = {
        "the_id": job_id,
        "by": owner,
        "the_attempt": attempt,
        "new_fraction": fraction,
        "new_message": message,
    }
    return _won(tx, _RECORD_PROGRESS, values)


def _won(tx: Transaction, statement: Prepared, values: dict[str, Any]) -> bool:
    return statement.run(tx, values).rowcount == 1
