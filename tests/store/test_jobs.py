from typing import Any

import pytest

from supervisor.errors import AmbiguousJob, UnknownJob
from supervisor.lifecycle import FailureKind, JobStatus
from supervisor.outcome import Outcome, Usage
from supervisor.store import Store, Transaction, attempts, jobs
from supervisor.store.faults import ConstraintBroken
from supervisor.store.records import CancelAnswer
from tests.support.builders import NOW, a_job, an_identity
from tests.support.store import OWNER, start, submit

DONE = Outcome(JobStatus.COMPLETED, exit_code=0, result='{"sent": 1}', usage=Usage(0.5, 0.25, 4096))
RAISED = Outcome(
    JobStatus.FAILED,
    FailureKind.RAISED,
    exit_code=1,
    error_message="ValueError: no",
    traceback="Traceback ...",
)


def test_an_inserted_job_is_pending_and_reads_back_as_it_was_given(store: Store) -> None:
    with store.write() as tx:
        given = submit(tx, "a", type="T", payload='"é"', priority=-3, max_attempts=4)
    assert given == a_job(seq=1, id="a", type="T", payload='"é"', priority=-3, max_attempts=4)
    with store.read() as tx:
        assert jobs.get(tx, "a") == given
        assert jobs.get(tx, "b") is None


def test_an_id_is_given_once(store: Store) -> None:
    with store.write() as tx:
        submit(tx, "a")
    with pytest.raises(ConstraintBroken), store.write() as tx:
        submit(tx, "A")
    with store.read() as tx:
        assert jobs.count(tx) == 1


def test_a_job_is_found_by_its_id_or_by_its_unique_beginning_in_any_case(store: Store) -> None:
    with store.write() as tx:
        for job_id in ("abcd", "abcd-1", "abcd-2", "ffff-9"):
            submit(tx, job_id)
        assert jobs.find(tx, "abcd").id == "abcd"
        assert jobs.find(tx, "ABCD-2").id == "abcd-2"
        assert jobs.find(tx, "FFFF").id == "ffff-9"
        with pytest.raises(AmbiguousJob, match="'abcd-'"):
            jobs.find(tx, "abcd-")
        with pytest.raises(UnknownJob, match="'abce'"):
            jobs.find(tx, "abce")


@pytest.mark.parametrize("prefix", ["", "f", "fff"])
def test_a_beginning_of_fewer_than_four_characters_finds_nothing(store: Store, prefix: str) -> None:
    with store.write() as tx:
        submit(tx, "ffff-9")
        with pytest.raises(UnknownJob, match=f"'{prefix}'.* 4 characters"):
            jobs.find(tx, prefix)


@pytest.mark.parametrize("prefix", ["%%%%", "____", "\udcff\udcff\udcff\udcff", "é" * 4, "a\0bc", "'; --"])
def test_no_prefix_is_a_pattern_or_breaks_anything(store: Store, prefix: str) -> None:
    with store.write() as tx:
        submit(tx, "abcd-1")
        with pytest.raises(UnknownJob):
            jobs.find(tx, prefix)


def test_pages_are_newest_first_and_filtered(store: Store) -> None:
    with store.write() as tx:
        for number in range(6):
            submit(tx, f"job-{number}", type="A" if number % 2 else "B")
        start(tx, "job-5")
        assert [job.id for job in jobs.page(tx, limit=2)] == ["job-5", "job-4"]
        assert [job.id for job in jobs.page(tx, offset=4, limit=20)] == ["job-1", "job-0"]
        assert [job.id for job in jobs.page(tx, type="A")] == ["job-5", "job-3", "job-1"]
        assert [job.id for job in jobs.page(tx, type="A", status=JobStatus.PENDING)] == ["job-3", "job-1"]
        assert [job.id for job in jobs.page(tx, status=JobStatus.IN_PROGRESS)] == ["job-5"]
        assert jobs.page(tx, offset=10**30) == []
        assert jobs.ids_matching(tx, type="A", status=JobStatus.PENDING, limit=1) == ["job-1"]


def test_counts_name_every_status_and_agree_with_count(store: Store) -> None:
    with store.write() as tx:
        assert jobs.counts(tx) == dict.fromkeys(JobStatus, 0)
        submit(tx, "a", type="A")
        submit(tx, "b", type="B")
        start(tx, "c", type="B")
        counts = jobs.counts(tx)
        assert counts == {status: jobs.count(tx, status=status) for status in JobStatus}
        assert sum(counts.values()) == jobs.count(tx) == 3
        assert jobs.count(tx, type="B") == 2
        assert jobs.count(tx, type="B", status=JobStatus.PENDING) == 1
        assert jobs.pending_per_type(tx) == {"A": 1, "B": 1}
        assert jobs.in_progress_per_type(tx) == {"B": 1}


def test_eligible_jobs_come_by_priority_and_then_by_age(store: Store) -> None:
    with store.write() as tx:
        for job_id, priority in (("old", 0), ("low", -1), ("high", 5), ("new", 0), ("high2", 5)):
            submit(tx, job_id, priority=priority)
        submit(tx, "other", type="Other", priority=9)
        jobs.request_cancel(tx, id="high2", now=NOW)
        order = [job.id for job in jobs.eligible(tx, type="EmailJob", limit=10)]
        assert order == ["high", "old", "new", "low"]
        assert [job.id for job in jobs.eligible(tx, type="EmailJob", limit=1)] == ["high"]


def test_eligible_jobs_are_counted_as_far_as_one_wants_to_know(store: Store) -> None:
    with store.write() as tx:
        for number in range(5):
            submit(tx, f"job-{number}")
        submit(tx, "other", type="Other")
        jobs.request_cancel(tx, id="job-4", now=NOW)
        counted = [jobs.count_eligible(tx, type="EmailJob", up_to=most) for most in (0, 3, 4, 9)]
        assert counted == [0, 3, 4, 4]
        assert jobs.count_eligible(tx, type="Nothing", up_to=9) == 0


def test_a_claim_puts_owner_attempt_and_child_on_record_together(store: Store) -> None:
    child = an_identity(pid=77, pidfd_inode=2**64 - 1)
    with store.write() as tx:
        submit(tx)
        assert jobs.claim(tx, job_id="job-1", owner=OWNER, attempt=1, child=child, now=NOW + 5)
        job = jobs.get(tx, "job-1")
        assert job == a_job(
            id="job-1", status=JobStatus.IN_PROGRESS, attempt=1, owner=OWNER, pid=77, started_at=NOW + 5
        )
        assert attempts.children_of(tx, owner=OWNER) == [("job-1", 1, child)]
        assert jobs.held_by(tx, owner=OWNER) == [job]
        assert jobs.owners_in_progress(tx) == {OWNER}


@pytest.mark.parametrize("attempt", [1, 2, 3])
def test_a_second_claim_loses_and_changes_nothing(store: Store, attempt: int) -> None:
    with store.write() as tx:
        start(tx)
        before = jobs.get(tx, "job-1"), attempts.of(tx, "job-1")
        assert not jobs.claim(
            tx, job_id="job-1", owner="other", attempt=attempt, child=an_identity(1), now=NOW + 9
        )
        assert (jobs.get(tx, "job-1"), attempts.of(tx, "job-1")) == before


@pytest.mark.parametrize("attempt", [0, 2])
def test_a_claim_with_another_attempt_number_loses(store: Store, attempt: int) -> None:
    with store.write() as tx:
        submit(tx)
        assert not jobs.claim(tx, job_id="job-1", owner=OWNER, attempt=attempt, child=an_identity(), now=NOW)
        assert attempts.of(tx, "job-1") == []


def test_an_unknown_job_cannot_be_claimed(store: Store) -> None:
    with store.write() as tx:
        assert not jobs.claim(tx, job_id="none", owner=OWNER, attempt=1, child=an_identity(), now=NOW)


@pytest.mark.parametrize(
    "outcome",
    [DONE, RAISED, Outcome(JobStatus.CANCELLED, signal=15, termination={"reason": "cancelled", "killed": 2})],
    ids=lambda outcome: outcome.status,
)
def test_finish_writes_the_outcome_to_the_job_and_its_attempt(store: Store, outcome: Outcome) -> None:
    with store.write() as tx:
        start(tx)
        assert jobs.finish(tx, job_id="job-1", owner=OWNER, attempt=1, outcome=outcome, now=NOW + 9)
        job, attempt = jobs.get(tx, "job-1"), attempts.get(tx, "job-1", 1)
    assert job is not None
    assert attempt is not None
    assert job.ended
    assert job.completed_at == attempt.ended_at == NOW + 9
    assert job.result == outcome.result
    for name in ("status", "failure_kind", "exit_code", "signal", "error_message"):
        assert getattr(job, name) == getattr(attempt, name) == getattr(outcome, name)
    assert (attempt.traceback, attempt.termination) == (outcome.traceback, outcome.termination)
    used = (attempt.user_seconds, attempt.system_seconds, attempt.max_rss_bytes)
    assert used == ((0.5, 0.25, 4096) if outcome.usage else (None, None, None))


@pytest.mark.parametrize("who", [{"owner": "other"}, {"attempt": 2}, {"attempt": 0}, {"job_id": "none"}])
def test_an_outcome_from_anybody_else_changes_nothing(store: Store, who: dict[str, object]) -> None:
    ours = {"job_id": "job-1", "owner": OWNER, "attempt": 1, "now": NOW + 9}
    with store.write() as tx:
        start(tx)
        before = jobs.get(tx, "job-1"), attempts.of(tx, "job-1")
        assert not jobs.finish(tx, **ours | who, outcome=DONE)  # type: ignore[arg-type]
        assert jobs.give_back(tx, **ours | who) is None  # type: ignore[arg-type]
        not_progress = {name: value for name, value in (ours | who).items() if name != "now"}
        assert not jobs.record_progress(tx, **not_progress, fraction=0.5, message="x")  # type: ignore[arg-type]
        assert (jobs.get(tx, "job-1"), attempts.of(tx, "job-1")) == before


def test_a_job_ends_once(store: Store) -> None:
    with store.write() as tx:
        start(tx)
        assert jobs.finish(tx, job_id="job-1", owner=OWNER, attempt=1, outcome=DONE, now=NOW + 9)
        ended = jobs.get(tx, "job-1")
        assert not jobs.finish(tx, job_id="job-1", owner=OWNER, attempt=1, outcome=RAISED, now=NOW + 10)
        assert jobs.give_back(tx, job_id="job-1", owner=OWNER, attempt=1, now=NOW + 10) is None
        assert jobs.request_cancel(tx, id="job-1", now=NOW + 10) is CancelAnswer.ALREADY_ENDED
        assert jobs.get(tx, "job-1") == ended


def test_a_job_given_back_is_pending_with_its_attempt_used(store: Store) -> None:
    with store.write() as tx:
        start(tx)
        jobs.record_progress(tx, job_id="job-1", owner=OWNER, attempt=1, fraction=0.5, message="half")
        assert jobs.give_back(tx, job_id="job-1", owner=OWNER, attempt=1, now=NOW + 9) is JobStatus.PENDING
        assert jobs.get(tx, "job-1") == a_job(id="job-1", attempt=1, max_attempts=2)
        (attempt,) = attempts.of(tx, "job-1")
        assert (attempt.status, attempt.ended_at) == (JobStatus.PENDING, NOW + 9)
        assert not jobs.claim(tx, job_id="job-1", owner=OWNER, attempt=1, child=an_identity(), now=NOW + 10)
        start(tx, attempt=2)
        assert [(one.number, one.status) for one in attempts.of(tx, "job-1")] == [
            (1, JobStatus.PENDING),
            (2, None),
        ]


def again(tx: Transaction, job_id: str = "job-1", attempt: int = 1, **other: Any) -> JobStatus | None:
    facts: dict[str, Any] = {"outcome": RAISED, "run_at": None, "crashed": False, "counted": True}
    ours: dict[str, Any] = {"job_id": job_id, "owner": OWNER, "attempt": attempt, "now": NOW + 9}
    return jobs.try_again(tx, **ours | facts | other)


def test_another_attempt_keeps_why_the_one_before_failed_and_its_claim_clears_it(store: Store) -> None:
    with store.write() as tx:
        start(tx)
        assert again(tx) is JobStatus.PENDING
        waiting, attempt = jobs.get(tx, "job-1"), attempts.get(tx, "job-1", 1)
        assert waiting is not None
        assert attempt is not None
        assert waiting.error_message == "ValueError: no"
        assert (attempt.status, attempt.failure_kind) == (JobStatus.FAILED, FailureKind.RAISED)
        assert attempt.traceback == "Traceback ..."
        start(tx, attempt=2)
        running = jobs.get(tx, "job-1")
        assert running is not None
        assert running.error_message is None


@pytest.mark.parametrize("failed", [False, True])
def test_a_job_given_back_whose_end_was_asked_for_is_cancelled(store: Store, *, failed: bool) -> None:
    with store.write() as tx:
        start(tx)
        jobs.request_cancel(tx, id="job-1", now=NOW + 2)
        ours: dict[str, Any] = {"job_id": "job-1", "owner": OWNER, "attempt": 1, "now": NOW + 9}
        given = again(tx, run_at=NOW + 10) if failed else jobs.give_back(tx, **ours)
        job, attempt = jobs.get(tx, "job-1"), attempts.get(tx, "job-1", 1)
    assert job is not None
    assert attempt is not None
    assert given is job.status is attempt.status is JobStatus.CANCELLED
    assert job.completed_at == attempt.ended_at == NOW + 9


def test_a_request_to_cancel_says_what_came_of_it(store: Store) -> None:
    with store.write() as tx:
        submit(tx, "waiting")
        start(tx, "running")
        assert jobs.request_cancel(tx, id="waiting", now=NOW + 2) is CancelAnswer.CANCELLED
        assert jobs.request_cancel(tx, id="waiting", now=NOW + 3) is CancelAnswer.ALREADY_ENDED
        assert jobs.request_cancel(tx, id="running", now=NOW + 2) is CancelAnswer.REQUESTED
        assert jobs.request_cancel(tx, id="running", now=NOW + 3) is CancelAnswer.ALREADY_REQUESTED
        with pytest.raises(UnknownJob, match="none"):
            jobs.request_cancel(tx, id="none", now=NOW)
        waiting, running = jobs.get(tx, "waiting"), jobs.get(tx, "running")
    assert waiting is not None
    assert running is not None
    assert (waiting.status, waiting.completed_at) == (JobStatus.CANCELLED, NOW + 2)
    assert (running.status, running.cancel_requested_at) == (JobStatus.IN_PROGRESS, NOW + 2)


def test_cancel_requests_are_those_of_ones_own_running_jobs(store: Store) -> None:
    with store.write() as tx:
        start(tx, "ours")
        start(tx, "ours-unasked")
        start(tx, "theirs", owner="other")
        for job_id in ("ours", "theirs"):
            jobs.request_cancel(tx, id=job_id, now=NOW + 2)
        assert jobs.cancel_requests(tx, owner=OWNER) == ["ours"]
        jobs.finish(tx, job_id="ours", owner=OWNER, attempt=1, outcome=DONE, now=NOW + 3)
        assert jobs.cancel_requests(tx, owner=OWNER) == []


def test_progress_is_recorded_while_the_attempt_runs(store: Store) -> None:
    with store.write() as tx:
        start(tx)
        assert jobs.record_progress(tx, job_id="job-1", owner=OWNER, attempt=1, fraction=0.25, message="a")
        job = jobs.get(tx, "job-1")
    assert job is not None
    assert (job.progress_fraction, job.progress_message) == (0.25, "a")


def test_text_that_utf8_cannot_hold_is_kept_as_escapes(store: Store) -> None:
    outcome = Outcome(JobStatus.FAILED, FailureKind.RAISED, error_message="bad \udcff", traceback="\ud800")
    with store.write() as tx:
        start(tx)
        jobs.record_progress(tx, job_id="job-1", owner=OWNER, attempt=1, fraction=None, message="\udc80")
        assert jobs.finish(tx, job_id="job-1", owner=OWNER, attempt=1, outcome=outcome, now=NOW)
        job = jobs.get(tx, "job-1")
    assert job is not None
    assert (job.error_message, job.progress_message) == ("bad \\udcff", "\\udc80")


def test_what_did_not_count_leaves_an_attempt_more(store: Store) -> None:
    with store.write() as tx:
        start(tx, max_attempts=2)
        again(tx, counted=False, crashed=True)
        job = jobs.get(tx, "job-1")
        assert job is not None
        assert (job.attempt, job.max_attempts, job.crashes) == (1, 3, 1)
        start(tx, attempt=2)
        again(tx, attempt=2)
        job = jobs.get(tx, "job-1")
        assert job is not None
        assert (job.attempt, job.max_attempts, job.crashes) == (2, 3, 1)


def test_a_job_that_waits_for_its_time_is_not_eligible_before_it(store: Store) -> None:
    with store.write() as tx:
        start(tx, "later")
        again(tx, "later", run_at=NOW + 50)
        submit(tx, "now")
        assert (jobs.next_turn(tx), jobs.in_their_turn(tx, now=NOW + 49)) == (NOW + 50, 0)
        assert [job.id for job in jobs.eligible(tx, type="EmailJob", limit=9)] == ["now"]
        assert jobs.in_their_turn(tx, now=NOW + 50) == 1
        assert [job.id for job in jobs.eligible(tx, type="EmailJob", limit=9)] == ["later", "now"]
        assert jobs.next_turn(tx) is None


def test_a_job_that_waits_for_its_time_cannot_be_claimed(store: Store) -> None:
    with store.write() as tx:
        start(tx)
        again(tx, run_at=NOW + 50)
        asked: dict[str, Any] = {
            "job_id": "job-1",
            "owner": OWNER,
            "attempt": 2,
            "child": an_identity(),
            "now": NOW + 10,
        }
        assert not jobs.claim(tx, **asked)
        jobs.in_their_turn(tx, now=NOW + 50)
        assert jobs.claim(tx, **asked)


def test_a_job_that_waits_for_its_time_can_be_cancelled(store: Store) -> None:
    with store.write() as tx:
        start(tx)
        again(tx, run_at=NOW + 50)
        assert jobs.request_cancel(tx, id="job-1", now=NOW + 10) is CancelAnswer.CANCELLED
        assert jobs.next_turn(tx) is None


@pytest.mark.parametrize(
    "outcome", [DONE, RAISED, Outcome(JobStatus.CANCELLED)], ids=lambda outcome: outcome.status
)
def test_an_ended_job_that_is_retried_is_as_new_but_for_its_attempts(store: Store, outcome: Outcome) -> None:
    with store.write() as tx:
        start(tx)
        jobs.record_progress(tx, job_id="job-1", owner=OWNER, attempt=1, fraction=0.5, message="half")
        jobs.request_cancel(tx, id="job-1", now=NOW + 2)
        assert not jobs.retry(tx, id="job-1")
        jobs.finish(tx, job_id="job-1", owner=OWNER, attempt=1, outcome=outcome, now=NOW + 9)
        assert jobs.retry(tx, id="job-1")
        assert jobs.get(tx, "job-1") == a_job(id="job-1", attempt=1, max_attempts=2)
        assert not jobs.retry(tx, id="job-1")
        assert not jobs.retry(tx, id="none")
        start(tx, attempt=2)


def test_a_retry_of_a_job_with_attempts_left_adds_none(store: Store) -> None:
    with store.write() as tx:
        submit(tx, max_attempts=3)
        jobs.request_cancel(tx, id="job-1", now=NOW)
        jobs.retry(tx, id="job-1")
        job = jobs.get(tx, "job-1")
    assert job is not None
    assert (job.attempt, job.max_attempts) == (0, 3)
