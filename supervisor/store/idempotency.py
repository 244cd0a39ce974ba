# ruff: noqa: A002 - `type` is the word that callers use
"""Requests that may be sent twice: which job a key stands for, as long as there is that job."""

import hashlib

from sqlalchemy import bindparam, insert, select

from supervisor.store import jobs
from supervisor.store.derived import idempotency_keys
from supervisor.store.engine import Transaction
from supervisor.store.records import Job
from supervisor.store.schema import jobs as jobs_table

_FIND = (
    select(jobs_table.c.id, idempotency_keys.c.digest)
    .join_from(idempotency_keys, jobs_table)
    .where(idempotency_keys.c.key == bindparam("the_key"))
)
_REMEMBER = insert(idempotency_keys)


def digest_of(*, type: str, priority: int | None, payload: str) -> str:
    """What was asked for, in short: a key that comes with anything else is refused."""
    asked_for = f"{type}\0{priority}\0{payload}"
    return hashlib.sha256(asked_for.encode("utf-8", "surrogatepass")).hexdigest()


def find(tx: Transaction, key: str) -> tuple[Job, str] | None:
    """The job that was submitted with this key, and the digest of what was asked for then."""
    row = tx.execute(_FIND, {"the_key": key}).first()
    job = None if row is None else jobs.get(tx, row.id)
    return None if row is None or job is None else (job, row.digest)


def remember(tx: Transaction, *, key: str, digest: str, job: Job) -> None:
    """In the transaction that inserts the job."""
    tx.execute(_REMEMBER, {"key": key, "digest": digest, "job_seq": job.seq})
