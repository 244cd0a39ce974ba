import pytest
from sqlalchemy import text

from supervisor.store import Store, attempts, jobs
from tests.support.builders import NOW, an_identity
from tests.support.store import OWNER, start, submit


def test_attempts_are_listed_oldest_first(store: Store) -> None:
    with store.write() as tx:
        for number in (1, 2, 3):
            start(tx, attempt=number)
            jobs.give_back(tx, job_id="job-1", owner=OWNER, attempt=number, now=NOW + number)
        assert [attempt.number for attempt in attempts.of(tx, "job-1")] == [1, 2, 3]
        assert attempts.get(tx, "job-1", 4) is None
        assert attempts.of(tx, "none") == []


@pytest.mark.parametrize("inode", [None, 0, 1, 2**63 - 1, 2**63, 2**64 - 1])
def test_an_identity_comes_back_as_it_went_in(store: Store, inode: int | None) -> None:
    child = an_identity(pid=2**22, start_ticks=2**62, pidfd_inode=inode)
    with store.write() as tx:
        submit(tx)
        jobs.claim(tx, job_id="job-1", owner=OWNER, attempt=1, child=child, now=NOW)
    with store.read() as tx:
        assert attempts.children_of(tx, owner=OWNER) == [("job-1", 1, child)]


def test_children_are_those_of_one_owner_that_are_not_on_record_as_ended(store: Store) -> None:
    with store.write() as tx:
        start(tx, "ours")
        start(tx, "theirs", owner="other")
        start(tx, "back")
        jobs.give_back(tx, job_id="back", owner=OWNER, attempt=1, now=NOW)
        assert [child[0] for child in attempts.children_of(tx, owner=OWNER)] == ["ours"]


def test_attempts_go_with_their_job(store: Store) -> None:
    with store.write() as tx:
        start(tx)
        tx.execute(text("DELETE FROM jobs"))
        assert tx.scalar(text("SELECT count(*) FROM attempts")) == 0


def test_a_number_of_a_deleted_job_is_never_given_again(store: Store) -> None:
    with store.write() as tx:
        first = submit(tx)
        tx.execute(text("DELETE FROM jobs"))
        assert submit(tx).seq > first.seq
