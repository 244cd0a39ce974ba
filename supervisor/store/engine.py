"""Open the database; every use of it is a transaction that says beforehand whether it writes."""

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from sqlalchemy import Connection, NullPool, create_engine

from supervisor.errors import StoreUnavailable
from supervisor.store import dbfile, driver, held, locks, migrate, soundness
from supervisor.store.driver import impatient, raw_of
from supervisor.store.faults import translated

Transaction = Connection

_OLDEST_SQLITE = (3, 37)
_SUPERVISOR_WAITS = 1.0
_CLIENT_WAITS = 10.0
_CHECKPOINT_PAGES = 1000


def open_store(
    url: str,
    *,
    supervisor: bool = False,
    create: bool = True,
    keep: int = 0,
    patience: Callable[[], float] | None = None,
) -> "Store":
    """The database at a path or sqlite:/// URL, brought to the newest schema.

    Args:
        url: The path or URL.
        supervisor: Whether for one.
        create: Make it where there is none.
        keep: Connections of a client that stay open for what comes next: half a millisecond each time. For
            a process that never forks, and that is there only while the service is.
        patience: Asked at each transaction: the seconds that it may wait for the lock of another writer.
    """
    if sqlite3.sqlite_version_info < _OLDEST_SQLITE:
        raise StoreUnavailable(f"SQLite 3.37 or newer is needed; this Python has {sqlite3.sqlite_version}")
    path = dbfile.path_of(url)
    with held.opening:
        dbfile.make(path, create=create)
        settled = held.look(path) is dbfile.Look.SETTLED
        store = Store(path, supervisor=supervisor, keep=keep, patience=patience)
        try:
            store.settle(settled=settled)
            store.refuse_damaged()
        except BaseException:
            store.close()
            raise
        held.note(store)
    return store


class Store:
    """One database file. A supervisor keeps one connection; a client opens one for each transaction.

    A client in a user's program keeps none: it could be carried over a fork, and while it is open, the file
    of a service that was stopped is not whole without its write-ahead log.
    """

    def __init__(
        self,
        path: Path,
        *,
        supervisor: bool,
        keep: int = 0,
        patience: Callable[[], float] | None = None,
    ) -> None:
        self.path = path
        self._keep = keep
        self._patience = patience
        self._idle: list[Connection] = []
        self.supervisor = supervisor
        self._pin: int | None = dbfile.pin(path)
        self.identity = dbfile.identity_of(self._pin)
        self._process = os.getpid()
        self._engine = create_engine("sqlite://", creator=self._connect, poolclass=NullPool)
        self._kept: Connection | None = None
        self._checkpointer: int | None = None
        self._lives = 0

    @contextmanager
    def write(self, *, patient: bool = True) -> Iterator[Transaction]:
        """BEGIN IMMEDIATE: one that reads first and then wants the lock would fail without waiting.

        Raises StoreLocked where another process writes: at once where not `patient`.
        """
        with translated(self.path), self._connection() as connection, connection.begin():
            raw = raw_of(connection)
            raw.execute("PRAGMA query_only=OFF")
            with nullcontext() if patient else impatient(raw):
                raw.execute("BEGIN IMMEDIATE")
            yield connection
            # SQLite rolls back by itself when the disk is full or fails; the driver's commit would then do
            # nothing, successfully.
            if not raw.in_transaction:
                raise StoreUnavailable(f"the database {self.path} broke off; nothing was written")

    @contextmanager
    def read(self) -> Iterator[Transaction]:
        """One snapshot, whatever is committed meanwhile."""
        with translated(self.path, reading=True), self._connection() as connection, connection.begin():
            raw = raw_of(connection)
            raw.execute("PRAGMA query_only=ON")
            raw.execute("BEGIN DEFERRED")
            yield connection

    def data_version(self) -> int:
        """Another number whenever another connection has changed the database, and after reopen()."""
        self._refuse_forked()
        if not self.supervisor:
            raise RuntimeError("only a supervisor's store keeps a connection to compare with")
        with translated(self.path):
            (version,) = raw_of(self._kept_open()).execute("PRAGMA data_version").fetchone()
        return (self._lives << 32) + int(version)

    def file_is_ours(self) -> bool:
        """Whether the path still leads to the file that was opened: neither deleted nor replaced."""
        return dbfile.identity_of(self.path) == self.identity

    def try_become_checkpointer(self) -> bool:
        """One supervisor at a time: SQLite before 3.51.3 can lose commits when two connections checkpoint."""
        self._refuse_forked()
        if not self.supervisor:
            return False
        if self._checkpointer is None:
            self._checkpointer = locks.try_hold(locks.beside(self.path, "-checkpointer"))
        if self._checkpointer is not None and self._kept is not None:
            with translated(self.path):
                raw_of(self._kept).execute(f"PRAGMA wal_autocheckpoint={_CHECKPOINT_PAGES}")
        return self._checkpointer is not None

    def empty_log(self) -> None:
        """Checkpoint, and cut the write-ahead log to nothing, so that the disk gets back what was freed.

        Not where another has this duty, and not while somebody reads: nobody is waited for.
        """
        if self._checkpointer is None or self._kept is None:
            return
        with translated(self.path):
            raw = raw_of(self._kept)
            with impatient(raw):
                raw.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()

    def settle(self, *, settled: bool) -> None:
        """See to the schema, then keep a connection where one is to be kept."""
        with translated(self.path):
            if not (settled and self._is_current()):
                migrate.migrate(self.path, self._connect)
            if self.supervisor:
                self._kept = self._engine.connect()
                self.try_become_checkpointer()

    def refuse_damaged(self) -> None:
        """A supervisor does not begin on what it cannot trust. Raises StoreDamaged."""
        if self._kept is not None:
            with translated(self.path):
                soundness.refuse_damaged(raw_of(self._kept), self.path)

    def reopen(self) -> None:
        """A connection that saw an I/O error may hold pages that the disk does not have: take a new one."""
        self._refuse_forked()
        self._let_go()
        self._lives += 1
        self.settle(settled=True)

    def close(self) -> None:
        self._refuse_forked()
        self._let_go()
        for descriptor in (self._checkpointer, self._pin):
            if descriptor is not None:
                os.close(descriptor)
        self._checkpointer = self._pin = None
        held.forget(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @contextmanager
    def _connection(self) -> Iterator[Connection]:
        self._refuse_forked()
        if not self.supervisor:
            with self._borrowed() as connection:
                yield connection
            return
        kept = self._kept_open()
        if kept.in_transaction():
            raise RuntimeError("a transaction is open already, and they do not nest")
        self._refuse_lost()
        yield kept

    @contextmanager
    def _borrowed(self) -> Iterator[Connection]:
        """For one thread at a time. One that something went wrong with is not used again."""
        try:
            connection = self._idle.pop()
        except IndexError:
            connection = self._engine.connect()
        try:
            self._refuse_lost()
            if self._patience is not None:
                milliseconds = max(1, int(1000 * self._patience()))
                raw_of(connection).execute(f"PRAGMA busy_timeout={milliseconds}")
            yield connection
        except BaseException:
            connection.close()
            raise
        if len(self._idle) < self._keep and self._pin is not None:
            self._idle.append(connection)
        else:
            connection.close()

    def _kept_open(self) -> Connection:
        if self._kept is None:
            raise StoreUnavailable(f"the database {self.path} is closed")
        return self._kept

    def _connect(self) -> sqlite3.Connection:
        self._refuse_lost()
        waits = _SUPERVISOR_WAITS if self.supervisor else _CLIENT_WAITS
        connection = driver.connect(self.path, waits=waits, one_thread=self._keep == 0)
        try:
            self._refuse_lost()
        except BaseException:
            connection.close()
            raise
        return connection

    def _is_current(self) -> bool:
        connection = self._connect()
        try:
            return migrate.is_current(connection, self.path)
        finally:
            connection.close()

    def _let_go(self) -> None:
        if self._kept is not None and not self.file_is_ours():
            # Whatever is in its place now must not find this log beside it: SQLite would read the old one's
            # pages from it, and take them for its own. Where the old one went, it is whole then.
            with suppress(StoreUnavailable):
                self.empty_log()
        kept, self._kept = self._kept, None
        if kept is not None:
            self._close(kept)
        self.let_go_of_idle()

    def let_go_of_idle(self) -> None:
        """Close the connections of a client that nobody uses at the moment."""
        while True:
            try:
                connection = self._idle.pop()
            except IndexError:
                return
            self._close(connection)

    def _close(self, connection: Connection) -> None:
        with suppress(StoreUnavailable), translated(self.path):
            connection.close()

    def _refuse_lost(self) -> None:
        """SQLite would go on writing into a file that no path leads to, and report success."""
        if self._pin is None:
            raise StoreUnavailable(f"the database {self.path} is closed")
        if not self.file_is_ours():
            raise StoreUnavailable(
                f"the database {self.path} was deleted or replaced while it was open; "
                "put it back, or restart the service to use what is there now"
            )

    def _refuse_forked(self) -> None:
        """A connection carried over a fork silently loses rows."""
        if os.getpid() != self._process:
            raise RuntimeError(
                "this store was opened before a fork; start a process anew to open the database"
            )
