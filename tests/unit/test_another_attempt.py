"""Attempts and their budgets through the loop, with a scripted clock and keeper, over a real SQLite file."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from supervisor.jobtypes.records import JobType, Retries
from supervisor.lifecycle import FailureKind, JobStatus
from supervisor.outcome import nothing_done
from supervisor.store import attempts, jobs
from supervisor.store.records import Job
from tests.support.scripted import HELD, Scripted, scripted

RETRIES = Retries(max_attempts=4, initial=10.0, max=30.0, jitter=True)
RAISED = {"status": 256, "report": {"kind": "raised", "message": "no", "interrupted": False}}
KILLED = {"status": 9, "report": None}


@pytest.fixture
def it(tmp_path: Path) -> Iterator[Scripted]:
    mail = JobType(name="Mail", handler="a:b", max_concurrency=1, retries=RETRIES, on_owner_death="retry")
    with scripted(tmp_path, mail) as one:
        one.get_ready()
        yield one


def submit(it: Scripted) -> None:
    with it.store.write() as tx:
        jobs.insert(
            tx, id="one", type="Mail", payload="1", priority=0, max_attempts=4, created_at=it.clock.now()
        )


def job(it: Scripted) -> Job:
    with it.store.read() as tx:
        return jobs.find(tx, "one")


def attempt_ends(it: Scripted, **how: Any) -> None:
    """The attempt that runs ends like this; nothing else happens meanwhile."""
    assert job(it).status is JobStatus.IN_PROGRESS
    it.end(it.s.children.with_jobs()[0], **how)
    it.tick(0)


def wait_for_the_next(it: Scripted) -> float:
    """Seconds until it was claimed: the loop is asked when it wants to wake up, and then it does."""
    began = it.clock.monotonic()
    while job(it).status is JobStatus.PENDING:
        it.start_children()
        if job(it).status is JobStatus.PENDING:
            it.tick(max(0.0, it.loop._until_next()))
        assert it.clock.monotonic() < began + 1000
    return it.clock.monotonic() - began


def test_a_handler_that_raises_is_tried_exactly_as_often_as_its_type_says_with_waits_in_range(
    it: Scripted,
) -> None:
    it.s.chance = lambda: 0.75
    submit(it)
    it.tick()
    for number, whole in ((1, 10.0), (2, 20.0), (3, 30.0)):
        attempt_ends(it, **RAISED)
        waiting = job(it)
        assert (waiting.status, waiting.attempt) == (JobStatus.PENDING, number)
        assert waiting.run_at == it.clock.now() + round(0.75 * whole * 1000)
        it.keeper.said(op="pong")
        waited = wait_for_the_next(it)
        assert 0.75 * whole <= waited < 0.75 * whole + 3
    attempt_ends(it, **RAISED)
    ended = job(it)
    assert (ended.status, ended.failure_kind, ended.run_at) == (JobStatus.FAILED, FailureKind.RAISED, None)
    assert ended.error_message == "no; that was attempt 4 of 4"
    with it.store.read() as tx:
        assert [each.failure_kind for each in attempts.of(tx, "one")] == [FailureKind.RAISED] * 4


def test_a_job_that_is_killed_again_and_again_stops_after_max_crashes(it: Scripted) -> None:
    it.s.chance = lambda: 0.1
    submit(it)
    it.tick()
    for crashes in (1, 2):
        attempt_ends(it, **KILLED)
        assert (job(it).status, job(it).crashes) == (JobStatus.PENDING, crashes)
        wait_for_the_next(it)
    attempt_ends(it, **KILLED)
    ended = job(it)
    assert (ended.status, ended.failure_kind, ended.crashes) == (JobStatus.FAILED, FailureKind.SIGNALLED, 3)
    assert (ended.error_message or "").endswith("; that was crash 3, and max_crashes is 3")


def test_the_first_wait_is_the_shortest_however_often_the_service_was_stopped_before(it: Scripted) -> None:
    it.s.chance = lambda: 1.0
    submit(it)
    it.tick()
    stopped = {"status": 15, "report": None, "termination": nothing_done() | {"reason": "shutdown"}}
    for _ in range(3):
        attempt_ends(it, **stopped)
        wait_for_the_next(it)
    assert (job(it).attempt, job(it).crashes) == (4, 0)
    for whole in (10, 20):
        attempt_ends(it, **RAISED)
        assert job(it).run_at == it.clock.now() + whole * 1000
        it.keeper.said(op="pong")
        wait_for_the_next(it)


def test_a_keeper_that_dies_costs_a_crash_and_no_attempt(it: Scripted) -> None:
    submit(it)
    it.tick()
    it.keeper.lost = True
    it.tick()
    it.tick()
    it.keeper.said(op="ready", pid=1, preloaded=[], refused={}, **HELD)
    it.tick()
    (order,) = it.keeper.of("sweep")
    it.keeper.said(op="swept", owner=order["owner"], killed=0)
    it.tick()
    waiting = job(it)
    assert (waiting.status, waiting.attempt, waiting.max_attempts) == (JobStatus.PENDING, 1, 5)
    assert waiting.crashes == 1


def test_a_handler_may_name_the_wait_or_refuse_another_attempt(it: Scripted) -> None:
    submit(it)
    it.tick()
    wish = {"kind": "raised", "message": "busy", "interrupted": False, "wish": "retry", "after": 123.0}
    attempt_ends(it, status=256, report=wish)
    assert job(it).run_at == it.clock.now() + 123_000
    with it.store.write() as tx:
        jobs.in_their_turn(tx, now=it.clock.now() + 123_000)
    wait_for_the_next(it)
    attempt_ends(it, status=256, report=wish | {"message": "never", "wish": "discard", "after": None})
    assert (job(it).status, job(it).error_message, job(it).attempt) == (JobStatus.FAILED, "never", 2)


def test_a_job_that_waits_for_its_time_can_be_cancelled_and_holds_no_slot(it: Scripted) -> None:
    submit(it)
    it.tick()
    attempt_ends(it, **RAISED)
    with it.store.write() as tx:
        jobs.insert(tx, id="other", type="Mail", payload="1", priority=0, max_attempts=1, created_at=1)
        jobs.request_cancel(tx, id="one", now=it.clock.now())
    it.start_children()
    it.tick()
    assert it.keeper.of("assign")[-1]["job"]["job_id"] == "other"
    assert job(it).status is JobStatus.CANCELLED


def test_a_cancel_that_came_while_the_attempt_failed_wins_over_the_next_one(it: Scripted) -> None:
    submit(it)
    it.tick()
    with it.store.write() as tx:
        jobs.request_cancel(tx, id="one", now=it.clock.now())
    attempt_ends(it, **RAISED)
    assert job(it).status is JobStatus.CANCELLED


def test_nothing_keeps_the_loop_busy_while_a_job_waits_or_the_service_stops(it: Scripted) -> None:
    it.s.chance = lambda: 1.0
    submit(it)
    it.tick()
    attempt_ends(it, **RAISED)
    it.tick(0)
    assert it.loop._until_next() > 0
    it.clock.advance(60)
    it.s.draining = True
    it.tick(0)
    it.tick(0)
    assert job(it).status is JobStatus.PENDING


@pytest.mark.parametrize("ahead", [-86_400_000, 86_400_000])
def test_the_pause_before_an_attempt_is_not_longer_when_the_clock_is_set(it: Scripted, ahead: int) -> None:
    it.s.chance = lambda: 1.0
    submit(it)
    it.tick()
    attempt_ends(it, **RAISED)
    it.clock.set_by = ahead
    assert wait_for_the_next(it) < 13.0  # in steps of a second or two
    assert job(it).attempt == 2
    attempt_ends(it, **RAISED)
    assert 20.0 <= wait_for_the_next(it) < 23.0
