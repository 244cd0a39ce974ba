"""A connection for a look at a database file: nothing is made, migrated or taken for granted."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

SQLITE = sqlite3.sqlite_version

WAITS = 10.0
"""Seconds for the lock of somebody else."""
_INSTRUCTIONS = 100_000
"""Of SQLite, some milliseconds, after which a statement asks whether it is to go on."""


def connected(path: Path, how: str) -> sqlite3.Connection:
    """`how`: URI parameters of SQLite, such as mode=ro."""
    return sqlite3.connect(f"file:{quote(str(path))}?{how}", uri=True, isolation_level=None, timeout=WAITS)


@contextmanager
def interruptible(connection: sqlite3.Connection) -> Iterator[None]:
    """Where one statement takes seconds, Ctrl-C interrupts it: Python hears of it in a function of Python."""
    connection.set_progress_handler(lambda: 0, _INSTRUCTIONS)
    try:
        yield
    except sqlite3.Error as error:
        if getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_INTERRUPT:
            raise KeyboardInterrupt from error
        raise
    finally:
        connection.set_progress_handler(None, _INSTRUCTIONS)
