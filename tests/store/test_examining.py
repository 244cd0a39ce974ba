import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from supervisor.errors import StoreUnavailable
from supervisor.lifecycle import JobStatus
from supervisor.store import looking, migrate, open_store, supervisors
from supervisor.store.examining import Age, State, examine
from tests.support.builders import NOW, a_supervisor, an_identity
from tests.support.store import exit_code, forked, start, submit


@pytest.fixture
def whole(path: Path) -> Path:
    with open_store(str(path)) as store, store.write() as tx:
        supervisors.register(tx, a_supervisor(identity=an_identity(pidfd_inode=2**64 - 5)))
        start(tx, "job-1")
        submit(tx, "job-2")
    return path


@contextmanager
def untouched(folder: Path) -> Iterator[None]:
    """The same files with the same bytes; but for the index of a log, which readers share."""
    before = {each.name: each.read_bytes() for each in folder.iterdir() if each.name != "jobs.db-shm"}
    yield
    assert {each.name: each.read_bytes() for each in folder.iterdir() if each.name != "jobs.db-shm"} == before


def test_what_is_whole_is_told_and_nothing_is_changed_or_left(whole: Path) -> None:
    before = os.listdir(whole.parent)
    with untouched(whole.parent):
        seen = examine(str(whole))
    assert os.listdir(whole.parent) == before
    assert seen.state is State.WHOLE
    assert seen.content is not None
    assert seen.content.age is Age.CURRENT
    assert seen.content.census.jobs[JobStatus.PENDING] == 1
    assert seen.content.held == {"owner-1": 1}
    assert seen.content.living == (a_supervisor(identity=an_identity(pidfd_inode=2**64 - 5)),)
    assert seen.content.latest == NOW + 1


def test_beside_a_service_what_is_only_in_the_log_is_seen_and_nobody_is_held_up(whole: Path) -> None:
    with open_store(str(whole), supervisor=True) as store:
        with store.write() as tx:
            submit(tx, "job-3")
        with untouched(whole.parent):
            seen = examine(str(whole))
        assert seen.content is not None
        assert seen.content.census.rows["jobs"] == 3
        with store.write(patient=False) as tx:
            submit(tx, "job-4")


def test_what_a_killed_service_left_in_the_log_is_seen_and_stays_there(path: Path) -> None:
    def killed() -> None:
        store = open_store(str(path), supervisor=True)
        with store.write() as tx:
            submit(tx)
        os.kill(os.getpid(), 9)

    assert exit_code(forked(killed)) == -9
    with untouched(path.parent):
        seen = examine(str(path))
    assert seen.content is not None
    assert seen.content.census.rows["jobs"] == 1


def test_whoever_opens_it_in_the_midst_of_the_look_makes_it_look_again(
    whole: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[str] = []
    connected = looking.connected

    def opened_meanwhile(path: Path, how: str) -> sqlite3.Connection:
        looks.append(how)
        if len(looks) == 1:
            with open_store(str(path)) as store, store.write() as tx:
                submit(tx, "job-3")
        return connected(path, how)

    monkeypatch.setattr(looking, "connected", opened_meanwhile)
    seen = examine(str(whole))
    assert len(looks) == 2
    assert seen.content is not None
    assert seen.content.census.rows["jobs"] == 3


def overwritten(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[4096:] = os.urandom(len(content) - 4096)
    path.write_bytes(content)


def without_a_job(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("DELETE FROM jobs")
        connection.commit()


def interrupted(path: Path) -> None:
    path.with_name("jobs.db-journal").write_bytes(b"something")


@pytest.mark.parametrize(
    "spoil, state, problem",
    [
        (os.unlink, State.MISSING, ""),
        (lambda path: path.write_bytes(b""), State.EMPTY, ""),
        (lambda path: path.write_bytes(b"hello\n" * 1000), State.UNUSABLE, "is not a database of SQLite"),
        (overwritten, State.DAMAGED, ""),
        (without_a_job, State.DAMAGED, "1 rows refer to a job that is not there"),
        (interrupted, State.UNSETTLED, ""),
    ],
    ids=["missing", "empty", "no database", "overwritten", "without a job", "interrupted"],
)
def test_what_is_not_whole_is_told_and_left_as_it_is(
    whole: Path, spoil: Callable[[Path], object], state: State, problem: str
) -> None:
    spoil(whole)
    with untouched(whole.parent):
        seen = examine(str(whole))
    assert (seen.state, seen.content) == (state, None)
    assert problem in seen.problem


@pytest.mark.parametrize(
    "version, age", [("0001", Age.OLDER), ("9999", Age.NEWER), (migrate.HEAD, Age.CURRENT)]
)
def test_another_schema_is_told_and_not_migrated(whole: Path, version: str, age: Age) -> None:
    with closing(sqlite3.connect(whole)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = ?", [version])
        connection.commit()
    with untouched(whole.parent):
        seen = examine(str(whole))
    assert seen.content is not None
    assert seen.content.age is age


def test_one_that_somebody_has_to_himself_is_told(whole: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(looking, "WAITS", 0.1)
    with closing(sqlite3.connect(whole, isolation_level=None)) as selfish:
        selfish.execute("PRAGMA locking_mode=EXCLUSIVE")
        selfish.execute("BEGIN EXCLUSIVE")
        selfish.execute("UPDATE jobs SET priority = 1")
        assert examine(str(whole)).state is State.LOCKED


def test_what_cannot_even_be_seen_is_not_taken_for_missing(tmp_path: Path) -> None:
    assert examine(str(tmp_path / "none" / "jobs.db")).state is State.MISSING
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    seen = examine(str(tmp_path / "loop" / "jobs.db"))
    assert (seen.state, "cannot be seen" in seen.problem) == (State.UNUSABLE, True)


def test_what_cannot_be_a_databases_name_is_refused() -> None:
    with pytest.raises(StoreUnavailable, match="only SQLite"):
        examine("postgresql://localhost/x")
