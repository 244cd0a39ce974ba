"""A database that is locked, moved, replaced or missing: 503, nothing half done, and then as before."""

import os
import re
import select
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from sqlalchemy import text

from supervisor.lifecycle import JobStatus
from supervisor.store import jobs, open_store
from tests.api.server import HttpServer, Reply
from tests.api.stream import listening
from tests.cli.commandline import Installation, PlayedService
from tests.support.eventually import eventually
from tests.support.store import exit_code, forked

PATIENCE = 5.0
Request = tuple[str, str, Any]
SUBMIT = ("POST", "/api/jobs", {"type": "EmailJob"})
WITHOUT_DATABASE = {"/healthz", "/api/types"}
"""Routes that have no need of it."""
MORE = ["/api/jobs?status=Pending&type=EmailJob&page=1&pageSize=5", "/api/jobs?id=0000"]


class Jobs:
    """One of each kind, and what can be asked of them."""

    def __init__(self, server: HttpServer, played: PlayedService) -> None:
        self._server = server
        self.waiting, self.running, self.ended = (str(server.submit()["id"]) for _ in range(3))
        played.start(self.running)
        played.print(self.running, b"hello")
        played.start(self.ended)
        played.end(self.ended, JobStatus.COMPLETED, result="1")
        self.writes: list[Request] = [
            SUBMIT,
            ("DELETE", f"/api/jobs/{self.waiting}/cancel", None),
            ("DELETE", f"/api/jobs/{self.running}/cancel", None),
            ("POST", f"/api/jobs/{self.ended}/retry", None),
        ]
        self.reads = [
            path.replace("{id}", self.running)
            for path, methods in server.get("/openapi.json").json["paths"].items()
            if "get" in methods
        ] + MORE

    def told(self) -> dict[str, object]:
        """How many there are, and what writing would have changed."""
        jobs = [
            self._server.get(f"/api/jobs/{each}").json for each in (self.waiting, self.running, self.ended)
        ]
        total = self._server.get("/api/jobs").json["totalCount"]
        waiting, running, ended = jobs
        return {
            SUBMIT[1]: total,
            self.writes[1][1]: waiting["status"],
            self.writes[2][1]: running["cancelRequestedAt"] is not None,
            self.writes[3][1]: ended["status"],
        }


@contextmanager
def locked(installation: Installation) -> Iterator[Callable[[], None]]:
    """Another process writes, until the function that is given here is called."""
    ready, told = os.pipe()
    wait, give_back = os.pipe()

    def hold() -> None:
        with open_store(installation.locations.database) as store, store.write() as tx:
            tx.execute(text("UPDATE jobs SET priority = priority WHERE 0"))
            os.write(told, b"x")
            assert select.select([wait], [], [], 60.0)[0]

    pid = forked(hold)
    os.read(ready, 1)
    ended: list[int] = []

    def release() -> None:
        if not ended:
            os.write(give_back, b"x")
            ended.append(exit_code(pid))

    try:
        yield release
    finally:
        release()
        for each in (ready, told, wait, give_back):
            os.close(each)
    assert ended == [0]


class Asker(Thread):
    """Asks once, beside others."""

    def __init__(self, server: HttpServer, request: Request) -> None:
        super().__init__()
        self._server = server
        self.request = request
        self.reply: Reply | None = None
        self.seconds = 0.0
        self.start()

    def run(self) -> None:
        began = time.monotonic()
        self.reply = self._server.ask(*self.request)
        self.seconds = time.monotonic() - began

    def answered(self) -> Reply:
        self.join()
        assert self.reply is not None
        return self.reply


def test_while_another_process_locks_it_reads_go_on_and_writes_are_turned_away_in_time(
    installation: Installation, played: PlayedService, start: Callable[..., HttpServer]
) -> None:
    server = start()
    known = Jobs(server, played)
    before = known.told()
    with locked(installation) as release:
        askers = [Asker(server, request) for request in [*known.writes, *[SUBMIT] * 5]]
        for target in known.reads:  # a write-ahead log: who reads waits for nobody
            assert server.get(target).status == 200, target
        with listening(server) as stream:
            for each in askers:
                reply = each.answered()
                assert reply.problem["status"] == 503, each.request
                assert int(reply.headers["retry-after"]) >= 1
                assert each.seconds < PATIENCE + 1.5
            assert known.told() == before
            release()
            assert known.told() == before  # nor is anything done afterwards
            server.submit()
            assert stream.next()[1]["status"] == "Pending"
    for request in known.writes:
        assert server.ask(*request).status in (200, 202), request
    assert " failed: " not in server.log


def test_where_the_lock_is_given_back_in_time_writes_have_waited_for_it(
    installation: Installation, played: PlayedService, start: Callable[..., HttpServer]
) -> None:
    server = start()
    quiet = server.connections()
    known = Jobs(server, played)
    with locked(installation) as release:
        before = known.told()
        askers = [Asker(server, request) for request in known.writes]
        eventually(lambda: server.connections() >= quiet + len(askers))
        assert known.told() == before
        release()
        assert {each.answered().status for each in askers} <= {200, 202}
    assert [*known.told().values()] == [4, "Cancelled", True, "Pending"]
    assert " failed: " not in server.log


@pytest.fixture
def filled(installation: Installation, played: PlayedService) -> Path:
    """The database, all of it in one file."""
    played.store.close()
    path = Path(installation.locations.database)
    assert not path.with_name("jobs.db-wal").exists()
    return path


def test_while_it_is_moved_away_everything_is_503_and_afterwards_as_before(
    installation: Installation, played: PlayedService, start: Callable[..., HttpServer]
) -> None:
    server = start()
    known = Jobs(server, played)
    played.store.close()
    before = known.told()
    filled = Path(installation.locations.database)
    with listening(server) as stream:
        away = filled.rename(filled.with_name("away.db"))
        for target in [*known.reads, "/api/events"]:
            reply = server.get(target)
            if target in WITHOUT_DATABASE:
                assert reply.status == 200, target
                continue
            assert reply.problem["status"] == 503, target
            assert int(reply.headers["retry-after"]) >= 1
            assert str(filled.parent) not in reply.body.decode()
        for request in known.writes:
            assert server.ask(*request).problem["status"] == 503
        assert not filled.exists()  # no empty one in its place
        away.rename(filled)
        assert known.told() == before
        for target in known.reads:
            assert server.get(target).status == 200, target
        assert server.submit()["status"] == "Pending"
        assert stream.next()[1]["status"] == "Pending"  # whoever listened, listens on
    for request in known.writes:
        assert server.ask(*request).status in (200, 202)
    # Said once, not by each request; once more where a look that failed ends after another's success.
    said = re.findall("http_database_(unavailable|back)", server.log)
    assert said in (["unavailable", "back"], ["unavailable", "back"] * 2)
    assert " failed: " not in server.log


def back_up(database: Path, copy: Path) -> None:
    """As the operator's manual says."""
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("VACUUM INTO ?", [str(copy)])


def test_a_backup_that_was_put_in_its_place_is_served(
    installation: Installation, filled: Path, start: Callable[..., HttpServer]
) -> None:
    server = start()
    old = server.submit()["id"]
    back_up(filled, filled.with_name("backup.db"))
    new = server.submit()["id"]
    for ending in ("-wal", "-shm"):
        filled.with_name(f"jobs.db{ending}").unlink()
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
