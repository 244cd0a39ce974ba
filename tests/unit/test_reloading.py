"""SIGHUP, with a scripted clock and scripted keepers: what comes into force when, and what is left alone."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from supervisor.jobtypes.load import load
from supervisor.lifecycle import FailureKind, JobStatus
from supervisor.notify import Notify
from supervisor.store import jobs
from supervisor.store.records import Job
from tests.support.scripted import HELD, Scripted, ScriptedKeeper, ended, scripted
from tests.support.servicemanager import Listener

MAIL = "  Mail: {handler: 'a:b', max_concurrency: 2, timeout: 60s, grace: 5s}\n"
REPORT = "  Report: {command: ['true'], max_concurrency: 1}\n"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "jobtypes.yaml"
    path.write_text(f"job_types:\n{MAIL}{REPORT}")
    return path


@pytest.fixture
def it(tmp_path: Path, file: Path) -> Iterator[Scripted]:
    with scripted(tmp_path, *load(file).types.values()) as one:
        one.get_ready()
        yield one


def submit(it: Scripted, *job_ids: str, type_: str = "Mail") -> None:
    for job_id in job_ids:
        with it.store.write() as tx:
            jobs.insert(tx, id=job_id, type=type_, payload="1", priority=0, max_attempts=2, created_at=1)


def job(it: Scripted, job_id: str) -> Job:
    with it.store.read() as tx:
        found = jobs.get(tx, job_id)
    assert found is not None
    return found


def run(it: Scripted, *job_ids: str, type_: str = "Mail") -> None:
    submit(it, *job_ids, type_=type_)
    it.tick()
    it.start_children()
    it.tick()
    assert {job(it, job_id).status for job_id in job_ids} == {JobStatus.IN_PROGRESS}


def hang_up(it: Scripted) -> None:
    it.signals.hung_up = True
    it.tick(0.1)


def get_keeper_ready(it: Scripted) -> ScriptedKeeper:
    """The newest keeper has imported everything."""
    it.tick(0.1)
    it.keeper.said(op="ready", pid=it.keeper.pid, preloaded=[], refused={}, **HELD)
    it.tick(0.1)
    return it.keeper


def reload(it: Scripted, file: Path, types: str) -> ScriptedKeeper:
    file.write_text(f"job_types:\n{types}")
    hang_up(it)
    return get_keeper_ready(it)


def test_new_types_count_from_the_turn_in_which_a_keeper_with_their_code_serves(
    it: Scripted, file: Path
) -> None:
    before = it.keeper
    file.write_text(f"job_types:\n{MAIL}  New: {{handler: 'a:new', max_concurrency: 1}}\n")
    submit(it, "new", type_="New")
    hang_up(it)
    for _ in range(3):
        it.tick()
    assert it.keeper is not before
    assert it.keeper.of("preload")[0]["targets"] == ["a:b", "a:new"]
    assert job(it, "new").status is JobStatus.PENDING
    get_keeper_ready(it)
    it.start_children()
    it.tick()
    assert [order["job"]["job_id"] for order in it.keeper.of("assign")] == ["new"]
    assert before.of("assign") == []


def test_until_then_jobs_go_on_to_begin_with_the_old_code(it: Scripted, file: Path) -> None:
    before = it.keeper
    hang_up(it)
    run(it, "one")
    assert [order["job"]["job_id"] for order in before.of("assign")] == ["one"]


def test_what_runs_is_not_touched_and_its_keeper_leaves_after_its_last_job(it: Scripted, file: Path) -> None:
    run(it, "one", "two")
    old = it.keeper
    reload(it, file, MAIL.replace("60s", "1s").replace("2", "1"))
    it.tick(10)
    assert old.of("terminate") == []
    assert not old.is_closed()
    first, second = it.s.children.with_jobs()
    for child in (first, second):
        assert not old.is_closed()
        old.said(**ended(child.number))
        it.tick(0.1)
        it.tick(0.1)
    assert old.is_closed()
    assert (job(it, "one").status, job(it, "two").status) == (JobStatus.COMPLETED, JobStatus.COMPLETED)
    old.lost = True
    it.tick()
    assert "keeper_left" in it.log.getvalue()
    assert "keeper_died" not in it.log.getvalue()


def test_an_idle_keeper_leaves_at_once_and_its_spares_get_no_job(it: Scripted, file: Path) -> None:
    old = it.keeper
    spares = [child.number for child in it.s.children.idle()]
    new = reload(it, file, MAIL)
    assert [order["child"] for order in old.of("dismiss")] == spares
    it.tick()
    assert old.is_closed()
    it.start_children()
    run(it, "one")
    assert old.of("assign") == []
    assert len(new.of("assign")) == 1


def test_a_timeout_holds_as_it_was_when_the_job_began(it: Scripted, file: Path) -> None:
    run(it, "one")
    old = it.keeper
    reload(it, file, MAIL.replace("60s", "1000s"))
    it.tick(61)
    assert [order["reason"] for order in old.of("terminate")] == ["timeout"]


def test_a_cancel_reaches_the_retiring_keeper(it: Scripted, file: Path) -> None:
    run(it, "one")
    old = it.keeper
    new = reload(it, file, MAIL)
    with it.store.write() as tx:
        jobs.request_cancel(tx, id="one", now=1)
    it.tick()
    assert [order["reason"] for order in old.of("terminate")] == ["cancel"]
    assert new.of("terminate") == []


def test_the_retries_of_a_running_job_are_those_of_its_beginning(it: Scripted, file: Path) -> None:
    reload(it, file, MAIL.replace("}", ", retries: {max_attempts: 2}}"))
    it.start_children()
    run(it, "one")
    old = it.keeper
    reload(it, file, REPORT)
    (child,) = it.s.children.with_jobs()
    old.said(**ended(child.number, report={"kind": "raised", "message": "no", "interrupted": False}))
    it.tick()
    assert (job(it, "one").status, job(it, "one").attempt) == (JobStatus.PENDING, 1)


def test_a_limit_below_what_runs_ends_nothing_and_starts_nothing(it: Scripted, file: Path) -> None:
    run(it, "one", "two")
    old = it.keeper
    new = reload(it, file, MAIL.replace("max_concurrency: 2", "max_concurrency: 1"))
    submit(it, "three")
    it.start_children()
    for child in it.s.children.with_jobs():
        it.tick()
        assert new.of("assign") == []
        old.said(**ended(child.number))
        it.tick()
    it.tick()
    assert len(new.of("assign")) == 1


def test_jobs_of_a_type_that_is_gone_stay_pending_until_it_is_back(it: Scripted, file: Path) -> None:
    submit(it, "one", "two", "three")
    it.tick()
    it.start_children()
    reload(it, file, REPORT)
    for child in it.s.children.with_jobs():
        it.keepers[0].said(**ended(child.number))
    it.tick()
    it.start_children()
    it.tick()
    assert [job(it, each).status for each in ("one", "two", "three")] == [
        JobStatus.COMPLETED,
        JobStatus.COMPLETED,
        JobStatus.PENDING,
    ]
    reload(it, file, MAIL + REPORT)
    it.start_children()
    it.tick()
    assert job(it, "three").status is JobStatus.IN_PROGRESS


def test_everything_that_changed_is_said(it: Scripted, file: Path) -> None:
    changed = (
        "  Mail: {handler: 'a:b', max_concurrency: 5, timeout: 60s, grace: 5s, env: {set: {KEY: hush}}}\n"
    )
    reload(it, file, f"{changed}  New: {{command: ['true'], max_concurrency: 1}}\n")
    said = [line.split(" ", 1)[1].strip() for line in it.log.getvalue().splitlines() if " type_" in line]
    assert said == [
        "warning type_removed: Report is gone: its running jobs go on, those that wait stay Pending",
        "info    type_added: New is new: 1 at a time",
        "info    type_changed: Mail: max_concurrency was 2, is 5",
        "info    type_changed: Mail: env.set.KEY was not set, is (hidden)",
    ]
    assert "reloaded: job types in force: 2, with 4 changes" in it.log.getvalue()


def test_a_file_with_mistakes_changes_nothing_and_every_mistake_is_said(it: Scripted, file: Path) -> None:
    known = it.s.job_types
    file.write_text(
        "job_types:\n  Mail: {handler: 'a:b', max_concurrency: 0}\n  Other: {max_concurency: 1}\n"
    )
    hang_up(it)
    it.tick()
    assert it.s.job_types is known
    assert len(it.keepers) == 1
    log = it.log.getvalue()
    assert log.count("job_types_mistake") == int(log.split("cannot be used (")[1].split(" ")[0]) >= 3
    for part in ("Mail.max_concurrency", "max_concurency"):
        assert part in log
    run(it, "one")


def test_a_file_that_is_gone_changes_nothing(it: Scripted, file: Path) -> None:
    file.unlink()
    hang_up(it)
    assert "reload_refused" in it.log.getvalue()
    assert len(it.keepers) == 1
    run(it, "one")


def test_mistakes_leave_a_reload_that_is_under_way_alone(it: Scripted, file: Path) -> None:
    file.write_text(f"job_types:\n{MAIL.replace('2', '7')}")
    hang_up(it)
    file.write_text("job_types: [")
    hang_up(it)
    get_keeper_ready(it)
    assert it.s.job_types.types["Mail"].max_concurrency == 7


def test_of_two_reloads_at_once_the_last_one_counts(it: Scripted, file: Path) -> None:
    file.write_text(f"job_types:\n{MAIL.replace('2', '7')}")
    hang_up(it)
    it.tick(0.1)
    overtaken = it.keeper
    file.write_text(f"job_types:\n{MAIL.replace('2', '9')}")
    hang_up(it)
    it.tick(0.1)
    assert overtaken.is_closed()
    assert it.keeper is not overtaken
    overtaken.said(op="ready", pid=1, preloaded=[], refused={}, **HELD)
    it.tick(0.1)
    assert it.s.job_types.types["Mail"].max_concurrency == 2
    get_keeper_ready(it)
    assert it.s.job_types.types["Mail"].max_concurrency == 9


def test_a_keeper_that_dies_before_it_is_ready_is_started_again_and_the_old_one_serves_on(
    it: Scripted, file: Path
) -> None:
    old = it.keeper
    hang_up(it)
    it.tick(0.1)
    it.keeper.lost = True
    it.tick(0.1)
    run(it, "one")
    assert len(old.of("assign")) == 1
    assert len(it.keepers) == 3
    get_keeper_ready(it)
    assert it.s.coming is None
    assert not old.is_closed()


def test_when_a_retiring_keeper_dies_its_jobs_fail_once_nothing_of_them_is_left(
    it: Scripted, file: Path
) -> None:
    run(it, "one")
    old = it.keeper
    new = reload(it, file, MAIL)
    it.start_children()
    run(it, "two")
    old.lost = True
    it.tick()
    assert [order["owner"] for order in new.of("sweep")] == [old.cookie]
    assert job(it, "one").status is JobStatus.IN_PROGRESS
    new.said(op="swept", owner=old.cookie, killed=1)
    it.tick()
    assert job(it, "one").failure_kind is FailureKind.KEEPER_DIED
    assert job(it, "two").status is JobStatus.IN_PROGRESS
    assert it.keeper is new


def test_a_retiring_keeper_that_stops_answering_is_killed(it: Scripted, file: Path) -> None:
    run(it, "one")
    old = it.keeper
    killed: list[int] = []
    old.kill = lambda: killed.append(old.number)  # type: ignore[method-assign]
    new = reload(it, file, MAIL.replace("60s", "1h"))
    for _ in range(8):
        new.said(op="pong")
        it.tick(5)
    assert {*killed} == {old.number}


def test_when_the_one_that_serves_dies_during_a_reload_the_next_serves(it: Scripted, file: Path) -> None:
    old = it.keeper
    hang_up(it)
    it.tick(0.1)
    old.lost = True
    it.tick(0.1)
    assert len(it.keepers) == 2
    get_keeper_ready(it)
    it.keeper.said(op="swept", owner=old.cookie, killed=0)
    it.start_children()
    run(it, "one")
    assert len(it.keeper.of("assign")) == 1


def test_a_hangup_while_stopping_changes_nothing(it: Scripted, file: Path) -> None:
    run(it, "one")
    it.signals.arrived = 1
    it.tick()
    hang_up(it)
    it.tick()
    assert len(it.keepers) == 1
    assert "reload_ignored" in it.log.getvalue()


def test_a_stop_during_a_reload_waits_for_the_jobs_of_both(it: Scripted, file: Path) -> None:
    run(it, "one")
    old = it.keeper
    new = reload(it, file, MAIL)
    it.start_children()
    run(it, "two")
    it.signals.arrived = 2
    it.tick()
    assert [[o["reason"] for o in each.of("terminate")] for each in (old, new)] == [["shutdown"]] * 2
    for keeper, child in zip((old, new), it.s.children.with_jobs(), strict=True):
        keeper.said(**ended(child.number))
    it.tick()
    it.tick()
    assert (job(it, "one").status, job(it, "two").status) == (JobStatus.COMPLETED, JobStatus.COMPLETED)
    it.loop.run()
    assert old.is_closed()
    assert new.is_closed()


def test_the_service_manager_hears_of_the_beginning_and_of_the_end(
    it: Scripted, file: Path, tmp_path: Path
) -> None:
    with Listener(tmp_path) as manager:
        it.s.notify = Notify(manager.address)
        it.tick()
        assert "READY=1" in manager.lines()
        it.signals.hung_up = True
        it.tick(0)
        said = manager.lines()
        assert said[:2] == ["RELOADING=1", f"MONOTONIC_USEC={int(it.clock.monotonic() * 1e6)}"]
        assert "READY=1" not in said
        get_keeper_ready(it)
        assert "READY=1" in manager.lines()
        file.write_text("job_types: [")
        hang_up(it)
        said = manager.lines()
        assert said[0] == "RELOADING=1"
        assert "READY=1" in said
