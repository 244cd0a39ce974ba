# ruff: noqa: A002 - `type` is the word that callers use
"""Requests that may be sent twice: which job a key stands for, as long as there is that job."""

import hashlib
from collections.abc import Sequence

from sqlalchemy import bindparam, insert, select

from supervisor.store import jobs
from supervisor.store.derived import idempotency_keys
from supervisor.store.engine import Transaction
from supervisor.store.prepared import Prepared
from supervisor.store.records import Job
from supervisor.store.schema import jobs as jobs_table

_FIND = Prepared(
    select(jobs_table.c.id, idempotency_keys.c.digest)
    .join_from(idempotency_keys, jobs_table)
    .where(idempotency_keys.c.key == bindparam("the_key"))
)
_FIND_ALL = (
    select(idempotency_keys.c.key, jobs_table.c.id, idempotency_keys.c.digest)
    .join_from(idempotency_keys, jobs_table)
    .where(idempotency_keys.c.key.in_(bindparam("the_keys", expanding=True)))
)
_KEYS_AT_ONCE = 500
_REMEMBER = Prepared(insert(idempotency_keys).inline(), ("key", "digest", "job_seq"))


def digest_of(*, type: str, priority: int | None, payload: str) -> str:
    """What was asked for, in short: a key that comes with anything else is refused."""
    asked_for = f"{type}\0{priority}\0{payload}"
    return hashlib.sha256(asked_for.encode("utf-8", "surrogatepass")).hexdigest()


def find(tx: Transaction, key: str) -> tuple[Job, str] | None:
    """The job that was submitted with this key, and the digest of what was asked for then."""
    for job_id, digest in _FIND.rows(tx, {"the_key": key}):
        if job := jobs.get(tx, job_id):
            return job, digest
    return None


def find_all(tx: Transaction, keys: Sequence[str]) -> dict[str, tuple[Job, str]]:
    """Likewise, by key; those that stand for no job are not there."""
    found: dict[str, tuple[Job, str]] = {}
    for start in range(0, len(keys), _KEYS_AT_ONCE):
        rows = tx.execute(_FIND_ALL, {"the_keys": keys[start : start + _KEYS_AT_ONCE]}).all()
        for key, job_id, digest in rows:
            if job := jobs.get(tx, job_id):
                found[key] = (job, digest)
    return found


def remember(tx: Transaction, *, key: str, digest: str, job: Job) -> None:
    """In the transaction that inserts the job."""
    remember_all(tx, [(key, digest, job)])


def remember_all(tx: Transaction, entries: Sequence[tuple[str, str, Job]]) -> None:
    """Keys, digests and jobs, in the transaction that inserts them."""
    rows = ({"key": key, "digest": digest, "job_seq": job.seq} for key, digest, job in entries)
    _REMEMBER.run_each(tx, rows)
