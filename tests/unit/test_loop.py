"""The supervisor's loop with a scripted clock and keeper, over a real SQLite file."""

import signal
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from supervisor import recording
from supervisor.errors import GivenUp, JobsLeft, StoreUnavailable
from supervisor.jobtypes.records import JobType
from supervisor.lifecycle import FailureKind, JobStatus
from supervisor.store import attempts, jobs, supervisors
from supervisor.store.records import Job
from supervisor.supervision import Entry
from tests.support.scripted import HELD, Scripted, scripted


@pytest.fixture
def it(tmp_path: Path) -> Iterator[Scripted]:
    mail = JobType(name="Mail", handler="a:b", max_concurrency=2, timeout=60.0, grace=5.0)
    report = JobType(name="Report", command=("true",), max_concurrency=1)
    with scripted(tmp_path, mail, report) as one:
        yield one


def submit(it: Scripted, job_id: str, type_: str = "Mail", priority: int = 0) -> None:
    with it.store.write() as tx:
        jobs.insert(tx, id=job_id, type=type_, payload="1", priority=priority, max_attempts=1, created_at=1)


def job(it: Scripted, job_id: str) -> Job:
    with it.store.read() as tx:
        found = jobs.get(tx, job_id)
    assert found is not None
    return found


def cancel(it: Scripted, job_id: str) -> None:
    with it.store.write() as tx:
        jobs.request_cancel(tx, id=job_id, now=1)


def run(it: Scripted, *job_ids: str) -> None:
    """Submit, and tick until all of them are assigned."""
    for job_id in job_ids:
        submit(it, job_id)
    it.tick()
    it.start_children()
    it.tick()
    assert {order["job"]["job_id"] for order in it.keeper.of("assign")} >= set(job_ids)


def test_nothing_is_claimed_before_the_keeper_is_ready_and_recovery_is_complete(it: Scripted) -> None:
    submit(it, "one")
    for _ in range(3):
        it.tick()
    assert job(it, "one").status is JobStatus.PENDING
    it.get_ready()
    it.tick()
    assert job(it, "one").status is JobStatus.IN_PROGRESS


def test_a_job_goes_through_the_gate_only_after_its_claim_is_committed(it: Scripted) -> None:
    it.get_ready()
    seen: list[tuple[str, int]] = []

    def look(_: object) -> None:
        # A connection of its own sees only what is committed.
        with sqlite3.connect(it.s.settings.locations.database) as outside:
            seen.extend(outside.execute("select status, pid from jobs").fetchall())

    it.keeper.on_assign = look
    run(it, "one")
    assert seen == [("InProgress", it.s.children.with_jobs()[0].identity.pid)]  # type: ignore[union-attr]


def test_a_claim_that_is_not_committed_assigns_nothing(it: Scripted) -> None:
    it.get_ready()
    submit(it, "one")
    it.flaky.fail_before_commit = 1
    it.tick()
    assert it.keeper.of("assign") == []
    assert job(it, "one").status is JobStatus.PENDING
    it.tick(10)
    assert len(it.keeper.of("assign")) == 1


def test_a_claim_whose_commit_was_not_confirmed_is_given_back_and_runs_once(it: Scripted) -> None:
    it.get_ready()
    submit(it, "one")
    it.flaky.fail_after_commit = 1
    it.tick()
    assert job(it, "one").status is JobStatus.IN_PROGRESS
    assert it.keeper.of("assign") == []
    it.tick(10)
    assert len(it.keeper.of("assign")) == 1
    assert job(it, "one").attempt == 2
    with it.store.read() as tx:
        assert [a.status for a in attempts.of(tx, "one")] == [JobStatus.PENDING, None]


def test_no_more_children_of_a_type_are_assigned_than_it_has_slots(it: Scripted) -> None:
    it.get_ready()
    for name in ("a", "b", "c", "d"):
        submit(it, name)
    for _ in range(4):
        it.tick()
        it.start_children()
    assert len(it.keeper.of("assign")) == 2
    it.end(it.s.children.with_jobs()[0])
    it.tick()
    it.tick()
    assert len(it.keeper.of("assign")) == 3


def test_a_slot_in_use_by_another_supervisor_is_not_given_again(it: Scripted) -> None:
    it.get_ready()
    submit(it, "theirs")
    submit(it, "ours", "Mail")
    submit(it, "waits", "Mail")
    with it.store.write() as tx:
        assert jobs.claim(tx, job_id="theirs", owner="other", attempt=1, child=it.s.me, now=1)
    it.tick()
    it.start_children()
    it.tick()
    assert [order["job"]["job_id"] for order in it.keeper.of("assign")] == ["ours"]


def test_larger_priority_runs_first_then_the_order_of_submission(it: Scripted) -> None:
    it.get_ready()
    submit(it, "first")
    submit(it, "second")
    submit(it, "urgent", priority=5)
    it.tick()
    assert [order["job"]["job_id"] for order in it.keeper.of("assign")] == ["urgent", "first"]


def test_a_returned_job_is_completed_with_its_result(it: Scripted) -> None:
    it.get_ready()
    run(it, "one")
    it.end(
        it.s.children.with_jobs()[0], report={"kind": "returned", "result": '{"a":1}', "interrupted": False}
    )
    it.tick()
    assert (job(it, "one").status, job(it, "one").result) == (JobStatus.COMPLETED, '{"a":1}')
    assert it.s.children.with_jobs() == []


def test_an_outcome_waits_in_memory_while_the_database_does_not_answer(it: Scripted) -> None:
    it.get_ready()
    run(it, "one")
    it.end(it.s.children.with_jobs()[0])
    it.flaky.fail_before_commit = 3
    it.tick()
    assert job(it, "one").status is JobStatus.IN_PROGRESS
    for _ in range(4):
        it.tick(10)
    assert job(it, "one").status is JobStatus.COMPLETED
    assert "database_unavailable" in it.log.getvalue()
    assert "database_back" in it.log.getvalue()


def test_a_database_that_cannot_even_be_opened_is_waited_for(it: Scripted) -> None:
    it.get_ready()
    run(it, "one")
    it.end(it.s.children.with_jobs()[0])
    it.flaky.fail_before_commit = 1
    it.flaky.fail_to_reopen = 2
    for _ in range(4):
        it.tick(10)
    assert job(it, "one").status is JobStatus.COMPLETED


def test_a_duty_whose_lock_cannot_be_looked_at_is_asked_for_again(it: Scripted) -> None:
    it.flaky.fail_to_lock = 1
    it.get_ready()
    run(it, "one")
    assert job(it, "one").status is JobStatus.IN_PROGRESS
    assert it.flaky.fail_to_lock == 0
    assert it.loop._checkpoints


def test_an_outcome_that_lost_the_race_changes_nothing(it: Scripted) -> None:
    it.get_ready()
    run(it, "one")
    with sqlite3.connect(it.s.settings.locations.database) as outside:
        outside.execute("update jobs set owner = 'somebody else' where id = 'one'")
    it.end(it.s.children.with_jobs()[0])
    it.tick()
    assert job(it, "one").owner == "somebody else"
    assert "job_lost_race" in it.log.getvalue()


def test_a_cancel_terminates_once_with_the_grace_of_the_type(it: Scripted) -> None:
    it.get_ready()
    run(it, "one")
    cancel(it, "one")
    it.tick()
    it.tick()
    assert [(o["reason"], o["grace"]) for o in it.keeper.of("terminate")] == [("cancel", 5.0)]


def test_a_job_over_its_timeout_is_terminated_and_failed(it: Scripted) -> None:
    it.get_ready()
    run(it, "one")
    it.tick(61)
    assert [o["reason"] for o in it.keeper.of("terminate")] == ["timeout"]
    record = {
        "reason": "timeout",
        "signals": [{"signal": "SIGTERM", "afterSeconds": 0}],
        "seconds": 1,
        "killed": 0,
    }
    it.end(it.s.children.with_jobs()[0], status=signal.SIGTERM, report=None, termination=record)
    it.tick()
    assert job(it, "one").failure_kind is FailureKind.TIMED_OUT


@pytest.mark.parametrize("days", [1, -1])
def test_a_clock_that_is_set_moves_no_deadline(it: Scripted, days: int) -> None:
    it.get_ready()
    run(it, "one")
    it.clock.set_by = days * 86_400_000
    it.tick(30)
    assert it.keeper.of("terminate") == []
    it.tick(31)
    assert [o["reason"] for o in it.keeper.of("terminate")] == ["timeout"]


def test_a_job_within_its_timeout_is_left_alone(it: Scripted) -> None:
    it.get_ready()
    run(it, "one")
    it.tick(30)
    assert it.keeper.of("terminate") == []


def test_a_child_that_ended_at_its_gate_gives_its_job_back(it: Scripted) -> None:
    it.get_ready()
    run(it, "one")
    it.end(it.s.children.with_jobs()[0], assigned=False, status=9, report=None)
    it.tick()
    it.start_children()
    it.tick()
    assert (job(it, "one").status, job(it, "one").attempt) == (JobStatus.IN_PROGRESS, 2)


def test_a_dead_keepers_jobs_fail_only_once_nothing_of_them_is_left(it: Scripted) -> None:
    it.get_ready()
    run(it, "one")
    dead = it.keeper
    dead.lost = True
    it.tick()
    it.tick()
    assert it.keeper is not dead
    it.keeper.said(op="ready", pid=1, preloaded=[], refused={}, **HELD)
    it.tick()
    assert [o["owner"] for o in it.keeper.of("sweep")] == [dead.cookie]
    assert job(it, "one").status is JobStatus.IN_PROGRESS
    it.keeper.said(op="swept", owner=dead.cookie, killed=1)
    it.tick()
    assert (job(it, "one").status, job(it, "one").failure_kind) == (JobStatus.FAILED, FailureKind.KEEPER_DIED)


def test_what_a_keeper_said_before_its_death_counts(it: Scripted) -> None:
    it.get_ready()
    run(it, "one")
    it.end(it.s.children.with_jobs()[0])
    it.keeper.lost = True
    it.tick()
    assert job(it, "one").status is JobStatus.COMPLETED


def test_after_two_quick_deaths_a_keeper_starts_without_preloading_and_later(it: Scripted) -> None:
    it.tick()
    assert it.keeper.of("preload") == [{"op": "preload", "targets": ["a:b"]}]
    for _ in range(2):
        it.keeper.lost = True
        it.tick(0.5)
        it.tick(0.5)
    assert len(it.keepers) == 3
    assert it.keeper.of("preload") == [{"op": "preload", "targets": []}]


def test_spares_are_started_again_as_they_are_used(it: Scripted) -> None:
    it.get_ready()
    assert len(it.s.children.idle()) == it.s.settings.spares
    run(it, "one")
    it.start_children()
    assert len(it.s.children.idle()) == it.s.settings.spares


def test_where_no_child_can_be_started_it_is_tried_again_after_a_pause(it: Scripted) -> None:
    it.tick()
    it.keeper.said(op="ready", pid=1, preloaded=[], refused={}, **HELD)
    it.tick(0.01)
    asked = it.keeper.of("start")
    for order in asked:
        it.keeper.said(op="start_failed", child=order["child"], message="no more processes")
    it.tick(0.01)
    assert it.keeper.of("start") == asked
    it.tick(1)
    assert len(it.keeper.of("start")) == 2 * len(asked)


def test_a_drain_claims_nothing_and_ends_when_the_last_outcome_is_recorded(it: Scripted) -> None:
    it.get_ready()
    run(it, "one")
    submit(it, "two")
    it.signals.arrived = 1
    it.tick()
    assert it.keeper.of("terminate") == []
    with it.store.read() as tx:
        assert supervisors.get(tx, "me").state == "stopping"  # type: ignore[union-attr]
    it.end(it.s.children.with_jobs()[0])
    it.tick()
    it.tick()
    assert (job(it, "one").status, job(it, "two").status) == (JobStatus.COMPLETED, JobStatus.PENDING)
    with it.store.read() as tx:
        assert supervisors.get(tx, "me").state == "stopped"  # type: ignore[union-attr]


def test_a_drain_takes_no_turns_for_children_that_were_asked_for_before_it(it: Scripted) -> None:
    it.get_ready()
    run(it, "one")
    submit(it, "two", "Report")
    submit(it, "three")
    it.s.children.remove(it.s.children.idle()[0])
    it.tick()
    assert it.s.wanted > 0
    it.signals.arrived = 1
    it.tick(0)
    it.start_children()
    it.keeper.said(op="pong")
    it.tick(0)
    assert it.s.children.idle()
    before = it.flaky.written
    for _ in range(5):
        it.tick(0)
    assert it.flaky.written == before
    assert it.loop._until_next() > 0


def test_a_drain_that_takes_too_long_terminates_what_is_left(it: Scripted) -> None:
    it.get_ready()
    run(it, "one")
    it.signals.arrived = 1
    it.tick()
    it.tick(31)
    assert [(o["reason"], o["grace"]) for o in it.keeper.of("terminate")] == [("shutdown", 5.0)]


def test_a_second_signal_ends_the_drain_and_a_third_the_grace(it: Scripted) -> None:
    it.get_ready()
    run(it, "one")
    it.signals.arrived = 2
    it.tick()
    it.signals.arrived = 3
    it.tick()
    assert [o["grace"] for o in it.keeper.of("terminate")] == [5.0, 0.0]


def test_a_signal_after_the_drain_has_run_out_ends_the_grace(it: Scripted) -> None:
    it.get_ready()
    run(it, "one")
    it.signals.arrived = 1
    it.tick()
    it.tick(31)
    it.signals.arrived = 2
    it.tick()
    assert [o["grace"] for o in it.keeper.of("terminate")] == [5.0, 0.0]


def test_a_stop_does_not_wait_for_ever_for_a_database_that_does_not_answer(it: Scripted) -> None:
    it.get_ready()
    run(it, "one")
    it.end(it.s.children.with_jobs()[0])
    it.signals.arrived = 2
    it.flaky.fail_before_commit = 1000
    it.s.here.lifelines.mkdir()
    (it.s.here.lifelines / "me").touch()
    for _ in range(10):
        it.tick(10)
    with pytest.raises(StoreUnavailable, match="that 1 jobs have ended is not on record"):
        it.loop.run()
    assert job(it, "one").status is JobStatus.IN_PROGRESS
    assert (it.s.here.lifelines / "me").exists(), "it must still be possible to judge us"


def test_a_stop_that_cannot_end_a_job_names_its_processes_and_not_the_database(it: Scripted) -> None:
    it.get_ready()
    run(it, "one")
    (child,) = it.s.children.running()
    it.signals.arrived = 2
    it.tick()
    it.keeper.said(op="unkillable", child=child.number, pids=[77, 78], termination=None)
    for _ in range(10):
        it.tick(10)
    with pytest.raises(JobsLeft, match=r"1 jobs could not be ended.* \(pids 77, 78\): look at") as told:
        it.loop.run()
    assert (told.value.exit_code, "database" in str(told.value)) == (1, False)
    assert job(it, "one").status is JobStatus.IN_PROGRESS


def test_a_stop_that_can_neither_end_one_job_nor_record_another_tells_both(it: Scripted) -> None:
    it.get_ready()
    run(it, "one")
    run(it, "two")
    it.signals.arrived = 2
    it.tick()
    it.flaky.fail_before_commit = 1000
    it.end(it.s.children.with_jobs()[0])
    for _ in range(10):
        it.tick(10)
    both = (
        "that 1 jobs have ended is not on record, .*; 1 jobs could not be ended, not even with SIGKILL: look"
    )
    with pytest.raises(StoreUnavailable, match=both):
        it.loop.run()


def test_without_memory_for_a_transaction_outcomes_wait(
    it: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    it.get_ready()
    run(it, "one")
    it.end(it.s.children.with_jobs()[0])

    def no_memory(*_: object) -> None:
        raise MemoryError

    with monkeypatch.context() as patched:
        patched.setattr(recording, "record_outcomes", no_memory)
        it.tick()
        assert job(it, "one").status is JobStatus.IN_PROGRESS
    it.tick(6)
    assert job(it, "one").status is not JobStatus.IN_PROGRESS


def test_one_that_was_given_up_claims_nothing_more_and_ends(it: Scripted) -> None:
    it.get_ready()
    run(it, "one")
    with it.store.write() as tx:
        supervisors.set_state(tx, uuid="me", state="lost", now=it.clock.now())
    with pytest.raises(GivenUp):
        it.tick(6)
    assert job(it, "one").status is JobStatus.IN_PROGRESS


def test_a_keeper_that_answers_is_kept(it: Scripted) -> None:
    it.get_ready()
    for _ in range(20):
        it.tick(5)
        it.keeper.said(op="pong")
    assert "keeper_slow" not in it.log.getvalue()


def test_a_keeper_that_stops_answering_is_killed(it: Scripted) -> None:
    it.get_ready()
    killed: list[int] = []
    it.keeper.kill = lambda: killed.append(it.keeper.number)  # type: ignore[method-assign]
    for _ in range(3):
        it.tick(10)
    assert killed == []
    it.tick(10)
    assert killed == [1]


def test_a_long_sleep_of_the_whole_service_is_not_held_against_its_keeper(it: Scripted) -> None:
    it.get_ready()
    it.tick(100_000)
    it.tick(100_000)
    assert "keeper_slow" not in it.log.getvalue()


def test_progress_is_recorded_newest_only(it: Scripted) -> None:
    it.get_ready()
    run(it, "one")
    child = it.s.children.with_jobs()[0]
    for fraction in (0.1, 0.2, 0.7):
        it.keeper.said(op="progress", child=child.number, kind="progress", fraction=fraction, message="m")
    it.tick()
    assert (job(it, "one").progress_fraction, job(it, "one").progress_message) == (0.7, "m")


def test_the_last_progress_before_the_end_is_recorded_with_it(it: Scripted) -> None:
    it.get_ready()
    run(it, "one")
    child = it.s.children.with_jobs()[0]
    it.keeper.said(op="progress", child=child.number, kind="progress", fraction=1.0, message="done")
    it.end(child)
    it.tick(0)
    assert (job(it, "one").status, job(it, "one").progress_fraction) == (JobStatus.COMPLETED, 1.0)


def test_the_last_progress_outlives_a_transaction_that_fails(it: Scripted) -> None:
    it.get_ready()
    run(it, "one")
    child = it.s.children.with_jobs()[0]
    it.keeper.said(op="progress", child=child.number, kind="progress", fraction=1.0, message="done")
    it.end(child)
    it.flaky.fail_before_commit = 1
    it.tick(0)
    it.tick(10)
    assert (job(it, "one").status, job(it, "one").progress_fraction) == (JobStatus.COMPLETED, 1.0)


def test_progress_that_is_newer_than_what_was_recorded_is_recorded_too(it: Scripted) -> None:
    it.get_ready()
    run(it, "one")
    (child,) = it.s.children.running()
    child.progress = {"fraction": 0.5, "message": None}
    with it.store.write() as tx:
        entry = Entry(tx)
        recording.record_progress(it.s, entry)
    child.progress = {"fraction": 0.6, "message": None}
    for effect in entry.effects:
        effect()
    it.tick()
    assert job(it, "one").progress_fraction == 0.6
    assert not it.s.children.running()[0].progress


def test_progress_that_waits_for_the_database_takes_no_turns_meanwhile(it: Scripted) -> None:
    it.get_ready()
    run(it, "one")
    (child,) = it.s.children.running()
    it.flaky.fail_before_commit = 10
    for _ in range(6):
        it.keeper.said(op="progress", child=child.number, kind="progress", fraction=0.5, message="m")
        it.keeper.said(op="pong")
        it.tick(5)
    it.clock.advance(1)
    assert it.loop._until_next() > 0


@pytest.mark.parametrize("fraction", ["a lot", None, 2, -1, float("nan"), True, [1]])
def test_progress_that_makes_no_sense_is_not_recorded(it: Scripted, fraction: object) -> None:
    it.get_ready()
    run(it, "one")
    child = it.s.children.with_jobs()[0]
    it.keeper.said(op="progress", child=child.number, kind="progress", fraction=fraction, message="m")
    it.tick()
    assert job(it, "one").progress_fraction in (None, 1.0)


def test_a_tick_without_news_writes_nothing(it: Scripted) -> None:
    it.get_ready()
    it.tick()
    before = it.flaky.data_version()
    with sqlite3.connect(it.s.settings.locations.database) as outside:
        first = outside.execute("pragma data_version").fetchone()
        for _ in range(3):
            it.tick(0.1)
        assert outside.execute("pragma data_version").fetchone() == first
    assert it.flaky.data_version() == before


def test_what_cannot_be_killed_is_on_record_until_it_ends(it: Scripted) -> None:
    it.get_ready()
    run(it, "one")
    (child,) = it.s.children.running()
    tried = {"reason": "cancel", "signals": [], "seconds": 5.0, "killed": 1}
    it.keeper.said(op="unkillable", child=child.number, pids=[7], termination=tried)
    it.tick()
    it.tick()
    with it.store.read() as tx:
        assert attempts.of(tx, "one")[0].termination == tried | {"unkillable": [7]}
        assert attempts.unkillable(tx) == ("one",)
    it.end(child)
    it.tick()
    with it.store.read() as tx:
        assert attempts.unkillable(tx) == ()


def test_a_tick_in_which_nothing_has_changed_takes_no_transaction(it: Scripted) -> None:
    it.get_ready()
    it.tick(5.0)  # with a heartbeat
    before = it.flaky.written
    it.tick(1.0)
    assert it.flaky.written == before
    submit(it, "one")
    it.tick(1.0)
    assert job(it, "one").status is JobStatus.IN_PROGRESS


def test_a_database_that_has_gone_is_noticed_in_a_silent_tick(it: Scripted) -> None:
    it.get_ready()
    it.tick()
    it.store.path.rename(it.store.path.with_suffix(".away"))
    it.tick(1.0)
    it.store.path.with_suffix(".away").rename(it.store.path)
    assert "database_unavailable" in it.log.getvalue()
