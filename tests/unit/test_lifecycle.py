import pytest

from supervisor.lifecycle import CRASHES, ENDED, NEXT, OWNER_DEATHS, FailureKind, JobStatus


def test_the_statuses_are_exactly_the_five_words_that_users_see() -> None:
    assert [str(status) for status in JobStatus] == [
        "Pending",
        "InProgress",
        "Completed",
        "Failed",
        "Cancelled",
    ]


def test_the_failure_kinds_are_exactly_the_words_that_users_see() -> None:
    assert {str(kind) for kind in FailureKind} == {
        "raised",
        "exited",
        "signalled",
        "out_of_memory",
        "timed_out",
        "owner_died",
        "host_rebooted",
        "keeper_died",
        "not_started",
        "bad_result",
    }


def test_the_only_way_out_of_an_end_is_another_attempt() -> None:
    assert {JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.CANCELLED} == ENDED
    assert {NEXT[status] for status in ENDED} == {frozenset({JobStatus.PENDING})}


@pytest.mark.parametrize("status", JobStatus)
def test_every_status_can_be_reached_from_pending(status: JobStatus) -> None:
    reached, frontier = {JobStatus.PENDING}, {JobStatus.PENDING}
    while frontier:
        frontier = {to for at in frontier for to in NEXT.get(at, ())} - reached
        reached |= frontier
    assert status in reached


def test_a_job_that_never_ran_cannot_complete_or_fail() -> None:
    assert not NEXT[JobStatus.PENDING] & {JobStatus.COMPLETED, JobStatus.FAILED}


def test_every_death_of_the_service_counts_as_a_crash() -> None:
    assert OWNER_DEATHS < CRASHES
    assert {FailureKind.SIGNALLED, FailureKind.OUT_OF_MEMORY} == CRASHES - OWNER_DEATHS
