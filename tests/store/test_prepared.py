"""A prepared statement does what Core does with the same statement, value for value."""

import pytest
from sqlalchemy import bindparam, insert, select

from supervisor.lifecycle import FailureKind, JobStatus
from supervisor.outcome import Outcome
from supervisor.store import Store, attempts, jobs
from supervisor.store.prepared import Prepared
from supervisor.store.records import ProcessIdentity
from supervisor.store.schema import attempts as attempts_table
from supervisor.store.schema import jobs as jobs_table
from tests.support.store import submit

_BY_ID = select(*jobs_table.c).where(jobs_table.c.id == bindparam("the_id"))
_CHILD = ProcessIdentity(7, 8, 2**63 + 5)
"""Its inode does not fit into SQLite's signed numbers as it is."""


def _failed(store: Store) -> str:
    end = Outcome(JobStatus.FAILED, FailureKind.RAISED, error_message="half of a pair: \udc80")
    with store.write() as tx:
        job = submit(tx)
        assert jobs.claim(tx, job_id=job.id, owner="me", attempt=1, child=_CHILD, now=2)
        assert jobs.finish(tx, job_id=job.id, owner="me", attempt=1, outcome=end, now=3)
    return job.id


def test_what_it_reads_is_what_core_reads(store: Store) -> None:
    job_id = _failed(store)
    with store.read() as tx:
        (by_core,) = tx.execute(_BY_ID, {"the_id": job_id})
        (prepared,) = Prepared(_BY_ID).rows(tx, {"the_id": job_id, "and": "more"})
    assert prepared == tuple(by_core)
    assert [type(value) for value in prepared] == [type(value) for value in by_core]
    assert FailureKind.RAISED in prepared


def test_what_it_writes_is_what_core_reads_again(store: Store) -> None:
    job_id = _failed(store)
    with store.read() as tx:
        assert (attempt := attempts.get(tx, job_id, 1))
        assert tx.scalar(select(jobs_table.c.error_message)) == "half of a pair: \\udc80"
    assert (attempt.child, attempt.failure_kind) == (_CHILD, FailureKind.RAISED)


def test_a_value_that_is_missing_is_a_mistake_and_writes_nothing(store: Store) -> None:
    opening = Prepared(insert(attempts_table), [column.name for column in attempts_table.c])
    with store.write() as tx, pytest.raises(KeyError, match="started_at"):
        opening.run(
            tx, {"job_seq": 1, "number": 1, "owner": "me", "pid": 1, "start_ticks": 1, "pidfd_inode": 1}
        )
