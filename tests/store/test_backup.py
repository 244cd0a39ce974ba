import os
import resource
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from supervisor.answers import Backup
from supervisor.backup import back_up
from supervisor.errors import BackupFailed, BackupRefused, NotOurDatabase, StoreLocked, StoreUnavailable
from supervisor.lifecycle import JobStatus
from supervisor.store import Store, copying, jobs, looking, open_store
from tests.support.store import exit_code, forked, start, submit


@pytest.fixture
def target(tmp_path: Path) -> Path:
    folder = tmp_path / "backups"
    folder.mkdir()
    return folder / "copy.db"


@pytest.fixture
def pagewise(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that even a small database takes many steps."""
    monkeypatch.setattr(copying, "_PAGES", 1)


def filled(store: Store, number: int = 30) -> None:
    with store.write() as tx:
        for each in range(number):
            submit(tx, f"job-{each}", payload='"' + "x" * 2000 + '"')
        start(tx, "job-0")


def made(source: Path, target: Path, *, replace: bool = False) -> Backup:
    return back_up(str(source), target, replace=replace, told=lambda _done, _of: None)


def ids(database: Path) -> set[str]:
    with open_store(str(database), create=False) as opened, opened.read() as tx:
        return {job.id for job in jobs.page(tx, limit=1000)}


def test_a_backup_is_whole_counted_and_its_owners_alone(store: Store, target: Path) -> None:
    filled(store)
    backup = made(store.path, target)
    assert (backup.file, backup.bytes) == (target, target.stat().st_size)
    assert {status: number for status, number in backup.jobs.items() if number} == {
        JobStatus.PENDING: 29,
        JobStatus.IN_PROGRESS: 1,
    }
    assert (backup.attempts, backup.supervisors) == (1, 0)
    assert os.listdir(target.parent) == ["copy.db"]
    assert target.stat().st_mode & 0o777 == 0o600
    assert ids(target) == {f"job-{each}" for each in range(30)}


@pytest.mark.usefixtures("pagewise")
def test_it_is_of_one_moment_and_whoever_writes_meanwhile_waits_for_nobody(
    store: Store, target: Path
) -> None:
    filled(store)
    steps: list[tuple[int, int]] = []

    def told(done: int, of: int) -> None:
        steps.append((done, of))
        with store.write(patient=False) as tx:
            submit(tx, f"later-{len(steps)}")

    backup = back_up(str(store.path), target, replace=False, told=told)
    assert len(steps) == backup.bytes / 4096 > 20
    assert [*map(sum, steps)] == sorted(map(sum, steps))
    assert steps[-1] == (backup.bytes, backup.bytes)
    assert ids(target) == {f"job-{each}" for each in range(30)}
    assert sum(backup.jobs.values()) == 30
    with store.read() as tx:
        assert jobs.count(tx) == 30 + len(steps)


def test_an_older_schema_is_copied_and_not_migrated(path: Path, target: Path) -> None:
    open_store(str(path)).close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '0001'")
        connection.commit()
    assert made(path, target).schema == "0001"
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT version_num FROM alembic_version").fetchone() == ("0001",)


@contextmanager
def unchanged(folder: Path) -> Iterator[None]:
    """Nothing new in it, nothing gone, nothing different."""
    before = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    yield
    assert {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()} == before


@pytest.mark.parametrize(
    "name, sentence",
    [
        ("jobs.db", "is the database itself"),
        ("jobs.db-wal", "is the database itself"),
        ("same.db", "is the database itself"),
        ("link.db", "is the database itself"),
        ("there.db", "exists; name another file, or replace it with --force"),
        ("none/copy.db", "there is no folder"),
        ("there.db/copy.db", "there is no folder"),
        (".", "is a folder"),
        ("pipe", "is not a file"),
        ("x" * 300, "cannot be a backup: File name too long"),
    ],
)
def test_a_name_that_no_backup_can_have_is_refused_and_nothing_is_touched(
    store: Store, tmp_path: Path, name: str, sentence: str
) -> None:
    filled(store)
    (tmp_path / "there.db").write_text("precious")
    os.link(store.path, tmp_path / "same.db")
    (tmp_path / "link.db").symlink_to(store.path)
    os.mkfifo(tmp_path / "pipe")
    for replace in {False, "exists" not in sentence}:
        with unchanged(tmp_path), pytest.raises(BackupRefused, match=sentence):
            made(store.path, tmp_path / name, replace=replace)


def test_a_link_leads_to_the_backup_and_stays(store: Store, target: Path) -> None:
    link = target.with_name("latest.db")
    link.symlink_to("copy.db")
    assert made(store.path, link).file == target
    made(store.path, link, replace=True)
    assert (link.is_symlink(), target.is_symlink()) == (True, False)


@pytest.mark.usefixtures("pagewise")
@pytest.mark.parametrize("why", [KeyboardInterrupt, RuntimeError])
def test_interrupted_at_any_step_it_leaves_nothing_and_the_previous_one_as_it_was(
    store: Store, target: Path, why: type[BaseException]
) -> None:
    filled(store, 3)
    made(store.path, target)
    filled_up = target.stat().st_size // 4096
    for last in (1, filled_up // 2, filled_up):

        def told(done: int, of: int, last: int = last) -> None:
            if done == 4096 * last:
                raise why

        with unchanged(target.parent), pytest.raises(why):
            back_up(str(store.path), target, replace=True, told=told)


def test_the_previous_one_is_there_until_the_new_one_is(store: Store, target: Path) -> None:
    made(store.path, target)
    filled(store)
    made(store.path, target, replace=True)
    assert len(ids(target)) == 30


def test_a_backup_that_was_killed_leaves_no_such_name_and_the_next_one_clears_up(
    path: Path, target: Path
) -> None:
    with open_store(str(path), supervisor=True) as store:
        filled(store)
    child = forked(
        lambda: back_up(str(path), target, replace=False, told=lambda _done, _of: os.kill(os.getpid(), 9))
    )
    assert exit_code(child) == -9
    assert os.listdir(target.parent) == [".copy.db.partial"]
    made(path, target)
    assert os.listdir(target.parent) == ["copy.db"]
    assert len(ids(target)) == 30


def test_of_two_with_one_name_the_second_is_refused(store: Store, target: Path) -> None:
    filled(store)
    refusals: list[str] = []

    def told(done: int, of: int) -> None:
        def another() -> None:
            with pytest.raises(BackupRefused) as refusal:
                made(store.path, target)
            refusals.append(str(refusal.value))

        thread = threading.Thread(target=another)
        thread.start()
        thread.join()

    back_up(str(store.path), target, replace=False, told=told)
    assert "another backup is writing" in refusals[0]
    assert len(ids(target)) == 30


def test_a_disk_that_fills_up_is_told_and_nothing_is_left(path: Path, target: Path) -> None:
    with open_store(str(path)) as store:
        filled(store)

    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
        with (
            unchanged(target.parent),
            pytest.raises(BackupFailed, match=r"copy\.db\.partial cannot be written"),
        ):
            made(path, target)

    assert exit_code(forked(limited)) == 0


@pytest.mark.parametrize("content", [None, b"no database\n" * 500])
def test_a_copy_that_cannot_be_opened_is_not_blamed_on_the_database(
    store: Store, target: Path, content: bytes | None
) -> None:
    filled(store, 3)
    if content is None:
        target.mkdir()
    else:
        target.write_bytes(content)
    with pytest.raises(BackupFailed, match=f"{target} cannot be written: "):
        copying.copy(store.path, target, -1, lambda _done, _of: None)


def test_a_copy_that_cannot_be_opened_again_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(BackupFailed, match="the copy cannot be read"):
        copying._verified(tmp_path / "gone.db")


def test_where_there_is_no_room_it_is_not_begun(store: Store, target: Path) -> None:
    filled(store, 100)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", target.parent], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"no small file system can be mounted here: {mounted.stderr.decode().strip()}")
    try:
        with pytest.raises(
            BackupFailed, match=r"no room for the backup: it may take \d.* and 0.1 MB are free"
        ):
            made(store.path, target)
        assert os.listdir(target.parent) == []
    finally:
        subprocess.run(["umount", target.parent], check=True)


def test_a_damaged_database_is_told_and_makes_no_backup(path: Path, target: Path) -> None:
    with open_store(str(path)) as store:
        filled(store)
    content = bytearray(path.read_bytes())
    content[5 * 4096 : -4096] = os.urandom(len(content) - 6 * 4096)
    path.write_bytes(content)
    made_before = target.with_name("whole.db")
    made_before.write_text("precious")
    with unchanged(target.parent), pytest.raises((BackupFailed, StoreUnavailable), match="damaged"):
        made(path, target)


def test_what_the_count_alone_can_tell_is_told(
    store: Store, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled(store)
    verified = copying._verified

    def after_a_loss(path: Path) -> object:
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("DELETE FROM jobs WHERE id = 'job-7'")
            connection.commit()
        return verified(path)

    monkeypatch.setattr(copying, "_verified", after_a_loss)
    with pytest.raises(BackupFailed, match="has other rows than the database had"):
        made(store.path, target)
    assert not target.exists()


TRY_TO_LOCK = """
import fcntl, sys
PENDING_BYTE = 0x40000000  # SQLite's: readers lock what follows
with open(sys.argv[1], "r+b") as file:
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, 510, PENDING_BYTE + 2)
    except OSError:
        print("locked")
"""


def is_locked(database: Path) -> bool:
    """As another process sees it: ours would lose its locks with the look."""
    done = subprocess.run(
        [sys.executable, "-c", TRY_TO_LOCK, database], capture_output=True, text=True, check=True
    )
    return done.stdout == "locked\n"


def test_locks_that_this_process_has_on_the_database_outlast_a_backup(store: Store, target: Path) -> None:
    filled(store)
    assert is_locked(store.path)
    made(store.path, target)
    assert is_locked(store.path)


def test_the_lock_of_a_backup_outlasts_a_store_that_is_opened_meanwhile(path: Path, target: Path) -> None:
    open_store(str(path)).close()
    seen: list[bool] = []

    def told(_done: int, _of: int) -> None:
        open_store(str(path)).close()
        seen.append(is_locked(path))

    back_up(str(path), target, replace=False, told=told)
    assert seen
    assert all(seen)
    assert not is_locked(path)


@pytest.mark.parametrize(
    "content, error",
    [(None, StoreUnavailable), (b"", StoreUnavailable), (b"no database\n" * 500, NotOurDatabase)],
)
def test_what_is_no_database_is_not_backed_up(
    path: Path, target: Path, content: bytes | None, error: type[Exception]
) -> None:
    if content is not None:
        path.write_bytes(content)
    with unchanged(path.parent), pytest.raises(error):
        made(path, target)
    assert os.listdir(target.parent) == []


def test_a_database_that_somebody_has_to_himself_is_waited_for_and_told(
    path: Path, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(looking, "WAITS", 0.1)
    open_store(str(path)).close()
    with closing(sqlite3.connect(path, isolation_level=None)) as selfish:
        selfish.execute("PRAGMA locking_mode=EXCLUSIVE")
        selfish.execute("BEGIN EXCLUSIVE")
        selfish.execute("DELETE FROM jobs")
        with pytest.raises(StoreLocked, match="is locked by another process"):
            made(path, target)
    assert os.listdir(target.parent) == []


def test_ctrl_c_is_heard_in_the_midst_of_a_long_statement(path: Path) -> None:
    endless = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT count(*) FROM c"
    with closing(sqlite3.connect(path)) as connection:
        threading.Timer(0.1, os.kill, (os.getpid(), 2)).start()
        with pytest.raises(KeyboardInterrupt), looking.interruptible(connection):
            connection.execute(endless).fetchone()
