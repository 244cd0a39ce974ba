"""A copy of the database while others use it: SQLite's online backup, and then everything looked at again."""

import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

from supervisor.errors import BackupFailed, StoreUnavailable
from supervisor.store import census, dbfile, held, looking
from supervisor.store.census import Census
from supervisor.store.faults import translated

_PAGES = 1024
"""Copied at a time, four megabytes: Ctrl-C is heard and progress told in between."""
_LONGEST_REST = 0.1
"""Seconds. After each step it rests as long as that took, or so long: the disk is the service's, too."""

_OF_THE_SOURCE = frozenset(
    {sqlite3.SQLITE_IOERR_READ, sqlite3.SQLITE_IOERR_SHORT_READ, sqlite3.SQLITE_CORRUPT}
)


def copy(source: Path, to: Path, descriptor: int, told: Callable[[int, int], None]) -> Census:
    """Copy the database into an empty file of which `descriptor` is open, make sure of it, and count it.

    One moment of it, that of the beginning: whoever writes meanwhile is neither held up nor seen. An older
    schema stays what it is. `told` hears of bytes that are copied, and of how many there are.

    Raises BackupFailed; StoreUnavailable where it is the database that cannot be read.
    """
    with _moment(source) as database:
        (page_size,) = database.execute("PRAGMA page_size").fetchone()
        before = census.taken(database)
        _copy_pages(
            database, to, descriptor, lambda left, pages: told((pages - left) * page_size, pages * page_size)
        )
    _sync(to, descriptor)
    after = _verified(to)
    if after != before:
        raise BackupFailed(
            f"{to} has other rows than the database had: {after.rows} instead of {before.rows}"
        )
    return after


@contextmanager
def _moment(path: Path) -> Iterator[sqlite3.Connection]:
    """The database as it is now, whatever is committed from now on."""
    if not os.path.lexists(path):
        raise StoreUnavailable(f"the database {path} does not exist")
    with held.looked_at(path) as seen:
        if seen is dbfile.Look.FRESH:
            raise StoreUnavailable(f"the database {path} has nothing in it yet")
        with translated(path), closing(looking.connected(path, "mode=rw")) as connection:
            # The lock of a reader, kept for the whole time. Without it, each commit of somebody else would
            # have the copy begin anew, and beside a busy service it would never be whole.
            connection.execute("PRAGMA query_only=ON")
            connection.execute("BEGIN")
            connection.execute("SELECT 1 FROM sqlite_master").fetchone()
            yield connection


def _copy_pages(
    database: sqlite3.Connection, to: Path, descriptor: int, told: Callable[[int, int], None]
) -> None:
    began = time.monotonic()

    def after_each_step(_: int, left: int, pages: int) -> None:
        nonlocal began
        # Little by little: a whole copy at once would keep the service's own syncs waiting.
        os.fdatasync(descriptor)
        told(left, pages)
        time.sleep(min(_LONGEST_REST, time.monotonic() - began))
        began = time.monotonic()

    with closing(_opened(to)) as copied:
        try:
            database.backup(copied, pages=_PAGES, progress=after_each_step)
        except sqlite3.Error as error:
            code = getattr(error, "sqlite_errorcode", 0)
            if code in _OF_THE_SOURCE or code & 0xFF == sqlite3.SQLITE_CORRUPT:
                raise
            raise BackupFailed(f"{to} cannot be written: {error}") from error
        except OSError as error:
            raise BackupFailed(f"{to} cannot be written: {error.strerror}") from error


def _opened(to: Path) -> sqlite3.Connection:
    """The copy, to be written. Raises BackupFailed: whatever is wrong with it, the database is not."""
    with ExitStack() as undo:
        try:
            # Nobody else knows it. Its locks would be POSIX's, which a network file system takes for ours.
            copied = undo.enter_context(closing(looking.connected(to, "mode=rw&nolock=1")))
            copied.execute("PRAGMA journal_mode=OFF")
            copied.execute("PRAGMA synchronous=OFF")
        except sqlite3.Error as error:
            raise BackupFailed(f"{to} cannot be written: {error}") from error
        undo.pop_all()
    return copied


def _sync(to: Path, descriptor: int) -> None:
    try:
        os.fsync(descriptor)
        # What is looked at afterwards is what the disk has, and not what memory remembers.
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    except OSError as error:
        raise BackupFailed(f"{to} cannot be written: {error.strerror}") from error


def _verified(path: Path) -> Census:
    """What is in the copy. Raises BackupFailed where it is not whole."""
    # Nobody writes there: so nothing is locked, and no log is made beside it.
    try:
        with (
            closing(looking.connected(path, "mode=ro&immutable=1")) as connection,
            looking.interruptible(connection),
        ):
            return _looked_at_again(path, connection)
    except sqlite3.Error as error:
        raise BackupFailed(f"the copy cannot be read, and so perhaps the database: {error}") from error


def _looked_at_again(path: Path, connection: sqlite3.Connection) -> Census:
    (verdict,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
    if verdict != "ok":
        raise BackupFailed(f"the copy is damaged, and so may be the database: {verdict}")
    if connection.execute("PRAGMA foreign_key_check").fetchone() is not None:
        raise BackupFailed("the copy has attempts without a job, and so may the database")
    if dbfile.look(path) is not dbfile.Look.SETTLED:
        raise BackupFailed("the copy is not what the service would take for its database")
    return census.taken(connection)
