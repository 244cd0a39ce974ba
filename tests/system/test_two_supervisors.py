"""Two supervisors on one database: together they keep every promise that one keeps."""

import signal
from pathlib import Path

import pytest

from supervisor.lifecycle import JobStatus
from tests.support.eventually import eventually
from tests.support.history import check
from tests.support.observer import Observer
from tests.support.service import LIMITS, Service, Serving
from tests.system.conftest import MakeService
from workers.identity import Identity

A_LONG_TIME = 60.0


@pytest.fixture(params=["one state folder", "a state folder each"])
def pair(
    request: pytest.FixtureRequest, make_service: MakeService, tmp_path: Path
) -> tuple[Service, Service]:
    """The same service twice, or two that share the database alone."""
    one = make_service()
    if request.param == "one state folder":
        return one, one
    other = make_service(tmp_path / "other", database=one.database, runs=one.runs)
    return make_service(database=one.database), other


def serve(pair: tuple[Service, Service]) -> tuple[Serving, Serving]:
    first, second = pair[0].serve(), pair[1].serve()
    return first.ready(), second.ready()


def owner_of(service: Service, job_id: str) -> str | None:
    return service.job(job_id).owner


def test_together_they_never_run_more_than_the_limit_and_every_job_once(
    pair: tuple[Service, Service],
) -> None:
    one, other = pair
    serve(pair)
    with Observer(*{one.state_dir, other.state_dir}) as seen:
        jobs = [one.client.submit(name, 0.05).id for _ in range(20) for name in ("Nap", "Daemon")]
        one.all_ended(jobs)
    history = check(one, jobs, LIMITS)
    most = seen.most(lambda job: str(history.jobs[job]["type"]))
    assert seen.looks > 20
    assert most["Nap"] <= LIMITS["Nap"]
    assert most["Daemon"] <= LIMITS["Daemon"]
    assert all(len(history.executions(job)) == 1 for job in jobs)
    assert {row["status"] for row in history.jobs.values()} == {"Completed"}


def test_the_jobs_of_the_living_are_left_alone_when_a_third_one_starts(pair: tuple[Service, Service]) -> None:
    one, other = pair
    first, second = serve(pair)
    jobs = spread(one, first, second)
    processes = [Identity.of(one.job(job).pid or 0) for job in jobs]
    third = other.serve().ready()
    assert not third.events("orphans_found")
    assert all(process and process.is_running() for process in processes)
    second.kill()
    # Found by whoever looks first: the third's first look was before.
    eventually(lambda: [*first.events("orphans_recovered"), *third.events("orphans_recovered")])
    for job in jobs:
        expected = JobStatus.FAILED if owner_of(one, job) == second.uuid else JobStatus.IN_PROGRESS
        assert one.job(job).status is expected
    third.kill()
    first.kill()


def test_when_one_is_killed_the_other_recovers_its_jobs_and_only_those(pair: tuple[Service, Service]) -> None:
    one, _ = pair
    first, second = serve(pair)
    jobs = spread(one, first, second)
    waiting = one.client.submit("Tidy", 0.1).id
    second.kill()
    lost = [job for job in jobs if owner_of(one, job) == second.uuid]
    kept = [job for job in jobs if job not in lost]
    one.all_ended(lost)
    for job in lost:
        record = one.job(job)
        assert record.status is JobStatus.FAILED
        assert record.failure_kind == "owner_died"
        assert all(name in (record.error_message or "") for name in (second.uuid, f"pid {second.pid} "))
    assert all(one.job(job).status is JobStatus.IN_PROGRESS for job in kept)
    one.began(waiting)  # its slot had been the dead one's, or was free
    for job in (*kept, waiting):
        one.client.cancel(job)
    one.all_ended([*jobs, waiting])
    check(one, [*jobs, waiting], LIMITS)


def test_a_cancel_reaches_the_owner_whichever_it_is(pair: tuple[Service, Service]) -> None:
    one, other = pair
    first, second = serve(pair)
    jobs = spread(one, first, second)
    for place, job in zip((one, other) * len(jobs), jobs, strict=False):
        place.client.cancel(job)
    assert {job.status for job in one.all_ended(jobs)} == {JobStatus.CANCELLED}
    check(one, jobs, LIMITS)
    for supervisor in (first, second):
        assert supervisor.stop() == 0


def test_one_that_was_stopped_for_a_while_is_neither_robbed_nor_doubled(
    pair: tuple[Service, Service],
) -> None:
    one, _ = pair
    first, second = serve(pair)
    jobs = spread(one, first, second, seconds=1.0)
    one.freeze(second)
    theirs = [job for job in jobs if owner_of(one, job) == second.uuid]
    more = [one.client.submit("Nap", 0.05).id for _ in range(4)]
    one.all_ended([job for job in jobs if job not in theirs])
    # Its keeper goes on without it: the jobs end, and wait for it to be recorded.
    for job in theirs:
        one.began(job, "end")
    assert all(one.job(job).status is JobStatus.IN_PROGRESS for job in theirs)
    second.signal(signal.SIGCONT)
    one.all_ended([*jobs, *more])
    history = check(one, [*jobs, *more], LIMITS)
    assert {row["status"] for row in history.jobs.values()} == {"Completed"}


def spread(service: Service, *supervisors: Serving, seconds: float = A_LONG_TIME) -> list[str]:
    """Running jobs, one with each of the supervisors: the others are held still until it has its own."""
    jobs = []
    for chosen in supervisors:
        others = [supervisor for supervisor in supervisors if supervisor is not chosen]
        for other in others:
            service.freeze(other)
        job = service.client.submit("Nap", seconds).id
        service.began(job)
        assert owner_of(service, job) == chosen.uuid
        jobs.append(job)
        for other in others:
            other.signal(signal.SIGCONT)
    return jobs
