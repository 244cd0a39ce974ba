"""A stop at a bad moment: during a start, during a recovery, with the database locked, from a terminal."""

import contextlib
import os
import pty
import signal
import sqlite3
import sys
from pathlib import Path

import pytest

from supervisor.lifecycle import JobStatus
from tests.support.eventually import eventually
from tests.support.history import check
from tests.support.keeper import groups_can_be_made
from tests.support.service import LIMITS, TYPES, Service
from tests.system.conftest import MakeService
from workers import subtree

A_LONG_TIME = 60.0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_during_a_start_it_is_obeyed_and_nothing_begins(
    make_service: MakeService, tmp_path: Path, number: signal.Signals
) -> None:
    service = make_service(types={**TYPES})
    waiting = service.client.submit("Echo", 1)
    serving = service.serve()
    serving.said("keeper_started")
    serving.signal(number)
    assert serving.ended() == 0
    assert service.job(waiting.id).status is JobStatus.PENDING
    assert not service.notes()
    with service.sql() as database:
        assert database.execute("SELECT state FROM supervisors").fetchall() in ([("stopped",)], [])
    service.serve()
    service.all_ended([waiting])
    check(service, [waiting.id], LIMITS)


def test_during_a_recovery_the_orphans_are_left_to_the_next_and_none_is_lost(service: Service) -> None:
    first = service.serve().ready()
    orphans = [service.client.submit("Nap", A_LONG_TIME) for _ in range(3)]
    for job in orphans:
        service.began(job.id)
    # Its keeper is stopped and cannot end anything: the next supervisor has to wait, and then sweep.
    os.kill(first.keeper, signal.SIGSTOP)
    first.kill()
    second = service.serve()
    second.said("orphans_found")
    assert second.stop() == 0
    assert not second.events("supervisor_ready")
    service.serve()
    for job in service.all_ended(orphans):
        assert (job.status, job.failure_kind) == (JobStatus.FAILED, "owner_died")
        assert first.uuid in (job.error_message or "")
    check(service, [job.id for job in orphans], LIMITS)


@pytest.mark.skipif(not groups_can_be_made(), reason="no control groups can be made here")
def test_where_the_keeper_has_just_died_its_control_groups_are_removed_all_the_same(service: Service) -> None:
    serving = service.serve().ready()
    assert subtree.left_of(serving.uuid)
    serving.signal(signal.SIGSTOP)  # so that it hears of both at once, and no other keeper is ready in time
    serving.kill_keeper()
    serving.signal(signal.SIGTERM)
    serving.signal(signal.SIGCONT)
    assert serving.ended() == 0
    assert subtree.left_of(serving.uuid) == []


def test_with_the_database_locked_jobs_end_and_it_is_recorded_once_the_lock_is_gone(service: Service) -> None:
    serving = service.serve(ASYNCWORKER_DRAIN_TIMEOUT="200ms").ready()
    job = service.client.submit("Stubborn", A_LONG_TIME)
    service.began(job.id)
    with service.sql() as outsider:
        outsider.execute("BEGIN EXCLUSIVE")
        serving.signal(signal.SIGTERM)
        serving.said("supervisor_terminating")
        serving.said("database_unavailable")
        assert serving.process.poll() is None
        outsider.execute("ROLLBACK")
    assert serving.ended() == 0
    (ended,) = service.all_ended([job])
    assert (ended.failure_kind, "stopped" in (ended.error_message or "")) == ("owner_died", True)
    check(service, [job.id], LIMITS)


def test_ctrl_c_in_a_real_terminal_lets_jobs_end(service: Service, tmp_path: Path) -> None:
    """The terminal sends SIGINT to the whole foreground group, by itself."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execve(sys.executable, [sys.executable, "-P", "-m", "supervisor"], service.environment())
    said = bytearray()

    def has_said(event: str, times: int = 1) -> bool:
        os.set_blocking(terminal, False)
        with contextlib.suppress(OSError):  # nothing at the moment; or nobody holds the other end any more
            said.extend(os.read(terminal, 65536))
        return said.count(f'"event": "{event}"'.encode()) >= times

    try:
        eventually(lambda: has_said("supervisor_ready"))
        job = service.client.submit("Until", str(tmp_path / "enough"))
        service.began(job.id)
        os.write(terminal, b"\x03")
        eventually(lambda: has_said("supervisor_draining"))
        assert service.job(job.id).status is JobStatus.IN_PROGRESS
        (tmp_path / "enough").touch()
        eventually(lambda: has_said("supervisor_stopped"))
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        pid = 0
    finally:
        if pid:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        os.close(terminal)
    assert service.job(job.id).status is JobStatus.COMPLETED


def test_a_terminal_that_is_closed_reloads_and_stops_nothing(service: Service) -> None:
    """SIGHUP is what a closing terminal sends; its log has no reader then."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execve(sys.executable, [sys.executable, "-P", "-m", "supervisor"], service.environment())
    try:
        eventually(lambda: b"supervisor_ready" in os.read(terminal, 65536))
        os.close(terminal)
        job = service.client.submit("Echo", 1)
        assert service.all_ended([job])[0].status is JobStatus.COMPLETED
    finally:
        os.kill(pid, signal.SIGTERM)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    with sqlite3.connect(service.database) as database:
        assert database.execute("SELECT state FROM supervisors").fetchall() == [("stopped",)]


def test_a_second_sigterm_ends_the_drain_of_a_real_service_at_once(service: Service) -> None:
    serving = service.serve(ASYNCWORKER_DRAIN_TIMEOUT="1h").ready()
    job = service.client.submit("Stubborn", A_LONG_TIME)
    service.began(job.id)
    serving.signal(signal.SIGTERM)
    serving.said("supervisor_draining")
    assert not serving.events("supervisor_terminating")
    serving.signal(signal.SIGTERM)
    serving.said("supervisor_terminating")
    assert serving.ended() == 0
    (ended,) = service.all_ended([job])
    assert (ended.failure_kind, "stopped" in (ended.error_message or "")) == ("owner_died", True)


def test_during_a_start_with_the_database_locked_it_is_obeyed_and_nothing_changes(
    service: Service,
) -> None:
    waiting = service.client.submit("Echo", 1)
    with service.sql() as outsider:
        outsider.execute("BEGIN EXCLUSIVE")
        serving = service.serve()
        serving.said("database_unavailable")
        serving.signal(signal.SIGTERM)
        assert serving.ended() == 0
        outsider.execute("ROLLBACK")
    assert service.job(waiting.id) == waiting
    with service.sql() as database:
        assert database.execute("SELECT count(*) FROM supervisors").fetchall() == [(0,)]
