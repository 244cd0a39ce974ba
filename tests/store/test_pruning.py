import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from supervisor.clock import SystemClock
from supervisor.lifecycle import ENDED, FailureKind, JobStatus
from supervisor.outcome import Outcome
from supervisor.pruning import Pruning
from supervisor.removed_logs import FOLDER
from supervisor.settings import Keep
from supervisor.store import Store, Transaction, idempotency, jobs, open_store, pruning, supervisors
from tests.support.builders import NOW, a_supervisor
from tests.support.ordinary import UID
from tests.support.store import OWNER, exit_code, forked, start, submit

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


@pytest.fixture
def theirs() -> Iterator[Path]:
    """The state folder of an ordinary user, who can reach it."""
    if os.geteuid() != 0:
        pytest.skip("only root can be another user")
    folder = Path(tempfile.mkdtemp(dir="/tmp"))
    open_store(str(folder / "jobs.db")).close()  # made by us: that user may not be able to read what it takes
    for path in (folder, *folder.iterdir()):
        os.chown(path, UID, UID)
    yield folder
    shutil.rmtree(folder)


def done_by_them(task: Callable[[], object]) -> None:
    def ordinary() -> None:
        os.setgroups([])
        os.setresgid(UID, UID, UID)
        os.setresuid(UID, UID, UID)
        task()

    assert exit_code(forked(ordinary)) == 0


def end_with_log(state: Path, job_id: str) -> None:
    with open_store(str(state / "jobs.db")) as store, store.write() as tx:
        end(tx, job_id)
    (state / "logs" / job_id).mkdir(mode=0o700, parents=True)
    (state / "logs" / job_id / "1.log").write_text("said")


def prune(state: Path) -> int:
    """How many went."""
    with open_store(str(state / "jobs.db")) as store:
        whole = Pruning(store, state / "logs", Keep(), SystemClock())
        for _ in whole:
            pass
    assert whole.done.problem is None
    return sum(whole.done.jobs.values())


def test_where_root_has_pruned_the_services_user_still_can(theirs: Path) -> None:
    done_by_them(lambda: end_with_log(theirs, "one"))
    assert prune(theirs) == 1
    found = (theirs / "logs" / FOLDER).stat()
    assert (found.st_uid, found.st_gid, found.st_mode & 0o777) == (UID, UID, 0o700)

    def go_on() -> None:
        end_with_log(theirs, "two")
        assert prune(theirs) == 1

    done_by_them(go_on)
    assert os.listdir(theirs / "logs") == [FOLDER]


def test_a_folder_that_root_has_made_is_given_back_when_root_prunes_and_nothing_is_due(theirs: Path) -> None:
    done_by_them(lambda: end_with_log(theirs, "one"))
    done_by_them(lambda: prune(theirs))
    folder = theirs / "logs" / FOLDER
    os.chown(folder, 0, 0)
    assert prune(theirs) == 0
    assert folder.stat().st_uid == UID


def test_root_gives_away_nothing_that_a_link_in_the_logs_leads_to(theirs: Path, tmp_path: Path) -> None:
    done_by_them(lambda: end_with_log(theirs, "one"))
    (theirs / "logs" / FOLDER).symlink_to(tmp_path)
    with open_store(str(theirs / "jobs.db")) as store:
        whole = Pruning(store, theirs / "logs", Keep(), SystemClock())
        for _ in whole:
            pass
    assert "cannot be removed (Not a directory)" in (whole.done.problem or "")
    assert tmp_path.stat().st_uid == 0
