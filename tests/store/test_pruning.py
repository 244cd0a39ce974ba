import os

import pytest
from sqlalchemy import text

from supervisor.lifecycle import ENDED, FailureKind, JobStatus
from supervisor.outcome import Outcome
from supervisor.store import Store, Transaction, idempotency, jobs, open_store, pruning, supervisors
from tests.support.builders import NOW, a_supervisor
from tests.support.store import OWNER, start, submit

DONE = JobStatus.COMPLETED


def end(tx: Transaction, job_id: str, status: JobStatus = DONE, *, at: int = NOW) -> None:
    start(tx, job_id)
    outcome = Outcome(status, FailureKind.RAISED if status is JobStatus.FAILED else None)
    assert jobs.finish(tx, job_id=job_id, owner=OWNER, attempt=1, outcome=outcome, now=at)


def ids(found: list[pruning.Due]) -> list[str]:
    return [job.id for job in found]


@pytest.mark.parametrize("status", sorted(ENDED))
def test_due_is_what_ended_so_and_until_then_longest_ago_first(store: Store, status: JobStatus) -> None:
    with store.write() as tx:
        submit(tx, "waits")
        start(tx, "runs")
        for other in ENDED:
            end(tx, f"{other} late", other, at=NOW + 11)
            end(tx, f"{other} later", other, at=NOW + 10)
            end(tx, f"{other} soon", other, at=NOW + 5)
        assert ids(pruning.due(tx, status=status, until=NOW + 10, limit=9)) == [
            f"{status} soon",
            f"{status} later",
        ]


def test_the_next_ones_follow_the_last_one_seen_even_of_one_moment(store: Store) -> None:
    with store.write() as tx:
        for number in range(7):
            end(tx, f"job-{number}", at=NOW + number // 4)
        seen, after = [], pruning.START
        while found := pruning.due(tx, status=DONE, until=NOW + 9, after=after, limit=2):
            seen += ids(found)
            after = found[-1]
    assert seen == [f"job-{number}" for number in range(7)]


def test_attempts_and_keys_go_with_their_job_and_counts_follow(store: Store) -> None:
    with store.write() as tx:
        job = submit(tx, "old")
        idempotency.remember(tx, key="key", digest="d", job=job)
        end(tx, "old")
        end(tx, "kept", at=NOW + 1)
        (found,) = pruning.due(tx, status=DONE, until=NOW, limit=9)
        assert pruning.remove(tx, found, status=DONE, until=NOW)
        assert idempotency.find(tx, "key") is None
        assert [job.id for job in jobs.page(tx)] == ["kept"]
        assert tx.scalar(text("SELECT count(*) FROM attempts")) == 1
        assert tx.execute(text("SELECT status, number FROM job_counts WHERE number > 0")).all() == [(DONE, 1)]
        assert tx.scalar(text("SELECT sum(number) FROM job_tallies WHERE what = 'ran'")) == 2


def test_what_lives_again_is_not_removed(store: Store) -> None:
    with store.write() as tx:
        for name in ("retried", "gone", "ended again"):
            end(tx, name)
        retried, gone, again = pruning.due(tx, status=DONE, until=NOW, limit=9)
        assert jobs.retry(tx, id="retried")
        assert jobs.retry(tx, id="ended again")
        start(tx, "ended again", attempt=2)
        outcome = Outcome(DONE)
        jobs.finish(tx, job_id="ended again", owner=OWNER, attempt=2, outcome=outcome, now=NOW + 1)
        assert pruning.remove(tx, gone, status=DONE, until=NOW)
        assert not pruning.remove(tx, gone, status=DONE, until=NOW)
        assert not pruning.remove(tx, retried, status=DONE, until=NOW)
        assert not pruning.remove(tx, again, status=DONE, until=NOW)
        assert {job.id for job in jobs.page(tx)} == {"retried", "ended again"}


def test_supervisors_are_forgotten_by_age_and_by_number_but_not_while_they_hold_a_job(store: Store) -> None:
    with store.write() as tx:
        for number in range(6):
            supervisors.register(
                tx, a_supervisor(uuid=f"s{number}", state="lost", started_at=NOW, ended_at=NOW + number)
            )
        supervisors.register(tx, a_supervisor(uuid="lives"))
        start(tx, owner="s0")

        def old(until: int, enough: int, limit: int = 9) -> list[str]:
            return sorted(pruning.old_supervisors(tx, until=until, enough=enough, limit=limit))

        assert old(NOW + 1, 9) == ["s1"]
        assert old(0, 2) == ["s1", "s2", "s3"]
        assert len(old(NOW + 9, 9, limit=2)) == 2
        for uuid in (*old(NOW + 1, 9), "s0", "none"):
            pruning.forget_supervisor(tx, uuid)
        assert {found.uuid for found in supervisors.recent(tx, 99)} == {
            *("s0", "s2", "s3", "s4", "s5", "lives")
        }


def filled(store: Store) -> int:
    """Two megabytes of ended jobs: the size of the file with them."""
    with store.write() as tx:
        for number in range(50):
            end(tx, f"large-{number}")
        tx.execute(text("UPDATE jobs SET payload = hex(zeroblob(20000))"))
    store.empty_log()
    return os.path.getsize(store.path)


def test_pages_that_became_free_are_given_back_to_the_disk(store: Store) -> None:
    full = filled(store)
    with store.write() as tx:
        assert pruning.free_pages(tx) == 0
        for job in pruning.due(tx, status=DONE, until=NOW, limit=99):
            pruning.remove(tx, job, status=DONE, until=NOW)
        free = pruning.free_pages(tx)
        assert free > 400
        pruning.give_back(tx, 100)
        assert pruning.free_pages(tx) == free - 100
        pruning.give_back(tx, free)
    store.empty_log()
    assert os.path.getsize(store.path) < full / 4
    assert os.path.getsize(f"{store.path}-wal") == 0


def test_the_log_is_left_alone_while_somebody_reads_and_by_who_has_not_the_duty(
    store: Store, client: Store
) -> None:
    with store.write() as tx:
        submit(tx)
    log = f"{store.path}-wal"
    with open_store(str(store.path), supervisor=True) as second:
        second.empty_log()
    client.empty_log()
    assert os.path.getsize(log) > 0
    with client.read() as tx:
        jobs.count(tx)
        with store.write() as other:
            submit(other, "another")
        store.empty_log()
        assert os.path.getsize(log) > 0
        assert jobs.count(tx) == 1
    store.empty_log()
    assert os.path.getsize(log) == 0
