"""The driver below Core: one connection to the file, as we want every one of them."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast
from urllib.parse import quote

from sqlalchemy import Connection

_PRAGMAS = (
    "synchronous=FULL",
    "foreign_keys=ON",
    "wal_autocheckpoint=0",
    "trusted_schema=OFF",
    "cell_size_check=ON",
)


def connect(path: Path, *, waits: float, one_thread: bool) -> sqlite3.Connection:
    """`waits`: seconds for the lock of another writer. Raises sqlite3.Error.

    mode=rw: a file that has vanished is an error, never a new and empty database.
    """
    connection = sqlite3.connect(
        f"file:{quote(str(path))}?mode=rw",
        uri=True,
        isolation_level=None,
        timeout=waits,
        check_same_thread=one_thread,
    )
    try:
        for pragma in _PRAGMAS:
            connection.execute(f"PRAGMA {pragma}")
    except BaseException:
        connection.close()
        raise
    return connection


@contextmanager
def impatient(raw: sqlite3.Connection) -> Iterator[None]:
    """Nobody is waited for."""
    (milliseconds,) = raw.execute("PRAGMA busy_timeout").fetchone()
    raw.execute("PRAGMA busy_timeout=0")
    try:
        yield
    finally:
        raw.execute(f"PRAGMA busy_timeout={milliseconds}")


def raw_of(connection: Connection) -> sqlite3.Connection:
    """What Core has its connection from."""
    return cast(sqlite3.Connection, connection.connection.dbapi_connection)
