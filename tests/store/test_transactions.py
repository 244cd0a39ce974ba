import os
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import text

from supervisor.errors import StoreUnavailable
from supervisor.store import Store, Transaction, engine, jobs, open_store
from supervisor.store.faults import ConstraintBroken, WriteInRead
from tests.support.store import exit_code, forked, submit


@pytest.fixture(
    params=[{"supervisor": True}, {}, {"keep": 1}, {"keep": 1, "patience": lambda: 10.0}],
    ids=["supervisor", "client", "keeping", "patient"],
)
def either(path: Path, request: pytest.FixtureRequest) -> Iterator[Store]:
    with open_store(str(path), **request.param) as opened:
        yield opened


def test_what_was_written_is_there(either: Store) -> None:
    with either.write() as tx:
        submit(tx)
    with either.read() as tx:
        assert jobs.count(tx) == 1


def test_an_exception_takes_everything_back(either: Store) -> None:
    def fail(tx: Transaction) -> None:
        submit(tx)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), either.write() as tx:
        fail(tx)
    with either.read() as tx:
        assert jobs.count(tx) == 0


def test_a_read_cannot_write_and_a_write_afterwards_can(either: Store) -> None:
    with pytest.raises(WriteInRead), either.read() as tx:
        submit(tx)
    with either.write() as tx:
        submit(tx)


def test_a_read_is_one_snapshot(store: Store, client: Store) -> None:
    with client.read() as reading:
        assert jobs.count(reading) == 0
        with store.write() as tx:
            submit(tx)
        assert jobs.count(reading) == 0
    with client.read() as reading:
        assert jobs.count(reading) == 1


def test_a_supervisors_transactions_do_not_nest(store: Store) -> None:
    with store.write() as tx:
        submit(tx)
        with pytest.raises(RuntimeError, match="do not nest"), store.read():
            pass
    with store.read() as tx:
        assert jobs.count(tx) == 1


def test_a_broken_rule_is_a_mistake_of_the_program(either: Store) -> None:
    with pytest.raises(ConstraintBroken), either.write() as tx:
        submit(tx, priority=None)


def test_a_lock_held_too_long_is_told_and_the_store_works_afterwards(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "_SUPERVISOR_WAITS", 0.05)
    monkeypatch.setattr(engine, "_CLIENT_WAITS", 0.05)
    with (
        open_store(str(path), supervisor=True) as supervisor,
        open_store(str(path)) as client,
        closing(sqlite3.connect(path, isolation_level=None)) as outsider,
    ):
        for store in (supervisor, client):
            outsider.execute("BEGIN IMMEDIATE")
            for _ in range(2):
                locked = pytest.raises(StoreUnavailable, match=f"{path} is locked by another process")
                with locked as refusal, store.write() as tx:
                    submit(tx)
                assert refusal.value.__cause__ is not None
                with store.read() as tx:
                    jobs.count(tx)
            outsider.execute("ROLLBACK")
            with store.write() as tx:
                submit(tx, f"job-{store.supervisor}")


def test_a_write_waits_for_a_lock_that_is_let_go(path: Path) -> None:
    """The holder lets go once it is asked to, which happens while the other waits or before: both must do."""
    open_store(str(path)).close()
    ready, go = os.pipe(), os.pipe()

    def hold() -> None:
        with closing(sqlite3.connect(path, isolation_level=None)) as outsider:
            outsider.execute("BEGIN IMMEDIATE")
            os.write(ready[1], b".")
            os.read(go[0], 1)
            outsider.execute("ROLLBACK")

    holder = forked(hold)
    os.read(ready[0], 1)
    with open_store(str(path)) as client:
        os.write(go[1], b".")
        with client.write() as tx:
            submit(tx)
    assert exit_code(holder) == 0
    for end in (*ready, *go):
        os.close(end)


def test_a_full_disk_is_told_and_the_store_works_once_there_is_room(store: Store) -> None:
    with store.read() as tx:
        pages = tx.scalar(text("PRAGMA page_count"))
        tx.execute(text(f"PRAGMA max_page_count={pages}"))
    large = '"' + "x" * 100_000 + '"'
    with pytest.raises(StoreUnavailable, match="cannot grow: its disk is full"), store.write() as tx:
        submit(tx, payload=large)
    with store.read() as tx:
        tx.execute(text("PRAGMA max_page_count=1000000"))
    with store.write() as tx:
        submit(tx, payload=large)


def test_a_transaction_that_sqlite_rolled_back_is_not_taken_for_committed(store: Store) -> None:
    """As a full disk does; the statement's error may have been caught on the way."""

    def lose(tx: Transaction) -> None:
        submit(tx)
        tx.exec_driver_sql("ROLLBACK")

    with pytest.raises(StoreUnavailable, match="nothing was written"), store.write() as tx:
        lose(tx)
    with store.read() as tx:
        assert jobs.count(tx) == 0


def test_a_failed_statement_is_told_without_its_text(either: Store) -> None:
    with pytest.raises(StoreUnavailable) as refusal, either.write() as tx:
        tx.execute(text("SELECT payload, secret FROM jobs WHERE id = 'x'"))
    assert str(refusal.value) == f"the database {either.path} cannot be used: no such column: secret"


def test_the_data_version_changes_with_what_others_write(store: Store, client: Store) -> None:
    first = store.data_version()
    assert store.data_version() == first
    with store.write() as tx:
        submit(tx, "ours")
    assert store.data_version() == first
    with client.write() as tx:
        submit(tx, "theirs")
    second = store.data_version()
    assert second != first
    store.reopen()
    assert store.data_version() not in {first, second}


def test_a_client_has_no_data_version(client: Store) -> None:
    with pytest.raises(RuntimeError):
        client.data_version()


def test_a_reopened_store_works(store: Store) -> None:
    with store.write() as tx:
        submit(tx)
    store.reopen()
    with store.read() as tx:
        assert jobs.count(tx) == 1


def test_a_closed_supervisors_store_is_told(path: Path) -> None:
    store = open_store(str(path), supervisor=True)
    store.close()
    store.close()
    with pytest.raises(StoreUnavailable, match="is closed"), store.read():
        pass
    with pytest.raises(StoreUnavailable, match="is closed"):
        store.data_version()
    with pytest.raises(StoreUnavailable, match="is closed"):
        store.reopen()


def pragma(store: Store, name: str) -> object:
    with store.read() as tx:
        return tx.scalar(text(f"PRAGMA {name}"))


def test_every_connection_is_set_up_alike(either: Store) -> None:
    wanted = {
        "journal_mode": "wal",
        "synchronous": 2,
        "foreign_keys": 1,
        "trusted_schema": 0,
        "cell_size_check": 1,
        "busy_timeout": 1000 if either.supervisor else 10_000,
        "wal_autocheckpoint": 1000 if either.supervisor else 0,
    }
    assert {name: pragma(either, name) for name in wanted} == wanted


def opened_by(store: Store, monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """The connections that it opens from now on."""
    opened: list[object] = []
    connect = store._connect

    def count() -> sqlite3.Connection:
        opened.append(connection := connect())
        return connection

    monkeypatch.setattr(store._engine.pool, "_creator", count)
    return opened


def test_as_many_connections_stay_open_as_are_to_be_kept(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_store(str(path), keep=1) as store:
        opened = opened_by(store, monkeypatch)
        for number in range(3):
            with store.write() as tx:
                submit(tx, f"job-{number}")
        assert len(opened) == 1
        with store.read(), store.read():
            pass
        with store.read() as tx:
            assert jobs.count(tx) == 3
        assert len(opened) == 2


def test_a_kept_connection_is_used_by_whichever_thread_comes_next(path: Path) -> None:
    def count() -> int:
        with store.read() as tx:
            return jobs.count(tx)

    with open_store(str(path), keep=1) as store, ThreadPoolExecutor(1) as another:
        for number in range(3):
            with store.write() as tx:
                submit(tx, f"job-{number}")
            assert another.submit(count).result() == number + 1


def test_a_connection_that_something_went_wrong_with_is_not_used_again(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_store(str(path), keep=1, patience=lambda: 0.0) as store, closing(outsider_of(path)) as other:
        opened = opened_by(store, monkeypatch)
        other.execute("BEGIN IMMEDIATE")
        for _ in range(2):
            with pytest.raises(StoreUnavailable, match="is locked"), store.write():
                pass
        other.execute("ROLLBACK")
        with store.write() as tx:
            submit(tx)
        assert len(opened) == 3


def test_a_closed_store_leaves_no_connection_open(path: Path) -> None:
    with open_store(str(path), keep=2) as store:
        with store.read(), store.read():
            pass
        assert path.with_name("jobs.db-wal").exists()
    assert not path.with_name("jobs.db-wal").exists()  # SQLite removes it with the last connection


def outsider_of(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, isolation_level=None)


def test_one_supervisor_at_a_time_checkpoints(path: Path) -> None:
    with (
        open_store(str(path), supervisor=True) as first,
        open_store(str(path), supervisor=True) as second,
        open_store(str(path)) as client,
    ):
        assert first.try_become_checkpointer()
        assert not second.try_become_checkpointer()
        assert not client.try_become_checkpointer()
        assert pragma(second, "wal_autocheckpoint") == 0
        first.close()
        assert second.try_become_checkpointer()
        assert pragma(second, "wal_autocheckpoint") == 1000
        second.reopen()
        assert pragma(second, "wal_autocheckpoint") == 1000


def test_beside_one_who_reads_for_long_writes_go_on_and_the_log_is_used_again_afterwards(
    store: Store, client: Store
) -> None:
    """Until the reader leaves, the log grows: what it reads may not be overwritten."""
    log = Path(f"{store.path}-wal")

    def fill(since: int) -> int:
        for number in range(since, since + 30):
            with store.write(patient=False) as tx:
                submit(tx, f"job-{number}", payload='"' + "x" * 150_000 + '"')
        return log.stat().st_size

    with client.read() as tx:
        before = jobs.count(tx)
        grown = fill(0)
        assert fill(30) > 1.5 * grown > 4096 * 1000
        assert jobs.count(tx) == before
    assert fill(60) < 2.6 * grown
    with client.read() as tx:
        assert jobs.count(tx) == before + 90


def test_connections_that_are_kept_can_be_let_go_of_while_others_are_used(path: Path) -> None:
    with open_store(str(path), keep=2) as store:
        with store.read():
            with store.read():
                pass
            (idle,) = store._idle
            store.let_go_of_idle()
            assert idle.closed
        with store.write() as tx:
            submit(tx)
