"""Whether there is another attempt: every row of the table in docs/lifecycle.md."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from supervisor.jobtypes.records import JobType, Retries
from supervisor.lifecycle import CRASHES, OWNER_DEATHS, FailureKind, JobStatus
from supervisor.outcome import Outcome
from supervisor.retrying import Again, another, backoff, final
from tests.support.builders import a_job

PATIENT = Retries(max_attempts=5, backoff="fixed", initial=7.0, jitter=False)
NOT_OWNER_DEATHS = sorted(set(FailureKind) - OWNER_DEATHS)


def a_type(**other: Any) -> JobType:
    return JobType(name="Mail", handler="a:b", max_concurrency=1, retries=PATIENT, **other)


def failed(kind: FailureKind = FailureKind.RAISED, **other: Any) -> Outcome:
    return Outcome(JobStatus.FAILED, kind, error_message="it broke", **other)


def half() -> float:
    return 0.5


@pytest.mark.parametrize("status", [JobStatus.COMPLETED, JobStatus.CANCELLED])
def test_what_did_not_fail_is_not_tried_again(status: JobStatus) -> None:
    job = a_job(attempt=1, max_attempts=5)
    assert another(Outcome(status), job, a_type(on_owner_death="retry"), 1, half) is None


@pytest.mark.parametrize("kind", NOT_OWNER_DEATHS)
def test_every_kind_of_failure_of_a_job_is_followed_by_another_attempt_while_there_is_one(
    kind: FailureKind,
) -> None:
    crashed = kind in CRASHES
    for attempt in (1, 4):
        job = a_job(attempt=attempt, max_attempts=5)
        assert another(failed(kind), job, a_type(), 1, half) == Again(7.0, crashed, counted=True)
    assert another(failed(kind), a_job(attempt=5, max_attempts=5), a_type(), 1, half) is None


@pytest.mark.parametrize("kind", sorted(OWNER_DEATHS))
def test_the_death_of_the_service_costs_no_attempt_and_its_own_key_decides(kind: FailureKind) -> None:
    last = a_job(attempt=1, max_attempts=1)
    assert another(failed(kind), last, a_type(on_owner_death="retry"), 1, half) == Again(
        0.0, crashed=True, counted=False
    )
    assert another(failed(kind), a_job(attempt=1, max_attempts=5), a_type(), 1, half) is None


@pytest.mark.parametrize("kind", sorted(CRASHES))
@pytest.mark.parametrize("bound", [1, 3])
def test_the_last_crash_ends_a_job_whatever_attempts_it_has(kind: FailureKind, bound: int) -> None:
    job_type = a_type(on_owner_death="retry", max_crashes=bound)
    for crashes in range(bound):
        job = a_job(attempt=crashes + 1, max_attempts=9, crashes=crashes)
        assert (another(failed(kind), job, job_type, 1, half) is None) == (crashes + 1 == bound)


def test_a_stop_in_good_order_is_no_crash() -> None:
    stopped = failed(FailureKind.OWNER_DIED, stopped=True)
    job = a_job(attempt=1, crashes=2)
    job_type = a_type(on_owner_death="retry")
    assert another(stopped, job, job_type, 1, half) == Again(0.0, crashed=False, counted=False)


def test_attempts_that_did_not_count_make_no_wait_longer() -> None:
    retries = Retries(max_attempts=5, initial=2.0, jitter=False)
    job_type = JobType(name="Mail", handler="a:b", max_concurrency=1, retries=retries)
    job = a_job(attempt=11, max_attempts=15)
    assert another(failed(), job, job_type, 1, half) == Again(2.0, crashed=False, counted=True)
    assert another(failed(), job, job_type, 2, half) == Again(4.0, crashed=False, counted=True)


def test_a_handler_decides_with_what_it_raises() -> None:
    job = a_job(attempt=1, max_attempts=2)
    assert another(failed(wish="discard"), job, a_type(), 1, half) is None
    assert another(failed(wish="retry", after=90.5), job, a_type(), 1, half) == Again(
        90.5, crashed=False, counted=True
    )
    assert another(failed(wish="retry"), job, a_type(), 1, half) == Again(7.0, crashed=False, counted=True)
    assert (
        another(failed(wish="retry", after=1.0), a_job(attempt=2, max_attempts=2), a_type(), 1, half) is None
    )


def test_a_job_of_a_type_that_is_gone_is_not_tried_again() -> None:
    assert another(failed(), a_job(attempt=1, max_attempts=5), None, 1, half) is None


@pytest.mark.parametrize(
    "outcome, job, message",
    [
        (failed(), a_job(attempt=1), "it broke"),
        (failed(), a_job(attempt=3, max_attempts=3), "it broke; that was attempt 3 of 3"),
        (failed(wish="retry"), a_job(attempt=1), "it broke; that was attempt 1 of 1"),
        (failed(wish="discard"), a_job(attempt=2, max_attempts=3), "it broke"),
        (
            failed(FailureKind.SIGNALLED),
            a_job(attempt=3, max_attempts=9, crashes=2),
            "it broke; that was crash 3, and max_crashes is 3",
        ),
        (
            failed(FailureKind.OWNER_DIED),
            a_job(attempt=3, crashes=2),
            "it broke; that was crash 3, and max_crashes is 3",
        ),
        (failed(FailureKind.OWNER_DIED), a_job(attempt=1), "it broke"),
    ],
)
def test_the_message_of_a_job_that_is_given_up_says_why(outcome: Outcome, job: Any, message: str) -> None:
    assert final(outcome, job, a_type()).error_message == message


def test_the_message_of_what_did_not_fail_stays_as_it_is() -> None:
    done = Outcome(JobStatus.COMPLETED, result="1")
    assert final(done, a_job(attempt=3, max_attempts=3), a_type()) == done
    assert final(failed(), a_job(attempt=3, max_attempts=3), None) == failed()


def test_waits_double_up_to_the_longest() -> None:
    retries = Retries(initial=2.0, max=10.0, jitter=False)
    assert [backoff(retries, number, half) for number in (1, 2, 3, 4, 5)] == [2.0, 4.0, 8.0, 10.0, 10.0]
    assert backoff(Retries(backoff="fixed", initial=2.0, jitter=False), 9, half) == 2.0
    assert backoff(Retries(initial=2.0, max=None, jitter=False), 11, half) == 2048.0


@given(some.integers(1, 10**9), some.floats(0, 1), some.floats(0, 1e6), some.none() | some.floats(0, 1e6))
def test_a_wait_with_jitter_is_between_nothing_and_the_whole(
    failures: int, chance: float, initial: float, longest: float | None
) -> None:
    plain = Retries(initial=initial, max=longest, jitter=False)
    varied = Retries(initial=initial, max=longest, jitter=True)
    whole = backoff(plain, failures, half)
    assert 0 <= backoff(varied, failures, lambda: chance) <= whole
    assert backoff(varied, failures, lambda: 1.0) == whole
    assert longest is None or whole <= longest
