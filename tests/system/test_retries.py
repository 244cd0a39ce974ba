"""Attempts that follow one another, with a real service: as the job type says, and as people ask for."""

import json

import pytest

from supervisor.lifecycle import JobStatus
from supervisor.store.records import Attempt, Job
from tests.support.eventually import eventually
from tests.support.history import check
from tests.support.service import LIMITS, Service

COMPLETED, FAILED = JobStatus.COMPLETED, JobStatus.FAILED


@pytest.fixture
def http() -> bool:
    """It is the supervisor and its keeper that are tried here."""
    return False


def outcome(service: Service, job: Job) -> tuple[Job, list[Attempt]]:
    """What it came to, and its attempts."""
    (ended,) = service.all_ended([job])
    return ended, service.client.attempts(job.id)


def test_a_handler_that_raises_twice_and_then_returns_is_completed_after_three_attempts(
    service: Service,
) -> None:
    service.serve().ready()
    job = service.client.submit("Stumble", 2)
    assert service.run("wait", job.id).returncode == 0
    ended, attempts = outcome(service, job)
    assert (ended.status, ended.result, ended.crashes, ended.error_message) == (COMPLETED, "3", 0, None)
    assert [each.status for each in attempts] == [FAILED, FAILED, COMPLETED]
    assert [each.error_message for each in attempts] == [
        "LookupError: no luck in attempt 1",
        "LookupError: no luck in attempt 2",
        None,
    ]
    for number in (1, 2, 3):
        printed = service.run("logs", job.id, "--attempt", str(number)).stdout
        assert printed.startswith(f"attempt {number}\n")
    check(service, [job.id], LIMITS)


def test_a_handler_that_raises_each_time_has_failed_after_its_last_attempt(service: Service) -> None:
    service.serve().ready()
    job = service.client.submit("Stumble", 9)
    assert service.run("submit", "Stumble", "9", "--wait").returncode == 1
    ended, attempts = outcome(service, job)
    assert (ended.status, ended.attempt, len(attempts)) == (FAILED, 3, 3)
    assert ended.error_message == "LookupError: no luck in attempt 3; that was attempt 3 of 3"
    check(service, [job.id], LIMITS)


def test_a_process_that_is_killed_each_time_is_given_up_after_max_crashes(service: Service) -> None:
    service.serve().ready()
    job, survives = service.client.submit("Fall"), service.client.submit("Fall", 2)
    ended, attempts = outcome(service, job)
    assert (ended.status, ended.failure_kind, ended.crashes) == (FAILED, "signalled", 3)
    assert (ended.error_message or "").endswith("; that was crash 3, and max_crashes is 3")
    assert [each.signal for each in attempts] == [9, 9, 9]
    ended, _ = outcome(service, survives)
    assert (ended.status, ended.attempt, ended.crashes) == (COMPLETED, 3, 2)
    check(service, [job.id, survives.id], LIMITS)


def test_a_job_over_its_memory_each_time_is_given_up_after_max_crashes(service: Service) -> None:
    # In the name of a type that the checker of histories lets run more than once.
    eat = {"handler": "again:use", "max_concurrency": 1, "limits": {"memory": "300M"}, "max_crashes": 4}
    service.configure({"Fall": {**eat, "retries": {"max_attempts": 9, "initial": "10ms"}}})
    service.serve().ready()
    job = service.client.submit("Fall", {"seconds": 0, "memory": 1000})
    ended, attempts = outcome(service, job)
    assert (ended.status, ended.failure_kind, ended.crashes) == (FAILED, "out_of_memory", 4)
    assert (ended.error_message or "").endswith("; that was crash 4, and max_crashes is 4")
    assert [each.failure_kind for each in attempts] == ["out_of_memory"] * 4
    assert all(each.user_seconds is not None for each in attempts)
    check(service, [job.id])


# The death and the stop of the service


def test_a_job_whose_type_says_so_outlives_its_supervisor_and_no_other_does(service: Service) -> None:
    first = service.serve().ready()
    again, once = service.client.submit("Linger", 0.1), service.client.submit("LingerOnce", 0.1)
    for job in (again, once):
        service.began(job.id)
    first.kill()
    second = service.serve()
    ended, attempts = outcome(service, again)
    assert (ended.status, ended.attempt, ended.max_attempts, ended.crashes) == (COMPLETED, 2, 2, 1)
    assert [(each.failure_kind, each.owner) for each in attempts] == [
        ("owner_died", first.uuid),
        (None, second.uuid),
    ]
    assert first.uuid in (attempts[0].error_message or "")
    ended, attempts = outcome(service, once)
    assert (ended.status, ended.failure_kind, len(attempts)) == (FAILED, "owner_died", 1)
    check(service, [again.id, once.id], LIMITS)


def test_a_job_that_a_stop_has_ended_runs_again_with_the_next_service_and_it_was_no_crash(
    service: Service,
) -> None:
    first = service.serve(ASYNCWORKER_DRAIN_TIMEOUT="0").ready()
    job = service.client.submit("Linger", 0.1)
    service.began(job.id)
    assert first.stop() == 0
    waiting = service.job(job.id)
    assert (waiting.status, waiting.attempt, waiting.crashes, waiting.run_at) == (
        JobStatus.PENDING,
        1,
        0,
        None,
    )
    assert "tried again as soon as it has a slot, 1 attempt left" in service.run("status", job.id).stdout
    service.serve()
    ended, attempts = outcome(service, job)
    assert (ended.status, ended.attempt, ended.crashes) == (COMPLETED, 2, 0)
    assert attempts[0].failure_kind == "owner_died"
    assert attempts[0].termination is not None
    assert attempts[0].termination["reason"] == "shutdown"
    check(service, [job.id], LIMITS)


def test_a_job_over_which_supervisors_die_again_and_again_is_given_up(service: Service) -> None:
    service.configure({"Persistent": {"handler": "chores:nap", "on_owner_death": "retry"}})
    job = service.client.submit("Persistent", 60)
    for number in (1, 2, 3):
        serving = service.serve()
        eventually(lambda number=number: service.job(job.id).attempt == number, 20.0)  # type: ignore[misc]
        service.began(job.id)
        eventually(lambda number=number: service.notes()[-1]["attempt"] == number)  # type: ignore[misc]
        serving.kill()
    service.serve()
    ended, attempts = outcome(service, job)
    assert (ended.status, ended.failure_kind, ended.crashes) == (FAILED, "owner_died", 3)
    assert service.supervisors[2].uuid in (ended.error_message or "")
    assert (ended.error_message or "").endswith("; that was crash 3, and max_crashes is 3")
    assert [each.failure_kind for each in attempts] == ["owner_died"] * 3
    check(service, [job.id])


# What handlers ask for


@pytest.mark.parametrize("handler", ["wish", "awish"])
def test_a_handler_names_the_wait_for_its_next_attempt_or_refuses_one(service: Service, handler: str) -> None:
    # In its name, because the checker of histories knows who may be executed more than once.
    retries = {"max_attempts": 3, "initial": "1h"}
    service.configure({"Stumble": {"handler": f"again:{handler}", "max_concurrency": 2, "retries": retries}})
    service.serve().ready()
    soon = service.client.submit("Stumble", {"reason": "busy", "after": 0.3})
    late = service.client.submit("Stumble", {"reason": "very busy", "after": 3600})
    never = service.client.submit("Stumble", {"discard": "nobody lives there"})
    ended, attempts = outcome(service, soon)
    assert (ended.status, [each.error_message for each in attempts]) == (COMPLETED, ["busy", None])
    assert attempts[0].ended_at is not None
    assert attempts[1].started_at - attempts[0].ended_at >= 300
    ended, attempts = outcome(service, never)
    assert (ended.status, ended.error_message, len(attempts)) == (FAILED, "nobody lives there", 1)
    eventually(lambda: service.job(late.id).run_at)
    waiting, (last,) = service.job(late.id), service.client.attempts(late.id)
    assert waiting.run_at is not None
    assert last.ended_at is not None
    assert waiting.run_at - last.ended_at == 3_600_000
    shown = service.asked("status", late.id)
    assert (shown["status"], shown["runAt"] is not None, shown["errorMessage"]) == (
        "Pending",
        True,
        "very busy",
    )
    assert service.run("cancel", late.id).returncode == 0
    check(service, [soon.id, late.id, never.id])


# What people ask for


def test_whatever_has_ended_runs_once_more_when_somebody_asks(service: Service) -> None:
    service.serve().ready()
    failed, completed = service.client.submit("FallOnce", 1), service.client.submit("Echo", 1)
    cancelled = service.client.submit("LingerOnce", 0)
    service.began(cancelled.id)
    service.client.cancel(cancelled.id)
    statuses = [job.status for job in service.all_ended([failed, completed, cancelled])]
    assert statuses == [FAILED, COMPLETED, JobStatus.CANCELLED]
    jobs = [failed, completed, cancelled]
    ids = [job.id for job in jobs]
    answer = service.run("retry", *ids)
    assert (answer.returncode, answer.stderr) == (0, "")
    for ended in service.all_ended(jobs):
        assert (ended.status, ended.attempt, ended.max_attempts) == (COMPLETED, 2, 2)
        assert (ended.failure_kind, ended.error_message, ended.cancel_requested_at) == (None, None, None)
    running = service.client.submit("Nap", 60)
    service.began(running.id)
    answer = service.run("retry", running.id)
    assert (answer.returncode, answer.stdout) == (1, "")
    assert "InProgress" in answer.stderr
    service.client.cancel(running.id)
    service.all_ended([running])
    check(service, [*ids, running.id], LIMITS, by_hand=ids)


# How far a job is


def test_a_job_that_reports_all_the_time_costs_a_few_writes_a_second_and_its_last_word_is_kept(
    service: Service,
) -> None:
    service.configure({"Chatter": {"handler": "again:chatter", "max_concurrency": 2}})
    service.serve().ready()
    jobs = [service.client.submit("Chatter", 2.0) for _ in range(2)]
    for ended in service.all_ended(jobs):
        assert (ended.status, ended.progress_fraction, ended.progress_message) == (
            COMPLETED,
            0.875,
            "the last step",
        )
        assert ended.started_at is not None
        assert ended.completed_at is not None
        seconds = (ended.completed_at - ended.started_at) / 1000
        with service.sql() as database:
            written = database.execute(
                "SELECT status, progress_fraction, progress_message FROM job_changes"
                " WHERE job_seq = (SELECT seq FROM jobs WHERE id = ?) AND progress_fraction IS NOT NULL"
                " ORDER BY number",
                (ended.id,),
            ).fetchall()
        assert int(json.loads(ended.result or "0")) > 100 * len(written)
        assert 2 < len(written) <= 6 * seconds
        assert written[-2:] == [("InProgress", 0.875, "the last step"), ("Completed", 0.875, "the last step")]
    check(service, [job.id for job in jobs])
