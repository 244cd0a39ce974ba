"""A database that is locked, moved, replaced or missing: 503, nothing half done, and then as before."""

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from threading import Thread

import pytest
from sqlalchemy import text

from supervisor.store import jobs, open_store
from tests.api.server import HttpServer, Reply
from tests.cli.commandline import Installation, PlayedService
from tests.support.store import exit_code, forked

LOCKED_FOR = 5.6
PATIENCE = 5.0
SUBMIT = ("POST", "/api/jobs", {"type": "EmailJob"})
ASKED = ["/api/jobs", "/api/status", "/api/status/process", "/metrics", "/readyz"]


def hold(installation: Installation, ready: int, seconds: float) -> None:
    """As another process that writes for a long time."""
    with open_store(installation.locations.database) as store, store.write() as tx:
        tx.execute(text("UPDATE jobs SET priority = priority WHERE 0"))
        os.write(ready, b"x")
        time.sleep(seconds)


def test_while_another_process_locks_it_reads_go_on_and_writes_wait_or_are_turned_away(
    installation: Installation, start: Callable[..., HttpServer]
) -> None:
    server = start()
    known = server.submit()["id"]
    ready, told = os.pipe()
    pid = forked(lambda: hold(installation, told, LOCKED_FOR))
    os.read(ready, 1)
    replies: list[tuple[Reply, float]] = []

    def ask() -> None:
        began = time.monotonic()
        replies.append((server.ask(*SUBMIT), time.monotonic() - began))

    askers = [Thread(target=ask) for _ in range(8)]
    for each in askers:
        each.start()
    for target in ASKED:  # a write-ahead log: who reads waits for nobody
        began = time.monotonic()
        assert server.get(target).status == 200
        assert time.monotonic() - began < 1
    assert server.get(f"/api/jobs/{known}").json["status"] == "Pending"
    for each in askers:
        each.join()
    assert exit_code(pid) == 0
    os.close(ready)
    os.close(told)
    refused = [reply for reply, _ in replies if reply.status != 202]
    assert refused
    for reply, seconds in replies:
        assert seconds < PATIENCE + 1.5
        assert reply in refused or reply.json["status"] == "Pending"
    for reply in refused:
        assert reply.problem["status"] == 503
        assert int(reply.headers["retry-after"]) >= 1
    accepted = len(replies) - len(refused)
    assert server.get("/api/jobs").json["totalCount"] == 1 + accepted  # nothing half done
    assert server.ask(*SUBMIT).status == 202


@pytest.fixture
def filled(installation: Installation, played: PlayedService) -> Path:
    """The database, all of it in one file."""
    played.store.close()
    path = Path(installation.locations.database)
    assert not path.with_name("jobs.db-wal").exists()
    return path


def test_while_it_is_moved_away_everything_is_503_and_afterwards_as_before(
    filled: Path, start: Callable[..., HttpServer]
) -> None:
    server = start()
    job_id = server.submit()["id"]
    away = filled.rename(filled.with_name("away.db"))
    for target in [*ASKED, f"/api/jobs/{job_id}", f"/api/jobs/{job_id}/log", "/api/events"]:
        reply = server.get(target)
        assert reply.problem["status"] == 503, target
        assert int(reply.headers["retry-after"]) >= 1
        assert str(filled.parent) not in reply.body.decode()
    assert server.ask(*SUBMIT).problem["status"] == 503
    assert server.ask("DELETE", f"/api/jobs/{job_id}/cancel").problem["status"] == 503
    assert server.get("/healthz").status == 200
    assert not filled.exists()  # no empty one in its place
    away.rename(filled)
    assert server.get(f"/api/jobs/{job_id}").json["status"] == "Pending"
    assert server.submit()["status"] == "Pending"
    assert server.log.count("http_database_unavailable") == 1
    assert server.log.count("http_database_back") == 1


def test_a_backup_that_was_put_in_its_place_is_served(
    installation: Installation, filled: Path, start: Callable[..., HttpServer]
) -> None:
    server = start()
    old = server.submit()["id"]
    shutil.copy(filled, filled.with_name("backup.db"))
    new = server.submit()["id"]
    filled.with_name("backup.db").rename(filled)
    assert server.get(f"/api/jobs/{old}").status == 200
    assert server.get(f"/api/jobs/{new}").status == 404
    added = server.submit()["id"]
    with open_store(installation.locations.database) as store, store.read() as tx:
        assert {job.id for job in jobs.page(tx)} == {old, added}


def test_a_server_that_starts_before_there_is_a_database_waits_for_one(tmp_path: Path) -> None:
    installation = Installation(tmp_path)
    server = HttpServer(installation)
    try:
        assert server.get("/api/jobs").problem["status"] == 503
        assert server.get("/readyz").problem["status"] == 503
        assert server.get("/healthz").status == 200
        PlayedService(installation).store.close()
        assert server.get("/api/jobs").json["totalCount"] == 0
        assert server.get("/readyz").status == 200
    finally:
        server.close()


def test_what_is_no_database_of_ours_is_503_and_left_alone(
    filled: Path, start: Callable[..., HttpServer]
) -> None:
    server = start()
    filled.unlink()
    filled.write_bytes(b"something else" * 100)
    assert server.get("/api/jobs").problem["status"] == 503
    assert server.ask(*SUBMIT).problem["status"] == 503
    assert filled.read_bytes() == b"something else" * 100
