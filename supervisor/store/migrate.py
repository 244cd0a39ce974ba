"""Bring a database to the newest schema: Alembic, imported only when there is something to do."""

import sqlite3
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from sqlalchemy import StaticPool, create_engine

from supervisor.errors import NotOurDatabase, SchemaTooNew, StoreUnavailable
from supervisor.store import dbfile
from supervisor.store.locks import beside, holding

HEAD = "0006"
KNOWN = ("0001", "0002", "0003", "0004", "0005", "0006")
"""Every revision, oldest first; a test compares them with migrations/versions."""

_INCREMENTAL = 2
_WRITTEN_ANEW = 2**30
"""Bytes, about seven seconds: a larger file is not worth the wait at a start, nor the room that it takes."""

_MIGRATIONS = Path(__file__).with_name("migrations")


def is_current(connection: sqlite3.Connection, path: Path) -> bool:
    """Whether there is nothing to migrate. A version that we do not know is refused."""
    version = _version(connection, path)
    if version is not None and version not in KNOWN:
        raise SchemaTooNew(
            f"the database {path} has schema {version}, and this AsyncWorker knows none after {HEAD}:"
            " upgrade this installation"
        )
    return version == HEAD


def migrate(path: Path, connect: Callable[[], sqlite3.Connection]) -> None:
    """All outstanding migrations in one transaction, while no other process migrates.

    The write-ahead log comes last: until then the header, with our application id, is written together with
    the tables, so that a file is either ours and whole or still empty. Switching it on needs the file to
    itself, which the lock gives: nobody else keeps a connection to a file without it.
    """
    with holding(beside(path, "-migrating")):
        connection = connect()
        try:
            if not is_current(connection, path):
                dbfile.sync_names(path)
                _upgrade(connection, path)
            (mode,) = connection.execute("PRAGMA journal_mode=WAL").fetchone()
            if mode != "wal":
                raise StoreUnavailable(f"the disk of the database {path} does not allow a write-ahead log")
        finally:
            connection.close()


def _version(connection: sqlite3.Connection, path: Path) -> str | None:
    """The version on record; None in an empty database."""
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if not tables:
        return None
    if "alembic_version" not in tables:
        raise NotOurDatabase(f"{path} is not a database of AsyncWorker: it has tables and no schema version")
    row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    if row is None:
        raise NotOurDatabase(f"{path} is not a database of AsyncWorker: its schema version is missing")
    return str(row[0])


def _begin(connection: sqlite3.Connection) -> None:
    """A transaction that writes, on a file whose free pages can be given back to the disk."""
    if connection.execute("PRAGMA page_count").fetchone() == (0,):
        # Only the first statement of all can still choose that; alone, it would put a page into the file.
        connection.execute("BEGIN DEFERRED")
        connection.execute("PRAGMA auto_vacuum=INCREMENTAL")
    else:
        _let_it_shrink(connection)
        connection.execute("BEGIN IMMEDIATE")


def _let_it_shrink(connection: sqlite3.Connection) -> None:
    """What was made without that is written anew, once."""
    connection.execute("PRAGMA auto_vacuum=INCREMENTAL")
    (mode,) = connection.execute("PRAGMA auto_vacuum").fetchone()
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    (page_size,) = connection.execute("PRAGMA page_size").fetchone()
    if mode != _INCREMENTAL and pages * page_size <= _WRITTEN_ANEW:
        # Where the disk has no room for a second copy, or somebody has the file open, it stays as it is.
        with suppress(sqlite3.OperationalError):
            connection.execute("VACUUM")


def _unreadable(path: Path) -> StoreUnavailable:
    return StoreUnavailable(
        f"the database {path} cannot be brought to schema {HEAD}: {_MIGRATIONS} cannot be read;"
        " try again, and if that does not help, install AsyncWorker anew"
    )


def _upgrade(connection: sqlite3.Connection, path: Path) -> None:
    """A migration that rebuilds a table drops it, and foreign keys would then delete what refers to it."""
    from alembic import command  # noqa: PLC0415 - nearly a second, where it is not needed
    from alembic.config import Config  # noqa: PLC0415
    from alembic.util import CommandError  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    connection.execute("PRAGMA foreign_keys=OFF")
    engine = create_engine("sqlite://", creator=lambda: connection, poolclass=StaticPool)
    with engine.connect() as wrapped, wrapped.begin():
        _begin(connection)
        config.attributes["connection"] = wrapped
        try:
            command.upgrade(config, "head")
        except (CommandError, ImportError) as error:
            raise _unreadable(path) from error
        # What Alembic cannot read is to it what is not there: then it does less, and is content.
        if connection.execute("SELECT version_num FROM alembic_version").fetchall() != [(HEAD,)]:
            raise _unreadable(path)
        if connection.execute("PRAGMA foreign_key_check").fetchone() is not None:
            raise StoreUnavailable(f"the database {path} has attempts without a job: restore a backup")
