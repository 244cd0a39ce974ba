import os
import signal
import sqlite3
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import alembic.command
import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, text

from supervisor.errors import NotOurDatabase, SchemaTooNew, StoreUnavailable
from supervisor.store import (
    Store,
    derived,  # noqa: F401  its tables join the metadata
    jobs,
    locks,
    migrate,
    open_store,
)
from supervisor.store.schema import APPLICATION_ID, metadata
from tests.support.store import exit_code, forked, submit


def test_head_and_known_are_alembics() -> None:
    config = Config()
    config.set_main_option("script_location", str(migrate._MIGRATIONS))
    scripts = ScriptDirectory.from_config(config)
    assert scripts.get_current_head() == migrate.HEAD
    assert [script.revision for script in scripts.walk_revisions()][::-1] == list(migrate.KNOWN)


def schema_of(path: Path) -> set[str]:
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute(
            "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND tbl_name != 'alembic_version'"
        ).fetchall()
    return {"".join(sql.split()) for (sql,) in rows}


def test_the_migrations_lead_to_the_schema(path: Path) -> None:
    open_store(str(path)).close()
    other = path.with_name("other.db")
    engine = create_engine(f"sqlite:///{other}")
    metadata.create_all(engine)
    engine.dispose()
    assert schema_of(path) == schema_of(other)
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA application_id").fetchone() == (APPLICATION_ID,)


def test_a_schema_from_the_future_is_refused_and_unchanged(path: Path) -> None:
    open_store(str(path)).close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
        connection.commit()
    before = path.read_bytes()
    with pytest.raises(
        SchemaTooNew, match=f"has schema 9999, and this AsyncWorker knows none after {migrate.HEAD}"
    ):
        open_store(str(path), supervisor=True)
    assert path.read_bytes() == before


@pytest.mark.parametrize("loss", ["DELETE FROM alembic_version", "DROP TABLE alembic_version"])
def test_a_database_without_its_version_is_refused(path: Path, loss: str) -> None:
    open_store(str(path)).close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(loss)
        connection.commit()
    with pytest.raises(NotOurDatabase, match="schema version"):
        open_store(str(path))


def test_a_database_that_lost_its_journal_mode_gets_it_back(path: Path) -> None:
    """As in a copy made by VACUUM INTO."""
    with open_store(str(path)) as opened, opened.write() as tx:
        submit(tx)
    copy = path.with_name("copy.db")
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("VACUUM INTO ?", [str(copy)])
    with open_store(str(copy)) as opened, opened.read() as tx:
        assert jobs.count(tx) == 1
        assert tx.scalar(text("PRAGMA journal_mode")) == "wal"


def test_processes_that_open_a_new_file_at_once_all_succeed(path: Path) -> None:
    for attempt in range(5):
        new = path.with_name(f"{attempt}.db")
        gate = os.pipe()

        def join(*, supervisor: bool, new: Path = new, gate: tuple[int, int] = gate) -> None:
            os.close(gate[1])
            os.read(gate[0], 1)
            with open_store(str(new), supervisor=supervisor) as opened, opened.write() as tx:
                submit(tx, f"job-{os.getpid()}")

        pids = [forked(partial(join, supervisor=number == 0)) for number in range(8)]
        for end in gate:
            os.close(end)
        assert [exit_code(pid) for pid in pids] == [0] * 8
        with open_store(str(new), create=False) as opened, opened.read() as tx:
            assert jobs.count(tx) == 8


def test_a_migration_that_another_process_never_ends_is_told(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path.touch()
    held = locks.try_hold(locks.beside(path, "-migrating"))
    assert held is not None
    monkeypatch.setattr(locks, "_POLL_SECONDS", 0.001)
    with (
        pytest.raises(StoreUnavailable, match=r"another process has been holding .*jobs.db-migrating"),
        locks.holding(locks.beside(path, "-migrating"), seconds=0.01),
    ):
        pass
    os.close(held)


def die(*_: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def opening_killed(path: Path, prepare: Callable[[], None]) -> bool:
    """Whether it was killed before it was done."""

    def task() -> None:
        prepare()
        open_store(str(path)).close()

    code = exit_code(forked(task))
    assert code in (0, -signal.SIGKILL)
    return code != 0


def check_works(path: Path) -> None:
    with open_store(str(path), supervisor=True) as opened:
        with opened.write() as tx:
            submit(tx)
        with opened.read() as tx:
            assert jobs.count(tx) == 1
            assert tx.scalar(text("PRAGMA integrity_check")) == "ok"


def bytes_of(path: Path) -> frozenset[tuple[str, bytes]]:
    """Everything that is on disk of a database."""
    files = path.parent.glob(f"{path.name}*")
    return frozenset((file.name.removeprefix(path.name), file.read_bytes()) for file in files)


def killing_at_statement(number: int, *pragmas: str) -> Callable[[], None]:
    def prepare() -> None:
        connect = Store._connect

        def traced(self: Store) -> sqlite3.Connection:
            left = number
            connection = connect(self)
            for pragma in pragmas:
                connection.execute(pragma)

            def count(_: str) -> None:
                nonlocal left
                left -= 1
                if left == 0:
                    die()

            connection.set_trace_callback(count)
            return connection

        Store._connect = traced  # type: ignore[method-assign]

    return prepare


def test_a_kill_at_any_statement_of_the_migration_leaves_a_file_that_opens(path: Path) -> None:
    number, left = 1, set()
    while opening_killed(new := path.with_name(f"{number}.db"), killing_at_statement(number)):
        # Most leave the same few bytes, and what opens once opens again.
        if (found := bytes_of(new)) not in left:
            left.add(found)
            check_works(new)
        number += 1
    assert number > 25


def test_a_kill_with_half_the_tables_on_disk_leaves_a_file_that_opens(path: Path) -> None:
    """A cache of one page makes SQLite write before the commit; its journal says that the file was empty.

    A power failure may keep some of these pages and lose others, the first one with the header too.
    """
    number, begun = 1, 0
    while opening_killed(
        new := path.with_name(f"{number}.db"),
        killing_at_statement(number, "PRAGMA cache_size=1", "PRAGMA cache_spill=1"),
    ):
        if new.stat().st_size > 0 and new.with_name(new.name + "-journal").exists():
            begun += 1
            if begun % 2:
                with open(new, "r+b") as file:
                    file.write(b"\0" * 4096)
        check_works(new)
        number += 1
    assert begun > 2


@pytest.mark.parametrize("point", ["before", "after"])
def test_a_kill_around_alembic_leaves_a_file_that_opens(path: Path, point: str) -> None:
    def prepare() -> None:
        upgrade: Any = alembic.command.upgrade

        def killed(*arguments: Any) -> None:
            if point == "after":
                upgrade(*arguments)
            die()

        alembic.command.upgrade = killed  # type: ignore[assignment]

    assert opening_killed(path, prepare)
    assert path.stat().st_size == 0
    check_works(path)


def auto_vacuum_of(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        return int(connection.execute("PRAGMA auto_vacuum").fetchone()[0])


def an_older_file(path: Path) -> None:
    """With a job, and without the means to shrink, as the versions before made it."""
    open_store(str(path)).close()
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA auto_vacuum = NONE")
        connection.execute("VACUUM")
    assert auto_vacuum_of(path) == 0
    with open_store(str(path)) as opened, opened.write() as tx:
        submit(tx)


def migrated_once_more(path: Path) -> None:
    """By a migration to come, which does nothing."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(migrate, "is_current", lambda *_: False)
        migrate.migrate(path, lambda: sqlite3.connect(path, isolation_level=None))


def test_a_new_file_can_shrink(path: Path) -> None:
    open_store(str(path)).close()
    assert auto_vacuum_of(path) == migrate._INCREMENTAL


def test_an_older_file_can_shrink_after_its_next_migration(path: Path) -> None:
    an_older_file(path)
    migrated_once_more(path)
    assert auto_vacuum_of(path) == migrate._INCREMENTAL
    with open_store(str(path), create=False) as opened, opened.read() as tx:
        assert jobs.count(tx) == 1
        assert tx.scalar(text("PRAGMA integrity_check")) == "ok"


def test_a_file_that_is_too_large_to_be_written_anew_is_migrated_as_it_is(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    an_older_file(path)
    monkeypatch.setattr(migrate, "_WRITTEN_ANEW", 4096)
    migrated_once_more(path)
    assert auto_vacuum_of(path) == 0
    with open_store(str(path), create=False) as opened, opened.read() as tx:
        assert jobs.count(tx) == 1
