"""Backups that are made while a service runs jobs and is killed; and a service that serves from one."""

import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

from asyncworker import Client
from supervisor.lifecycle import JobStatus
from tests.support.service import Service
from tests.system.conftest import MakeService


def test_every_backup_is_whole_and_holds_what_was_acknowledged_before_it_began(
    service: Service, tmp_path: Path
) -> None:
    acknowledged: list[str] = []
    backups: dict[Path, int] = {}
    for life in range(3):
        supervisor = service.serve().ready()
        for number in range(4):
            acknowledged += [service.client.submit("Nap", 0.02).id for _ in range(5)]
            copy = tmp_path / f"backup-{life}-{number}.db"
            backups[copy] = len(acknowledged)
            if number == 2:
                supervisor.kill()
            service.client.backup(copy)
    service.serve().ready()
    service.all_ended(acknowledged)
    for copy, number in backups.items():
        with closing(sqlite3.connect(f"file:{copy}?mode=ro&immutable=1", uri=True)) as database:
            assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            assert database.execute("PRAGMA foreign_key_check").fetchall() == []
            held = {job for (job,) in database.execute("SELECT id FROM jobs")}
        assert held == {*acknowledged[:number]}


def test_a_service_serves_from_a_restored_backup(make_service: MakeService, tmp_path: Path) -> None:
    service = make_service()
    first = service.serve(ASYNCWORKER_DRAIN_TIMEOUT="0").ready()
    done = service.client.submit("Echo", "before").id
    service.all_ended([done])
    running = service.client.submit("Single", 60).id
    waiting = service.client.submit("Single", 0.01).id
    service.began(running)
    copy = tmp_path / "backup.db"
    answer = service.run("backup", str(copy))
    assert answer.returncode == 0, answer.stderr
    service.client.submit("Echo", "after")
    assert first.stop() == 0
    service.client.close()

    # As docs/operations.md says.
    for end in ("-wal", "-shm"):
        (tmp_path / "state" / f"jobs.db{end}").unlink(missing_ok=True)
    shutil.move(copy, service.database)

    service.serve().ready()
    service.all_ended([waiting, running])
    with Client(service.state_dir, service.config) as client:
        found = {job.id: (job.status, job.failure_kind) for job in client.list().items}
        assert found == {
            done: (JobStatus.COMPLETED, None),
            running: (JobStatus.FAILED, "owner_died"),
            waiting: (JobStatus.COMPLETED, None),
        }
        assert client.get(done).result == '"before"'
        new = client.submit("Echo", "new").id
    service.all_ended([new])
    assert os.stat(service.database).st_mode & 0o777 == 0o600
