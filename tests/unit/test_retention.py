"""The duty in the supervisor's loop, with a scripted clock, over a real SQLite file and real logs."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as some

from supervisor.jobtypes.records import JobType
from supervisor.lifecycle import FailureKind, JobStatus
from supervisor.outcome import Outcome
from supervisor.removed_logs import SLICE, RemovedLogs
from supervisor.steady import SteadyClock
from supervisor.store import jobs, open_store
from tests.support.builders import an_identity
from tests.support.deep import dig
from tests.support.scripted import Scripted, ScriptedClock, scripted

DAY = 86_400


@pytest.fixture
def it(tmp_path: Path) -> Iterator[Scripted]:
    with scripted(tmp_path, JobType(name="Mail", handler="a:b", max_concurrency=2)) as one:
        one.get_ready()
        yield one


def ended(it: Scripted, job_id: str, status: JobStatus = JobStatus.COMPLETED, log: bytes = b"said") -> Path:
    """A job that ended just now; its log."""
    kind = FailureKind.RAISED if status is JobStatus.FAILED else None
    with it.store.write() as tx:
        jobs.insert(
            tx, id=job_id, type="Mail", payload="1", priority=0, max_attempts=1, created_at=it.clock.now()
        )
        jobs.claim(tx, job_id=job_id, owner="she", attempt=1, child=an_identity(), now=it.clock.now())
        jobs.finish(
            tx, job_id=job_id, owner="she", attempt=1, outcome=Outcome(status, kind), now=it.clock.now()
        )
    file = it.s.settings.locations.log_of(job_id, 1)
    file.parent.mkdir()
    file.write_bytes(log)
    return file


def on_record(it: Scripted) -> set[str]:
    with it.store.read() as tx:
        return {job.id for job in jobs.page(tx, limit=100)}


def prune(it: Scripted) -> None:
    """More turns than a pass needs."""
    for _ in range(12):
        it.tick(61)


def test_each_status_is_kept_for_its_own_time(it: Scripted) -> None:
    logs = {
        status: ended(it, status, status)
        for status in (JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.CANCELLED)
    }
    it.clock.advance(7 * DAY - 2000)
    prune(it)
    assert on_record(it) == {*logs}
    it.clock.advance(2000)
    prune(it)
    assert on_record(it) == {"Failed"}
    assert [status for status, log in logs.items() if log.exists()] == ["Failed"]
    it.clock.advance(23 * DAY)
    prune(it)
    assert on_record(it) == set()
    left = it.s.settings.locations.logs
    assert [path for path in left.rglob("*") if path.name != ".removed"] == []
    assert (
        "jobs_pruned: removed after their time: 1 Completed, 1 Cancelled; 0.0 MB of logs" in it.log.getvalue()
    )


def test_nothing_is_removed_before_the_service_is_ready_or_while_it_stops(tmp_path: Path) -> None:
    with scripted(tmp_path, JobType(name="Mail", handler="a:b", max_concurrency=2)) as it:
        ended(it, "old")
        it.clock.advance(8 * DAY)
        for _ in range(5):
            it.tick(100)
        assert on_record(it) == {"old"}
        it.get_ready()
        it.s.draining = True
        for _ in range(5):
            it.loop._retention.step(it.s, it.store, busy=False)
        it.s.draining = False
        prune(it)
        assert on_record(it) == set()


def test_work_comes_first_but_not_for_ever(it: Scripted) -> None:
    prune(it)
    ended(it, "old")
    it.clock.advance(8 * DAY)
    duty = it.loop._retention
    duty._due_at = it.clock.monotonic()
    duty.step(it.s, it.store, busy=True)
    assert on_record(it) == {"old"}
    it.clock.advance(11)
    for _ in range(3):
        duty.step(it.s, it.store, busy=True)
        it.clock.advance(11)
    assert on_record(it) == set()


def test_a_log_that_cannot_be_put_aside_keeps_its_job_and_no_other(it: Scripted) -> None:
    in_the_way, other = ended(it, "stuck"), ended(it, "other")
    obstacle = it.s.settings.locations.logs / ".removed" / "stuck" / "file"
    obstacle.parent.mkdir(parents=True)
    obstacle.write_text("cannot be removed, says the test")
    remove = os.unlink

    def unlink(name: str, *, dir_fd: int | None = None) -> None:
        if name == obstacle.name:
            raise PermissionError(1, "Operation not permitted")
        remove(name, dir_fd=dir_fd)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(os, "unlink", unlink)
        it.clock.advance(8 * DAY)
        prune(it)
        prune(it)
        assert on_record(it) == {"stuck"}
        assert (in_the_way.exists(), other.exists()) == (True, False)
        assert it.log.getvalue().count(f"{obstacle} cannot be removed") == 1
    prune(it)
    assert on_record(it) == set()
    assert not in_the_way.exists()
    assert not obstacle.exists()


def test_a_transaction_that_fails_leaves_the_job_and_is_tried_again(it: Scripted) -> None:
    log = ended(it, "old")
    duty = it.loop._retention
    duty._due_at = float("inf")
    it.tick(8 * DAY)
    duty._due_at = it.clock.monotonic()
    it.flaky.fail_before_commit = 1
    it.loop._prune()
    assert "database_unavailable" in it.log.getvalue()
    assert it.flaky.fail_before_commit == 0
    assert on_record(it) == {"old"}
    prune(it)
    assert on_record(it) == set()
    assert not log.exists()


def test_nobody_who_writes_is_waited_for(it: Scripted) -> None:
    ended(it, "old")
    duty = it.loop._retention
    duty._due_at = float("inf")
    it.tick(8 * DAY)
    with open_store(it.s.settings.locations.database) as other, other.write():
        for _ in range(5):
            duty._due_at = it.clock.monotonic()
            it.loop._prune()
        assert on_record(it) == {"old"}
    assert "database_unavailable" not in it.log.getvalue()
    prune(it)
    assert on_record(it) == set()
    assert "1 Completed" in it.log.getvalue()


def test_two_supervisors_remove_each_job_once(it: Scripted) -> None:
    for number in range(250):
        ended(it, f"job-{number}")
    it.clock.advance(8 * DAY)
    with scripted(it.s.settings.locations.state_dir) as second:
        second.get_ready()
        second.clock.seconds = it.clock.seconds
        for _ in range(20):
            it.tick(1)
            second.tick(1)
    assert on_record(it) == set()
    for one in (it, second):
        assert "logs_not_removed" not in one.log.getvalue()
        assert "database_unavailable" not in one.log.getvalue()


def test_a_large_log_is_given_back_in_pieces(it: Scripted, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("supervisor.removed_logs._PIECE", 10)
    log = ended(it, "old", log=b"x" * 95)
    with log.open("rb") as held:  # as somebody who reads it
        it.clock.advance(8 * DAY)
        prune(it)
        assert not log.exists()
        assert 0 < len(held.read()) <= 10


def test_a_job_that_nested_folders_deeper_than_python_calls_is_removed_like_any_other(it: Scripted) -> None:
    deep, other = ended(it, "deep"), ended(it, "other")
    dig(deep.parent, 1500)
    it.clock.advance(8 * DAY)
    prune(it)
    assert on_record(it) == set()
    assert list((it.s.settings.locations.logs / ".removed").iterdir()) == []
    assert not other.exists()
    assert "logs_not_removed" not in it.log.getvalue()


class SlowClock(ScriptedClock):
    """A slice of time goes by between two looks."""

    def monotonic(self) -> float:
        self.advance(SLICE)
        return super().monotonic()


def test_deep_folders_are_removed_in_small_steps_too(tmp_path: Path) -> None:
    logs = RemovedLogs(tmp_path, SlowClock())
    (tmp_path / "job").mkdir()
    dig(tmp_path / "job", 1500)
    logs.make_folder()
    assert logs.put_aside("job")
    assert sum(1 for _ in logs.remove()) >= 2 * 1500
    assert logs.problem is None
    assert list((tmp_path / ".removed").iterdir()) == []


def test_what_a_crash_left_aside_is_removed(it: Scripted) -> None:
    left = it.s.settings.locations.logs / ".removed" / "known-to-nobody"
    (left / "deeper").mkdir(parents=True)
    (left / "deeper" / "1.log").write_text("said")
    outside = it.s.settings.locations.state_dir / "outside"
    outside.mkdir()
    (outside / "file").write_text("not ours")
    (left / "link").symlink_to(outside)
    prune(it)
    assert not left.exists()
    assert (outside / "file").exists()


def test_a_job_whose_id_is_a_path_takes_nothing_with_it(it: Scripted) -> None:
    for name in ("../outside", "..", "."):
        with it.store.write() as tx:
            jobs.insert(tx, id=name, type="Mail", payload="1", priority=0, max_attempts=1, created_at=1)
            jobs.request_cancel(tx, id=name, now=1)
    outside = it.s.settings.locations.state_dir / "outside"
    outside.mkdir()
    prune(it)
    assert on_record(it) == set()
    assert outside.exists()
    assert it.s.settings.locations.logs.exists()


def test_a_clock_that_is_set_forward_removes_nothing_before_it_has_stood_for_a_day(it: Scripted) -> None:
    ended(it, "one")
    prune(it)
    it.clock.set_by = 365_000 * DAY
    prune(it)
    assert on_record(it) == {"one"}
    it.clock.set_by = 0
    prune(it)
    assert on_record(it) == {"one"}
    it.clock.set_by = 365_000 * DAY
    prune(it)
    it.clock.advance(DAY - 2000)
    prune(it)
    assert on_record(it) == {"one"}
    it.clock.advance(2000)
    prune(it)
    assert on_record(it) == set()


def test_a_clock_that_is_set_back_removes_nothing_before_its_time_has_come_again(it: Scripted) -> None:
    ended(it, "one")
    it.clock.set_by = -1000 * DAY
    it.clock.advance(7 * DAY)
    prune(it)
    assert on_record(it) == {"one"}
    it.clock.advance(DAY)
    prune(it)
    assert on_record(it) == set()


@given(
    some.lists(
        some.tuples(some.floats(0, 2 * DAY), some.integers(-400_000 * DAY, 400_000 * DAY)), max_size=20
    )
)
def test_the_steady_clock_never_shows_more_than_the_wall_clock(steps: list[tuple[float, int]]) -> None:
    clock = ScriptedClock()
    steady = SteadyClock(clock)
    for seconds, ahead in steps:
        clock.advance(seconds)
        clock.set_by = ahead
        assert steady.now() <= clock.now() + 1
        assert steady.held_back >= 0
