"""Recovery with a scripted clock and keeper, over a real SQLite file."""

import errno
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from supervisor import keeping, liveness
from supervisor.jobtypes.records import JobType
from supervisor.lifecycle import FailureKind, JobStatus
from supervisor.lifeline import Lifeline
from supervisor.outcome import Outcome
from supervisor.store import attempts, jobs, supervisors
from supervisor.store.records import Job, Supervisor
from tests.support.builders import a_supervisor
from tests.support.scripted import HELD, Scripted, scripted
from workers import subtree
from workers.identity import Identity

NOBODY = Identity(4_000_000, 1, None)
"""No process: pids do not go that far here."""


@pytest.fixture
def it(tmp_path: Path) -> Iterator[Scripted]:
    with scripted(tmp_path, JobType(name="Mail", handler="a:b", max_concurrency=2)) as one:
        yield one


def owner(it: Scripted, **other: object) -> Supervisor:
    here = it.s.here
    facts = {"uuid": "dead", "host": here.host, "boot_id": here.boot_id, "pid_namespace": here.pid_namespace}
    return a_supervisor(**(facts | {"identity": NOBODY} | other))


def leave_a_job(it: Scripted, by: Supervisor, job_id: str = "left") -> None:
    """A job that is InProgress on record and belongs to this supervisor."""
    with it.store.write() as tx:
        if supervisors.get(tx, by.uuid) is None:
            supervisors.register(tx, by)
        jobs.insert(tx, id=job_id, type="Mail", payload="1", priority=0, max_attempts=1, created_at=1)
        assert jobs.claim(tx, job_id=job_id, owner=by.uuid, attempt=1, child=NOBODY, now=1)


def begin(it: Scripted) -> None:
    it.tick()
    it.keeper.said(op="ready", pid=1, preloaded=[], refused={}, **HELD)
    it.tick()


def job(it: Scripted, job_id: str = "left") -> Job:
    with it.store.read() as tx:
        found = jobs.get(tx, job_id)
    assert found is not None
    return found


def test_where_no_descriptor_is_left_to_look_with_nobody_is_taken_for_dead(
    it: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> bool:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    leave_a_job(it, owner(it))
    with monkeypatch.context() as starved:
        starved.setattr(liveness, "is_alive", refuse)
        begin(it)
        it.tick()
        assert "turn_failed: the host refuses what is needed" in it.log.getvalue()
        assert not it.keeper.of("sweep")
        assert not it.s.ready
    it.tick(6.0)
    assert [order["owner"] for order in it.keeper.of("sweep")] == ["dead"]
    assert "database_back" not in it.log.getvalue()


def test_where_no_descriptor_is_left_what_a_dead_keeper_left_counts_as_there(
    it: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> list[Identity]:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    begin(it)
    it.tick()
    it.keeper.lost = True
    it.tick()
    it.tick()
    it.keeper.said(op="ready", pid=1, preloaded=[], refused={}, **HELD)
    it.tick()
    with monkeypatch.context() as starved:
        starved.setattr(keeping, "adopted", refuse)
        it.keeper.said(op="swept", owner="me:1", killed=0)
        it.tick()
        assert not it.s.keeping.is_swept(1)
    it.keeper.said(op="swept", owner="me:1", killed=0)
    it.tick()
    assert it.s.keeping.is_swept(1)


def test_an_orphan_fails_only_after_nothing_of_its_owner_is_running(it: Scripted) -> None:
    leave_a_job(it, owner(it))
    begin(it)
    assert [(o["owner"], o["children"]) for o in it.keeper.of("sweep")] == [("dead", [[4_000_000, 1, None]])]
    for _ in range(3):
        it.tick()
    assert job(it).status is JobStatus.IN_PROGRESS
    it.keeper.said(op="swept", owner="dead", killed=2)
    it.tick()
    assert (job(it).status, job(it).failure_kind) == (JobStatus.FAILED, FailureKind.OWNER_DIED)
    assert f"dead (pid 4000000 on {it.s.here.host})" in (job(it).error_message or "")


def test_nothing_is_claimed_before_the_orphans_of_the_start_are_settled(it: Scripted) -> None:
    leave_a_job(it, owner(it))
    with it.store.write() as tx:
        jobs.insert(tx, id="waits", type="Mail", payload="1", priority=0, max_attempts=1, created_at=1)
    begin(it)
    for _ in range(3):
        it.start_children()
        it.tick()
    assert it.keeper.of("assign") == []
    it.keeper.said(op="swept", owner="dead", killed=0)
    for _ in range(3):
        it.tick()
        it.start_children()
    assert [o["job"]["job_id"] for o in it.keeper.of("assign")] == ["waits"]


def test_orphans_that_hang_in_the_kernel_hold_up_no_other_job(it: Scripted) -> None:
    leave_a_job(it, owner(it))
    with it.store.write() as tx:
        jobs.insert(tx, id="waits", type="Mail", payload="1", priority=0, max_attempts=1, created_at=1)
    begin(it)
    it.keeper.said(op="unswept", owner="dead", pids=[4_000_000])
    for _ in range(4):
        it.tick()
        it.start_children()
    assert "processes [4000000] of dead do not end in spite of SIGKILL" in it.log.getvalue()
    assert [o["job"]["job_id"] for o in it.keeper.of("assign")] == ["waits"]
    assert job(it).status is JobStatus.IN_PROGRESS
    it.keeper.said(op="swept", owner="dead", killed=1)
    it.tick()
    assert job(it).failure_kind is FailureKind.OWNER_DIED


def test_an_owner_in_another_container_is_recovered_once_its_lifeline_is_cut(it: Scripted) -> None:
    lifelines = it.s.here.lifelines
    leave_a_job(it, owner(it, pid_namespace=1))
    with Lifeline(lifelines, "dead"):
        begin(it)
        it.tick()
        assert it.keeper.of("sweep") == []
    it.tick()
    assert [(o["owner"], o["children"]) for o in it.keeper.of("sweep")] == [("dead", [])]
    it.keeper.said(op="swept", owner="dead", killed=0)
    it.tick()
    assert job(it).failure_kind is FailureKind.OWNER_DIED
    assert list(lifelines.iterdir()) == []


def test_after_a_reboot_there_is_nothing_to_sweep(it: Scripted) -> None:
    leave_a_job(it, owner(it, boot_id="another boot"))
    begin(it)
    assert it.keeper.of("sweep") == []
    assert job(it).failure_kind is FailureKind.HOST_REBOOTED


def test_an_orphan_whose_end_was_asked_for_is_cancelled(it: Scripted) -> None:
    leave_a_job(it, owner(it))
    with it.store.write() as tx:
        jobs.request_cancel(tx, id="left", now=1)
    begin(it)
    it.keeper.said(op="swept", owner="dead", killed=1)
    it.tick()
    assert job(it).status is JobStatus.CANCELLED


def test_the_jobs_of_a_living_supervisor_are_not_touched(it: Scripted) -> None:
    parent = Identity.of(os.getppid())
    leave_a_job(it, owner(it, uuid="alive", identity=parent))
    begin(it)
    for _ in range(5):
        it.tick()
    assert it.keeper.of("sweep") == []
    assert job(it).status is JobStatus.IN_PROGRESS


def test_an_owner_that_cannot_be_judged_from_here_is_left_alone_and_said_once(it: Scripted) -> None:
    leave_a_job(it, owner(it, pid_namespace=1))
    begin(it)
    for _ in range(5):
        it.tick()
    assert job(it).status is JobStatus.IN_PROGRESS
    assert it.log.getvalue().count("owner_not_judged") == 1


def test_a_supervisor_that_dies_later_is_recovered_on_the_timer(it: Scripted) -> None:
    begin(it)
    it.tick()
    leave_a_job(it, owner(it))
    it.tick(it.s.settings.recovery)
    assert [o["owner"] for o in it.keeper.of("sweep")] == ["dead"]


def test_what_was_asked_of_a_keeper_that_died_is_asked_of_the_next(it: Scripted) -> None:
    leave_a_job(it, owner(it))
    begin(it)
    it.keeper.lost = True
    it.tick()
    begin(it)
    it.tick()
    assert "dead" in [o["owner"] for o in it.keepers[1].of("sweep")]


def test_a_keepers_death_does_not_make_a_recovery_complete_that_is_not(it: Scripted) -> None:
    leave_a_job(it, owner(it))
    leave_a_job(it, owner(it, uuid="another"), "also")
    begin(it)
    it.keeper.said(op="swept", owner="dead", killed=0)
    it.keeper.lost = True
    it.tick()
    it.tick()
    assert job(it, "also").status is JobStatus.IN_PROGRESS
    assert not it.s.recovery.complete


def test_a_job_whose_owner_is_on_record_as_ended_is_recovered_too(it: Scripted) -> None:
    leave_a_job(it, owner(it))
    with it.store.write() as tx:
        supervisors.set_state(tx, uuid="dead", state="stopped", now=1)
    begin(it)
    it.keeper.said(op="swept", owner="dead", killed=0)
    it.tick()
    assert job(it).failure_kind is FailureKind.OWNER_DIED


def test_a_recovery_whose_commit_fails_is_done_again(it: Scripted) -> None:
    leave_a_job(it, owner(it))
    leave_a_job(it, owner(it), "also")
    begin(it)
    it.keeper.said(op="swept", owner="dead", killed=0)
    it.flaky.fail_before_commit = 1
    it.tick()
    assert job(it).status is JobStatus.IN_PROGRESS
    it.tick(10)
    assert {job(it).status, job(it, "also").status} == {JobStatus.FAILED}


def test_a_look_whose_commit_fails_is_taken_again_with_the_next_transaction(it: Scripted) -> None:
    """Not when the next one is due: commits that fail in step with it would keep us from ever beginning."""
    it.tick()
    it.keeper.said(op="ready", pid=1, preloaded=[], refused={}, **HELD)
    it.flaky.fail_before_commit = 1
    it.tick()
    assert not it.s.ready
    it.tick(0.2)
    assert it.s.ready


def test_the_private_folder_of_an_orphan_is_removed(it: Scripted) -> None:
    leave_a_job(it, owner(it))
    begin(it)
    it.keeper.said(op="swept", owner="dead", killed=0)
    it.tick()
    expected = str(it.s.settings.locations.working_directory_of("left", 1))
    assert [o["directory"] for o in it.keeper.of("discard")] == [expected]


def test_a_private_folder_here_is_removed_where_the_one_that_recovers_its_owner_is_elsewhere(
    it: Scripted,
) -> None:
    leave_a_job(it, owner(it, identity=it.s.me))  # it lives
    directory = it.s.settings.locations.working_directory_of("left", 1)
    directory.mkdir()
    begin(it)
    it.tick()
    assert it.keeper.of("discard") == []
    with it.store.write() as tx:
        gone = Outcome(JobStatus.FAILED, FailureKind.OWNER_DIED)
        assert jobs.finish(tx, job_id="left", owner="dead", attempt=1, outcome=gone, now=1)
    it.tick()
    assert [order["directory"] for order in it.keeper.of("discard")] == [str(directory)]
    directory.rmdir()
    it.tick()
    assert len(it.keeper.of("discard")) == 1


def test_groups_are_ended_of_supervisors_on_record_as_ended_and_of_no_others(
    it: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    with it.store.write() as tx:
        supervisors.register(tx, owner(it))
        supervisors.set_state(tx, uuid="dead", state="stopped", now=1)
        supervisors.register(tx, owner(it, uuid="living", identity=it.s.me))
    ended: list[str] = []
    monkeypatch.setattr(subtree, "owners", lambda: {"dead", "living", "a stranger"})
    monkeypatch.setattr(subtree, "end", ended.append)
    begin(it)
    assert ended == ["dead"]


def test_groups_are_ended_of_one_of_ours_that_was_killed_before_it_was_on_record(
    it: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    lifelines = it.s.here.lifelines
    with Lifeline(lifelines, "killed"):
        pass
    ended: list[str] = []
    monkeypatch.setattr(subtree, "owners", lambda: {"killed", "begins", "a stranger"})
    monkeypatch.setattr(subtree, "end", ended.append)
    with Lifeline(lifelines, "begins"):
        begin(it)
    assert ended == ["killed"]
    assert [each.name for each in lifelines.iterdir()] == ["begins"]


def test_the_keeper_is_told_for_how_long_the_owner_has_been_silent(it: Scripted) -> None:
    now = it.clock.now()
    leave_a_job(it, owner(it, heartbeat_at=now - 90_000))
    leave_a_job(it, owner(it, uuid="of the future", heartbeat_at=now + 3_600_000), "also")
    begin(it)
    silent = {order["owner"]: order["silent"] for order in it.keeper.of("sweep")}
    assert silent["of the future"] is None
    assert 90 <= silent["dead"] < 120


def test_what_a_retiring_keeper_was_asked_to_sweep_is_asked_of_the_one_that_serves(
    it: Scripted, tmp_path: Path
) -> None:
    (tmp_path / "jobtypes.yaml").write_text("job_types: {Mail: {handler: 'a:b', max_concurrency: 2}}")
    leave_a_job(it, owner(it))
    begin(it)
    assert [order["owner"] for order in it.keeper.of("sweep")] == ["dead"]
    it.signals.hung_up = True
    it.tick()
    begin(it)
    assert len(it.keepers) == 2
    assert [order["owner"] for order in it.keeper.of("sweep")] == ["dead"]
    it.keeper.said(op="swept", owner="dead", killed=1)
    it.tick()
    assert job(it).status is JobStatus.FAILED


def test_what_the_keeper_of_a_dead_supervisor_wrote_down_is_recorded_and_what_is_torn_is_not(
    it: Scripted,
) -> None:
    leave_a_job(it, owner(it))
    end = {
        "identity": [NOBODY.pid, NOBODY.start_ticks, NOBODY.pidfd_inode],
        "assigned": True,
        "status": 9,
        "report": None,
        "broken": False,
        "leftovers": 2,
        "termination": None,
        "isolation": "cgroup",
        "user_seconds": 1.5,
        "system_seconds": 0.25,
        "max_rss_bytes": 4096,
    }
    whole = json.dumps(end)
    bad: tuple[object, ...] = (
        end | {"user_seconds": -1.0},
        end | {"max_rss_bytes": 2**70},
        end | {"isolation": "?"},
        end | {"identity": [[1], 2, 3]},
        {},
        [],
    )
    lines = [whole, *map(json.dumps, bad), "[" * 100_000, "nonsense", whole[:50]]
    it.s.here.lifelines.mkdir(exist_ok=True)
    (it.s.here.lifelines / "dead").write_text("\n".join(lines))
    begin(it)
    it.keeper.said(op="swept", owner="dead", killed=0)
    it.tick()
    with it.store.read() as tx:
        (attempt,) = attempts.of(tx, "left")
    assert (attempt.failure_kind, attempt.signal, attempt.isolation) == ("owner_died", 9, "cgroup")
    assert (attempt.user_seconds, attempt.system_seconds, attempt.max_rss_bytes) == (1.5, 0.25, 4096)
    assert attempt.termination == {"reason": "leftovers", "signals": [], "seconds": 0.0, "killed": 2}
