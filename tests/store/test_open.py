import ctypes
import os
import re
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from supervisor.errors import NotOurDatabase, StoreUnavailable
from supervisor.store import Store, dbfile, jobs, open_store
from tests.support.store import exit_code, forked, submit

ROOT = Path(__file__).resolve().parents[2]


def test_records_cost_no_sqlalchemy() -> None:
    code = "import sys; from supervisor.store.records import Job; sys.exit('sqlalchemy' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def test_an_open_without_anything_to_migrate_costs_no_alembic(path: Path) -> None:
    open_store(str(path)).close()
    code = (
        "import sys; from supervisor.store import open_store; open_store(sys.argv[1]).close();"
        " sys.exit('alembic' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code, path], cwd=ROOT, check=True)


def test_a_new_database_and_everything_beside_it_is_its_owners_alone(store: Store) -> None:
    with store.write() as tx:
        submit(tx)
    modes = {
        name: stat.S_IMODE((store.path.parent / name).stat().st_mode)
        for name in os.listdir(store.path.parent)
    }
    wanted = ("jobs.db", "jobs.db-wal", "jobs.db-shm", "jobs.db-migrating", "jobs.db-checkpointer")
    assert modes == dict.fromkeys(wanted, 0o600)


@pytest.mark.parametrize(
    "name", ["a b.db", "a?b.db", "a#b.db", "a%20b.db", "é☃.db", "a'b;\"c.db", "file:x.db", "a&b=c"]
)
@pytest.mark.parametrize("supervisor", [True, False])
def test_odd_names_lead_to_the_file_of_that_name(tmp_path: Path, name: str, *, supervisor: bool) -> None:
    folder = tmp_path / "odd ?#%41 folder"
    folder.mkdir()
    with open_store(str(folder / name), supervisor=supervisor) as opened, opened.write() as tx:
        submit(tx)
    assert {
        entry.removesuffix("-migrating").removesuffix("-checkpointer") for entry in os.listdir(folder)
    } == {name}
    with open_store(str(folder / name), create=False) as opened, opened.read() as tx:
        assert jobs.count(tx) == 1


def test_a_url_and_a_relative_path_name_the_same_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(path.parent)
    for name in (
        f"sqlite:///{path}",
        f"sqlite+pysqlite:///{path}",
        "sqlite:///jobs.db",
        "jobs.db",
        "./jobs.db",
    ):
        with open_store(name) as opened:
            assert opened.path == path


def test_a_link_leads_to_the_file_and_its_locks(path: Path) -> None:
    link = path.with_name("link.db")
    link.symlink_to(path)
    with open_store(str(path), supervisor=True), open_store(str(link), supervisor=True) as second:
        assert second.path == path
        assert not second.try_become_checkpointer()


@pytest.mark.parametrize(
    "url, sentence",
    [
        ("postgresql://user:secret@host/jobs", "only SQLite databases are supported, not postgresql"),
        ("mysql+pymysql://host/jobs", "only SQLite databases are supported, not mysql"),
        ("://", "given as a path or as sqlite:///path"),
        ("sqlite://", "must be a file"),
        ("sqlite:///:memory:", "must be a file"),
        (":memory:", "must be a file"),
        ("", "must be a file"),
        ("a\0b", "must be a file"),
        ("sqlite:///a.db?mode=ro", "takes no options"),
    ],
)
def test_what_is_no_file_of_sqlite_is_refused_in_one_sentence(url: str, sentence: str) -> None:
    with pytest.raises(StoreUnavailable, match=sentence) as refusal:
        open_store(url)
    assert "secret" not in str(refusal.value)


def test_a_missing_folder_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match=r"the folder of the database .*/none/jobs.db does not exist"):
        open_store(str(tmp_path / "none" / "jobs.db"))
    assert os.listdir(tmp_path) == []


def test_a_missing_file_is_not_made_where_that_was_not_asked_for(path: Path) -> None:
    with pytest.raises(StoreUnavailable, match=r"jobs.db does not exist"):
        open_store(str(path), create=False)
    assert os.listdir(path.parent) == []


def test_an_empty_file_becomes_a_database(path: Path) -> None:
    path.touch()
    with open_store(str(path)) as opened, opened.read() as tx:
        assert jobs.count(tx) == 0


def test_an_sqlite_file_without_tables_becomes_a_database(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("VACUUM")
    assert path.stat().st_size > 0
    open_store(str(path)).close()


@pytest.mark.parametrize(
    "content", [b"x", b"\0" * 4096, b"hello, world\n" * 500, b"SQLite format 3", b"SQLite format 2\0"]
)
def test_a_file_that_is_no_database_is_refused_and_unchanged(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(NotOurDatabase, match=r"jobs.db is not a database of SQLite"):
        open_store(str(path))
    assert path.read_bytes() == content
    assert os.listdir(path.parent) == ["jobs.db"]


@pytest.mark.parametrize("application_id", [0, 1])
@pytest.mark.parametrize("journal", ["delete", "wal"])
@pytest.mark.parametrize("table", ["theirs", "alembic_version", "jobs"])
def test_another_programs_database_is_refused_and_unchanged(
    path: Path, application_id: int, journal: str, table: str
) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA journal_mode={journal}")
        connection.execute(f"PRAGMA application_id={application_id}")
        connection.execute(f"CREATE TABLE {table} (version_num)")
        connection.commit()
        check_unchanged(path)
    check_unchanged(path)


def check_unchanged(path: Path) -> None:
    """Also while they have it open, and what it holds is in the write-ahead log still."""
    before = {entry.name: entry.read_bytes() for entry in path.parent.iterdir() if entry.suffix != ".db-shm"}
    with pytest.raises(NotOurDatabase, match=r"jobs.db is another program's database"):
        open_store(str(path))
    after = {entry.name: entry.read_bytes() for entry in path.parent.iterdir() if entry.suffix != ".db-shm"}
    assert after == before


def test_a_folder_or_a_pipe_is_no_database(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    for name in ("folder", "pipe"):
        with pytest.raises(NotOurDatabase, match="not even a file"):
            open_store(str(tmp_path / name))


def test_a_link_to_nothing_is_refused(path: Path) -> None:
    path.symlink_to(path.with_name("none") / "jobs.db")
    with pytest.raises(StoreUnavailable):
        open_store(str(path))


@pytest.mark.parametrize("kind", ["nfs4", "cifs", "fuse.sshfs"])
def test_a_network_file_system_is_refused(path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    device = path.parent.stat().st_dev
    mounts = path.with_name("mountinfo")
    mounts.write_text(
        "20 1 0:999 / /proc rw - proc proc rw\n"
        f"21 1 {os.major(device)}:{os.minor(device)} / /x rw shared:1 - {kind} server:/x rw\n"
    )
    monkeypatch.setattr(dbfile, "_MOUNTS", mounts)
    with pytest.raises(StoreUnavailable, match=rf"on a network file system \({kind}\)"):
        open_store(str(path))
    assert not path.exists()


def test_a_truncated_database_is_called_damaged(path: Path) -> None:
    with open_store(str(path)) as opened, opened.write() as tx:
        for number in range(50):
            submit(tx, f"job-{number}", payload='"' + "x" * 1000 + '"')
    os.truncate(path, 8192)
    with pytest.raises(StoreUnavailable, match="damaged: stop the service and restore a backup"):
        use_all(path)


def test_overwritten_pages_are_called_damaged(path: Path) -> None:
    open_store(str(path)).close()
    content = bytearray(path.read_bytes())
    content[4096:] = os.urandom(len(content) - 4096)
    path.write_bytes(content)
    with pytest.raises(StoreUnavailable, match="damaged: stop the service and restore a backup"):
        use_all(path)


def use_all(path: Path) -> None:
    with open_store(str(path), supervisor=True) as opened, opened.write() as tx:
        jobs.page(tx, limit=100)
        submit(tx, "another")


@pytest.mark.parametrize("supervisor", [True, False])
def test_a_deleted_database_is_noticed_and_not_made_again(path: Path, *, supervisor: bool) -> None:
    with open_store(str(path), supervisor=supervisor, keep=1) as opened:
        with opened.read():
            pass
        assert opened.file_is_ours()
        path.unlink()
        assert not opened.file_is_ours()
        with pytest.raises(StoreUnavailable, match="was deleted or replaced"), opened.write() as tx:
            submit(tx)
        with pytest.raises(StoreUnavailable, match="was deleted or replaced"):
            opened.reopen()
        assert not path.exists()


@pytest.mark.parametrize("supervisor", [True, False])
def test_a_replaced_database_is_noticed_and_left_alone(path: Path, *, supervisor: bool) -> None:
    other = path.with_name("other.db")
    open_store(str(other)).close()
    with open_store(str(path), supervisor=supervisor, keep=1) as opened:
        with opened.read():
            pass
        kept = path.rename(path.with_name("kept.db"))
        other.rename(path)
        assert not opened.file_is_ours()
        with pytest.raises(StoreUnavailable, match="was deleted or replaced"), opened.write() as tx:
            submit(tx)
        path.unlink()
        kept.rename(path)
        with opened.write() as tx:
            submit(tx)


def test_a_database_made_anew_under_a_client_is_not_taken_for_the_old_one(path: Path) -> None:
    """Its inode would often get the same number, were the old one not held on to."""
    with open_store(str(path)) as opened:
        for _ in range(20):
            path.unlink()
            path.touch()
            assert not opened.file_is_ours()


def test_a_store_is_of_no_use_after_a_fork(store: Store) -> None:
    def use() -> None:
        uses = (
            store.write().__enter__,
            store.read().__enter__,
            store.data_version,
            store.reopen,
            store.close,
        )
        for use in (*uses, store.try_become_checkpointer):
            with pytest.raises(RuntimeError, match="opened before a fork"):
                use()

    assert exit_code(forked(use)) == 0
    with store.write() as tx:
        submit(tx)


def test_a_second_store_of_one_process_leaves_the_locks_of_the_first(path: Path) -> None:
    """Closing any descriptor of a file drops all POSIX locks that the process has on it."""

    def seen() -> int:
        with open("/proc/locks") as table:
            return sum(f" {os.getpid()} " in line and f":{path.stat().st_ino} " in line for line in table)

    def locks() -> int:
        # The kernel lists the locks of the whole machine, and skips some while others come and go.
        return max(seen() for _ in range(50))

    with open_store(str(path), supervisor=True) as opened:
        with opened.read() as tx:
            jobs.count(tx)
        held = locks()
        assert held > 0
        open_store(str(path)).close()
        assert locks() == held


def _drop_privileges() -> None:
    """Root passes every check of permissions by two capabilities; without them it is like any user."""
    if os.geteuid() == 0:
        for capability in (1, 2):
            ctypes.CDLL(None).prctl(24, capability, 0, 0, 0)


@pytest.mark.parametrize(
    "mode, folder_mode, sentence",
    [
        (None, 0o500, "unable to create the database .*jobs.db: Permission denied"),
        (0o000, 0o700, "unable to open the database .*jobs.db: Permission denied"),
        (0o400, 0o700, "jobs.db is read-only for this user"),
        (0o600, 0o500, "jobs.db is read-only for this user"),
    ],
    ids=["new in a read-only folder", "unreadable", "read-only", "in a read-only folder"],
)
def test_missing_permissions_are_told_in_one_sentence(
    tmp_path: Path, mode: int | None, folder_mode: int, sentence: str
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    path = folder / "jobs.db"
    if mode is not None:
        open_store(str(path)).close()
        path.chmod(mode)
    folder.chmod(folder_mode)
    code = (
        "import sys; from supervisor.store import open_store, supervisors\n"
        "from supervisor.errors import StoreUnavailable\n"
        "try:\n"
        "    with open_store(sys.argv[1]) as store, store.write() as tx:\n"
        "        supervisors.beat(tx, uuid='a', now=1)\n"
        "except StoreUnavailable as error: print(error)"
    )
    try:
        done = subprocess.run(
            [sys.executable, "-c", code, path],
            cwd=ROOT,
            preexec_fn=_drop_privileges,
            capture_output=True,
            text=True,
            check=True,
        )
    finally:
        folder.chmod(0o700)
    (line,) = done.stdout.splitlines()
    assert re.search(sentence, line)


def test_an_older_sqlite_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 34, 1))
    with pytest.raises(StoreUnavailable, match=r"SQLite 3.37 or newer is needed"):
        open_store(str(path))
