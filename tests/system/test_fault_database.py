"""What befalls the database of a running service: nothing is lost, nothing doubled, and the log says it."""

import errno
import json
import signal
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from supervisor.errors import StoreUnavailable
from supervisor.lifecycle import JobStatus
from supervisor.store import open_store
from tests.api.server import UnixConnection
from tests.support.damage import damage
from tests.support.eventually import eventually
from tests.support.history import check
from tests.support.mounts import full, mounted
from tests.support.service import LIMITS, TYPES, Service, Serving
from tests.support.shim import EVERYWHERE, Shim
from tests.system.conftest import MakeService, services

SOON = ("supervisor.loop:_LONGEST_PAUSE=0.2", "supervisor.store.engine:_SUPERVISOR_WAITS=0.1")
"""A supervisor that does not wait so long between two tries."""
LETTER = b"This is a letter to my aunt, and no database.\n" * 100


class Struck:
    """A service with a job whose end has to be recorded while the fault lasts, and one to be claimed then."""

    def __init__(self, service: Service, serving: Serving, enough: Path) -> None:
        self.service = service
        self.serving = serving
        self._enough = enough
        self._times = len(serving.events("database_back"))
        self._told = len(serving.events("database_unavailable"))
        self.running = service.client.submit("Single", str(enough)).id
        self.waiting = service.client.submit("Single", str(enough)).id
        service.began(self.running)

    def suffers(self, why: str) -> None:
        """The job ends; that this cannot be recorded is said, and the service lives."""
        self._enough.touch()
        self.service.began(self.running, "end")
        said = self.serving.said("database_unavailable", times=self._told + 1)
        assert why in said["message"], said
        eventually(lambda: self.serving.events("database_unavailable")[-1]["waiting"] == 1)
        assert self.serving.process.poll() is None

    def carries_on(self) -> None:
        """All is recorded, and what waited and what is new runs, without anybody's help."""
        self.serving.said("database_back", times=self._times + 1)
        following = self.service.client.submit("Echo", 1).id
        jobs = [self.running, self.waiting, following]
        ended = self.service.all_ended(jobs)
        assert {job.status for job in ended} == {JobStatus.COMPLETED}, ended
        assert self.serving.process.poll() is None
        check(self.service, jobs, LIMITS)


TYPES_HERE = {**TYPES, "Single": {"handler": "chores:until", "max_concurrency": 1}}


@pytest.fixture(scope="module")
def shared(folder: Path, shim: Shim, empty_database: Path) -> Iterator[tuple[Service, Serving]]:
    """One service for all faults that it gets over."""
    with services(folder, empty_database) as make:
        service = make(types=TYPES_HERE)
        serving = service.altered(*SOON, EVERYWHERE, **shim.environment)
        serving.ready().said("http_listening")
        yield service, serving


@pytest.fixture
def struck(shared: tuple[Service, Serving], tmp_path: Path) -> Struck:
    return Struck(*shared, tmp_path / "enough")


def test_locked_for_longer_than_anybody_waits_outcomes_wait_and_nothing_is_lost(struck: Struck) -> None:
    with struck.service.sql() as outsider:
        outsider.execute("BEGIN EXCLUSIVE")
        struck.suffers("locked by another process")
        assert struck.service.job(struck.running).status is JobStatus.IN_PROGRESS
        outsider.execute("ROLLBACK")
    struck.carries_on()


def test_moved_away_and_back_it_goes_on(struck: Struck) -> None:
    database = struck.service.database
    away = database.rename(database.with_name("elsewhere.db"))
    struck.suffers("was deleted or replaced")
    assert not database.exists()
    away.rename(database)
    struck.carries_on()


def test_replaced_by_another_it_is_neither_written_nor_taken_for_the_old_one(struck: Struck) -> None:
    database = struck.service.database
    away = database.rename(database.with_name("elsewhere.db"))
    database.write_bytes(LETTER)
    struck.suffers("was deleted or replaced")
    assert database.read_bytes() == LETTER
    away.rename(database)
    struck.carries_on()


def test_a_disk_that_does_not_sync_is_waited_for_and_nothing_is_lost_or_done_twice(
    struck: Struck, shim: Shim
) -> None:
    shim.fail_syncs(errno.EIO)
    struck.suffers("input/output error")
    assert submitted_by_http(struck.service) == 503
    eventually(lambda: shim.syncs_failed > 5)
    shim.fail_syncs(0)
    struck.carries_on()


def submitted_by_http(service: Service) -> int:
    """The status that was answered."""
    connection = UnixConnection(str(service.state_dir), timeout=20)
    try:
        headers = {"Host": "localhost", "Content-Type": "application/json"}
        connection.request("POST", "/api/jobs", json.dumps({"type": "Echo"}), headers)
        return connection.getresponse().status
    finally:
        connection.close()


# Faults that take a service of their own


def test_on_a_full_disk_submits_are_refused_and_what_waits_happens_once_there_is_room(
    make_service: MakeService, tmp_path: Path
) -> None:
    disk = tmp_path / "disk"
    with mounted("tmpfs", disk, "size=4m"):
        service = make_service(types=TYPES_HERE, state_dir=disk)
        serving = service.altered(*SOON)
        serving.ready().said("http_listening")
        struck = Struck(service, serving, tmp_path / "enough")
        with full(disk):
            struck.suffers("its disk is full")
            with pytest.raises(StoreUnavailable, match="disk is full"):
                service.client.submit("Echo", 1)
        struck.carries_on()
        service.end()


def test_locked_during_a_start_it_begins_once_the_lock_is_gone(service: Service) -> None:
    waiting = service.client.submit("Echo", 1)
    with service.sql() as outsider:
        outsider.execute("BEGIN EXCLUSIVE")
        serving = service.altered(*SOON)
        serving.said("database_unavailable")
        assert not serving.events("supervisor_ready")
        outsider.execute("ROLLBACK")
    serving.ready()
    service.all_ended([waiting])
    check(service, [waiting.id], LIMITS)


def test_damaged_while_it_is_used_that_is_said_and_nothing_is_made_anew(
    make_service: MakeService, tmp_path: Path
) -> None:
    service = make_service(types=TYPES_HERE)
    serving = service.altered(*SOON, "supervisor.stopping:_RECORDING_SECONDS=0.5").ready()
    struck = Struck(service, serving, tmp_path / "enough")
    inode = service.database.stat().st_ino
    damage(service.database, "jobs")
    struck.suffers("is damaged: stop the service and restore a backup")
    assert not serving.events("database_back")
    serving.signal(signal.SIGTERM)
    assert serving.ended() == 4  # and not at the end of the time that running jobs would have
    assert serving.log.read_text().splitlines()[-1] == (
        "Error: the database did not answer: that 1 jobs have ended is not on record, "
        "and the next start will call them Failed, owner_died"
    )
    assert service.database.stat().st_ino == inode


def test_damaged_at_rest_a_start_is_refused_in_one_sentence_and_nothing_is_changed(service: Service) -> None:
    service.client.submit("Echo", 1)
    service.client.close()
    damage(service.database, "jobs")
    before = service.database.read_bytes()
    serving = service.serve()
    assert serving.ended() == 4
    assert serving.log.read_text() == (
        f"Error: the database {service.database} is damaged: stop the service and restore a backup\n"
    )
    assert service.database.read_bytes() == before


def test_on_a_read_only_disk_a_start_is_refused_in_one_sentence(
    make_service: MakeService, tmp_path: Path
) -> None:
    service = make_service()
    with mounted("bind", tmp_path / "disk", "bind,ro", service.state_dir):
        serving = make_service(state_dir=tmp_path / "disk").serve()
        assert serving.ended() == 4
        (said,) = serving.log.read_text().splitlines()
        assert said.startswith("Error: ")
        assert "read-only" in said.lower()


def test_a_backup_put_in_its_place_is_what_the_next_start_finds_and_nothing_of_the_old_gets_into_it(
    make_service: MakeService, tmp_path: Path
) -> None:
    service = make_service(types=TYPES_HERE)
    first = service.altered(*SOON, "supervisor.stopping:_DEREGISTERING_SECONDS=0.1").ready()
    old = [service.client.submit("Echo", number).id for number in range(3)]
    service.all_ended(old)
    backup, away = service.database.with_name("backup.db"), service.database.with_name("elsewhere.db")
    with service.sql() as outsider, closing(sqlite3.connect(backup)) as copy:
        outsider.backup(copy)
    new = [service.client.submit("Echo", "x" * 9000).id for _ in range(20)]
    service.all_ended(new)
    service.client.close()
    service.database.rename(away)
    backup.rename(service.database)
    first.said("database_unavailable")
    assert first.stop() == 0  # nothing is left to be recorded
    open_store(str(service.database), supervisor=True).close()
    for database, known in ((service.database, [*old]), (away, [*old, *new])):
        with closing(sqlite3.connect(f"file:{database}?mode=ro&immutable=1", uri=True)) as outsider:
            assert outsider.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            assert [job for (job,) in outsider.execute("SELECT id FROM jobs ORDER BY seq")] == known
