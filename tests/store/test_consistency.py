"""Whatever happens in whatever order: jobs and attempts tell one story, and a loser changes nothing."""

import tempfile
from pathlib import Path
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from supervisor.errors import UnknownJob
from supervisor.lifecycle import ENDED, NEXT, FailureKind, JobStatus
from supervisor.outcome import Outcome
from supervisor.store import Transaction, attempts, jobs, open_store
from supervisor.store.records import CancelAnswer, Job
from tests.support.builders import NOW, an_identity
from tests.support.store import submit

IDS = st.sampled_from(["job-1", "job-2", "job-3"])
OWNERS = st.sampled_from(["a", "b"])
NUMBERS = st.integers(0, 4)
KILLED = Outcome(JobStatus.FAILED, FailureKind.SIGNALLED, signal=9, error_message="killed")
OUTCOMES = st.sampled_from(
    [
        Outcome(JobStatus.COMPLETED, result="1", exit_code=0),
        KILLED,
        Outcome(JobStatus.CANCELLED, signal=15),
    ]
)


class Lives(RuleBasedStateMachine):
    """Some jobs, some owners, anything at any time."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.store = open_store(str(Path(self.folder.name) / "jobs.db"), supervisor=True)
        self.statuses: dict[str, JobStatus] = {}

    def teardown(self) -> None:
        self.store.close()
        self.folder.cleanup()

    def snapshot(self, tx: Transaction) -> object:
        return [(job, attempts.of(tx, job.id)) for job in jobs.page(tx)]

    @rule(job_id=IDS, priority=st.integers(-1, 1))
    def insert(self, job_id: str, priority: int) -> None:
        if job_id not in self.statuses:
            with self.store.write() as tx:
                submit(tx, job_id, priority=priority)
            self.statuses[job_id] = JobStatus.PENDING

    @rule(job_id=IDS, owner=OWNERS, number=NUMBERS)
    def claim(self, job_id: str, owner: str, number: int) -> None:
        with self.store.write() as tx:
            before, old = jobs.get(tx, job_id), self.snapshot(tx)
            won = jobs.claim(tx, job_id=job_id, owner=owner, attempt=number, child=an_identity(), now=NOW)
            may = before is not None and before.status is JobStatus.PENDING and before.attempt == number - 1
            assert won == may
            assert won or self.snapshot(tx) == old

    @rule(job_id=IDS)
    def claim_next(self, job_id: str) -> None:
        with self.store.write() as tx:
            job = jobs.get(tx, job_id)
            if job is not None:
                jobs.claim(
                    tx, job_id=job_id, owner="a", attempt=job.attempt + 1, child=an_identity(), now=NOW
                )

    @rule(job_id=IDS, owner=OWNERS, number=NUMBERS, outcome=OUTCOMES)
    def finish(self, job_id: str, owner: str, number: int, outcome: Outcome) -> None:
        with self.store.write() as tx:
            before, old = jobs.get(tx, job_id), self.snapshot(tx)
            won = jobs.finish(tx, job_id=job_id, owner=owner, attempt=number, outcome=outcome, now=NOW)
            assert won == runs(before, owner, number)
            assert won or self.snapshot(tx) == old

    @rule(job_id=IDS, owner=OWNERS, number=NUMBERS, failed=st.booleans(), wait=st.none() | st.integers(0, 2))
    def come_back(self, job_id: str, owner: str, number: int, wait: int | None, *, failed: bool) -> None:
        with self.store.write() as tx:
            before, old = jobs.get(tx, job_id), self.snapshot(tx)
            ours: Any = {"job_id": job_id, "owner": owner, "attempt": number, "now": NOW}
            again: Any = {"outcome": KILLED, "run_at": wait and NOW + wait, "crashed": True, "counted": False}
            status = jobs.try_again(tx, **ours, **again) if failed else jobs.give_back(tx, **ours)
            assert (status is not None) == runs(before, owner, number)
            assert status is not None or self.snapshot(tx) == old
            if status is not None and before is not None:
                asked = before.cancel_requested_at is not None
                assert status is (JobStatus.CANCELLED if asked else JobStatus.PENDING)

    @rule(job_id=IDS)
    def retry(self, job_id: str) -> None:
        with self.store.write() as tx:
            before, old = jobs.get(tx, job_id), self.snapshot(tx)
            won = jobs.retry(tx, id=job_id)
            assert won == (before is not None and before.ended)
            assert won or self.snapshot(tx) == old

    @rule(after=st.integers(0, 2))
    def time_comes(self, after: int) -> None:
        with self.store.write() as tx:
            due = [job for job in jobs.page(tx) if job.run_at is not None and job.run_at <= NOW + after]
            assert jobs.in_their_turn(tx, now=NOW + after) == len(due)
            later = [job.run_at for job in jobs.page(tx) if job.run_at is not None]
            assert jobs.next_turn(tx) == min(later, default=None)

    @rule(job_id=IDS, owner=OWNERS, number=NUMBERS)
    def progress(self, job_id: str, owner: str, number: int) -> None:
        with self.store.write() as tx:
            may = runs(jobs.get(tx, job_id), owner, number)
            assert may == jobs.record_progress(
                tx, job_id=job_id, owner=owner, attempt=number, fraction=0.5, message="half"
            )

    @rule(job_id=IDS)
    def cancel(self, job_id: str) -> None:
        with self.store.write() as tx:
            before = jobs.get(tx, job_id)
            try:
                answer = jobs.request_cancel(tx, id=job_id, now=NOW)
            except UnknownJob:
                assert before is None
                return
        assert before is not None
        if before.ended:
            assert answer is CancelAnswer.ALREADY_ENDED
        elif before.status is JobStatus.PENDING:
            assert answer is CancelAnswer.CANCELLED
        else:
            asked = before.cancel_requested_at is not None
            assert answer is (CancelAnswer.ALREADY_REQUESTED if asked else CancelAnswer.REQUESTED)

    @invariant()
    def every_step_is_an_edge(self) -> None:
        with self.store.read() as tx:
            for job in jobs.page(tx):
                before = self.statuses[job.id]
                assert job.status is before or job.status in NEXT[before]
                self.statuses[job.id] = job.status

    @invariant()
    def jobs_and_attempts_tell_one_story(self) -> None:
        with self.store.read() as tx:
            for job in jobs.page(tx):
                made = attempts.of(tx, job.id)
                assert [attempt.number for attempt in made] == list(range(1, job.attempt + 1))
                assert all(attempt.ended_at is not None for attempt in made[:-1])
                assert job.attempt <= job.max_attempts + (job.status is JobStatus.PENDING)
                if job.status is JobStatus.IN_PROGRESS:
                    assert made[-1].status is None
                    assert (made[-1].owner, made[-1].child.pid) == (job.owner, job.pid)
                elif made:
                    assert made[-1].status is not None
                if job.status in ENDED and made and made[-1].status is not JobStatus.PENDING:
                    assert made[-1].status is job.status

    @invariant()
    def lists_and_counts_agree(self) -> None:
        with self.store.read() as tx:
            everything = jobs.page(tx)
            ready = {job.id for job in everything if job.status is JobStatus.PENDING and job.run_at is None}
            assert {job.id for job in jobs.eligible(tx, type="EmailJob", limit=9)} == ready
            running = [job for job in everything if job.status is JobStatus.IN_PROGRESS]
            assert sum(jobs.in_progress_per_type(tx).values()) == len(running)
            assert jobs.owners_in_progress(tx) == {job.owner for job in running}
            for owner in ("a", "b"):
                held = [job.id for job in jobs.held_by(tx, owner=owner)]
                assert {child[0] for child in attempts.children_of(tx, owner=owner)} == set(held)
                asked = {
                    job.id for job in running if job.owner == owner and job.cancel_requested_at is not None
                }
                assert set(jobs.cancel_requests(tx, owner=owner)) == asked


def runs(job: Job | None, owner: str, number: int) -> bool:
    return (
        job is not None
        and job.status is JobStatus.IN_PROGRESS
        and job.owner == owner
        and job.attempt == number
    )


TestLives = Lives.TestCase
TestLives.settings = settings(max_examples=25, stateful_step_count=30, deadline=None, database=None)
