"""What triggers derive tells the same as the tables that it comes from, whatever happens in any order."""

import importlib.util
import sqlite3
import tempfile
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

import supervisor.store.migrate
from supervisor.lifecycle import FailureKind, JobStatus
from supervisor.outcome import Outcome, Usage
from supervisor.store import attempts, changes, idempotency, jobs, open_store, tallies
from supervisor.store.changes import Change
from supervisor.store.tallies import LONGER, PEAK, RAN, STARTED, SYSTEM, USER, WAITED
from tests.support.builders import NOW, an_identity
from tests.support.store import OWNER, start, submit

IDS = st.sampled_from(["job-1", "job-2", "job-3", "job-4"])
KILLED = Outcome(JobStatus.FAILED, FailureKind.SIGNALLED, signal=9, usage=Usage(0.5, 0.2504, 10_000_000))
OUTCOMES = st.sampled_from(
    [
        Outcome(JobStatus.COMPLETED, result="1", exit_code=0),
        KILLED,
        Outcome(JobStatus.CANCELLED, signal=15),
    ]
)


class Lives(RuleBasedStateMachine):
    """Jobs of two types, anything at any time."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.store = open_store(str(Path(self.folder.name) / "jobs.db"), supervisor=True)
        self.last: list[Change] = []

    def teardown(self) -> None:
        self.store.close()
        self.folder.cleanup()

    @rule(job_id=IDS)
    def insert(self, job_id: str) -> None:
        with self.store.write() as tx:
            if jobs.get(tx, job_id) is None:
                submit(tx, job_id, type="A" if job_id < "job-3" else "B")

    @rule(job_id=IDS)
    def claim(self, job_id: str) -> None:
        with self.store.write() as tx:
            job = jobs.get(tx, job_id)
            number = job.attempt + 1 if job else 1
            jobs.claim(tx, job_id=job_id, owner=OWNER, attempt=number, child=an_identity(), now=NOW + 70)

    @rule(job_id=IDS, outcome=OUTCOMES)
    def finish(self, job_id: str, outcome: Outcome) -> None:
        with self.store.write() as tx:
            job = jobs.get(tx, job_id)
            number = job.attempt if job else 1
            jobs.finish(tx, job_id=job_id, owner=OWNER, attempt=number, outcome=outcome, now=NOW + 3_000)

    @rule(job_id=IDS)
    def give_back(self, job_id: str) -> None:
        with self.store.write() as tx:
            job = jobs.get(tx, job_id)
            jobs.give_back(tx, job_id=job_id, owner=OWNER, attempt=job.attempt if job else 1, now=NOW + 80)

    @rule(job_id=IDS, run_at=st.none() | st.just(NOW))
    def try_again(self, job_id: str, run_at: int | None) -> None:
        with self.store.write() as tx:
            job = jobs.get(tx, job_id)
            ours: dict[str, Any] = {"owner": OWNER, "attempt": job.attempt if job else 1, "now": NOW + 80}
            what: dict[str, Any] = {"outcome": KILLED, "run_at": run_at, "crashed": True, "counted": True}
            jobs.try_again(tx, job_id=job_id, **ours, **what)

    @rule(job_id=IDS)
    def retry(self, job_id: str) -> None:
        with self.store.write() as tx:
            jobs.retry(tx, id=job_id)

    @rule(job_id=IDS)
    def cancel(self, job_id: str) -> None:
        with self.store.write() as tx:
            if jobs.get(tx, job_id) is not None:
                jobs.request_cancel(tx, id=job_id, now=NOW)

    @invariant()
    def counts_are_what_is_there(self) -> None:
        with self.store.read() as tx:
            there = Counter((job.type, job.status) for job in jobs.page(tx))
            counted = {
                (kind, status): n for kind, each in tallies.counts(tx).items() for status, n in each.items()
            }
            assert counted == dict(there)
            assert tallies.count(tx) == jobs.count(tx)
            executed = [(job.type, each) for job in jobs.page(tx) for each in attempts.of(tx, job.id)]
            tallied = tallies.tallies(tx)
        for kind in ("A", "B"):
            mine = [each for owner, each in executed if owner == kind]
            ran = [each for each in mine if each.status not in (None, JobStatus.PENDING)]
            used = [each for each in mine if each.user_seconds is not None]
            assert tallied[kind, STARTED].number == len(mine)
            assert tallied[kind, RAN].number == len(ran)
            assert tallied[kind, WAITED].number == sum(each.number == 1 for each in mine)
            for failure in FailureKind:
                failed = sum(each.failure_kind is failure for each in mine)
                assert tallied[kind, failure].number == failed
            assert tallied[kind, USER].amount == 500_000 * len(used)
            assert tallied[kind, SYSTEM].amount == 250_400 * len(used)
            assert tallied[kind, PEAK].buckets == ({2**24: len(used)} if used else {})

    @invariant()
    def the_last_change_of_a_job_is_what_it_is_now(self) -> None:
        with self.store.read() as tx:
            found = changes.after(tx, 0, 10_000)
            now = {job.id: job for job in jobs.page(tx)}
        assert found[: len(self.last)] == self.last
        numbers = [change.number for change in found]
        assert numbers == sorted(set(numbers))
        last = {change.job.id: change.job for change in found}
        assert last.keys() == now.keys()
        for job_id, job in now.items():
            assert (last[job_id].status, last[job_id].attempt) == (job.status, job.attempt)
            for name in ("cancel_requested_at", "run_at", "crashes", "max_attempts"):
                assert getattr(last[job_id], name) == getattr(job, name)
        self.last = found


Lives.TestCase.settings = settings(max_examples=15, stateful_step_count=25, deadline=None)
TestLives = Lives.TestCase


@pytest.mark.parametrize(
    "milliseconds, bucket, counted",
    [
        (-5, 50, 0),
        (0, 50, 0),
        (50, 50, 50),
        (51, 100, 51),
        (86_400_000, 86_400_000, 86_400_000),
        (86_400_001, LONGER, 86_400_001),
        (2**62, LONGER, 365 * 86_400_000),
    ],
)
def test_a_time_is_counted_in_its_bucket_and_a_mad_clock_breaks_nothing(
    tmp_path: Path, milliseconds: int, bucket: int, counted: int
) -> None:
    with open_store(str(tmp_path / "jobs.db")) as store, store.write() as tx:
        for number in range(3):
            submit(tx, f"job-{number}", created_at=0)
            assert jobs.claim(
                tx, job_id=f"job-{number}", owner=OWNER, attempt=1, child=an_identity(), now=milliseconds
            )
        entry = tallies.tallies(tx)["EmailJob", WAITED]
    assert entry.buckets == {bucket: 3}
    assert entry.amount == 3 * counted


def test_an_older_database_is_counted_when_it_is_migrated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "jobs.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as old:
        for statement in first_schema():
            old.execute(statement)
        old.execute("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)")
        old.execute("INSERT INTO alembic_version VALUES ('0001')")
        old.executescript(
            """
            INSERT INTO jobs (seq, id, type, payload, status, priority, attempt, max_attempts, owner, pid,
              created_at, started_at, completed_at)
              VALUES (1, 'a', 'A', '1', 'Completed', 0, 2, 2, 'o', 5, 1000, 2000, 9000),
                     (2, 'b', 'A', '1', 'Pending', 0, 0, 1, NULL, NULL, 1000, NULL, NULL),
                     (7, 'deleted', 'A', '1', 'Pending', 0, 0, 1, NULL, NULL, 1000, NULL, NULL);
            DELETE FROM jobs WHERE seq = 7;
            INSERT INTO jobs (seq, id, type, payload, status, priority, attempt, max_attempts, owner, pid,
              created_at, started_at, completed_at, failure_kind, error_message)
              VALUES (3, 'gone', 'B', '1', 'Failed', 0, 1, 1, 'o', 5, 1000, 2000, 9000, 'raised', 'no');
            INSERT INTO attempts (job_seq, number, owner, pid, start_ticks, started_at, ended_at, status,
              failure_kind, user_seconds, system_seconds, max_rss_bytes)
              VALUES (1, 1, 'o', 5, 1, 1500, 1600, 'Pending', NULL, NULL, NULL, NULL),
                     (1, 2, 'o', 5, 1, 2000, 9000, 'Completed', NULL, 1.5, 0.5, 4096),
                     (3, 1, 'o', 5, 1, 2000, 9000, 'Failed', 'raised', NULL, NULL, NULL);
            """
        )
    assert supervisor.store.migrate.HEAD != "0001"
    with open_store(str(path)) as store:
        with store.read() as tx:
            assert tallies.counts(tx) == {
                "A": {JobStatus.COMPLETED: 1, JobStatus.PENDING: 1},
                "B": {JobStatus.FAILED: 1},
            }
            tallied = tallies.tallies(tx)
            assert tallied["A", WAITED].buckets == {500: 1}
            assert tallied["A", RAN].buckets == {10_000: 1}
            assert tallied["A", STARTED].buckets == {0: 2}
            assert tallied["A", USER].amount == 1_500_000
            assert tallied["A", PEAK].buckets == {2**23: 1}
            assert tallied["B", FailureKind.RAISED].number == 1
            failed = jobs.find(tx, "gone")
            assert (failed.error_message, failed.crashes, failed.run_at) == ("no", 0, None)
            assert len(attempts.of(tx, "gone")) == 1
            assert changes.kept(tx) == (1, 0)
        with store.write() as tx:
            start(tx, "b")
            assert tallies.counts(tx)["A"] == {JobStatus.COMPLETED: 1, JobStatus.IN_PROGRESS: 1}
            assert [change.job.id for change in changes.after(tx, 0, 10)] == ["b"]
            assert submit(tx, "next").seq == 8


def first_schema() -> Any:
    folder = Path(supervisor.store.migrate.__file__).with_name("migrations") / "versions"
    spec = importlib.util.spec_from_file_location("first", folder / "0001_initial.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module._STATEMENTS


def test_a_key_lives_as_long_as_its_job(tmp_path: Path) -> None:
    with open_store(str(tmp_path / "jobs.db")) as store, store.write() as tx:
        job = submit(tx)
        idempotency.remember(tx, key="k", digest="d", job=job)
        assert idempotency.find(tx, "k") == (job, "d")
        tx.exec_driver_sql("DELETE FROM jobs")
        assert idempotency.find(tx, "k") is None
        assert tallies.counts(tx) == {}


def test_a_long_message_is_cut_off_in_a_change_and_nowhere_else(tmp_path: Path) -> None:
    message = "x" * 100_000
    with open_store(str(tmp_path / "jobs.db")) as store, store.write() as tx:
        start(tx)
        outcome = Outcome(JobStatus.FAILED, FailureKind.RAISED, error_message=message)
        assert jobs.finish(tx, job_id="job-1", owner=OWNER, attempt=1, outcome=outcome, now=NOW)
        (*_, last) = changes.after(tx, 0, 10)
        assert last.job.error_message == message[:2000]
        assert jobs.find(tx, "job-1").error_message == message
