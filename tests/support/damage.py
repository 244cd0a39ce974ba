"""A database of which something has become nonsense."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path


def _root_page_of(database: Path, table: str) -> int:
    with closing(sqlite3.connect(database)) as outsider:
        (page,) = outsider.execute("SELECT rootpage FROM sqlite_schema WHERE name = ?", (table,)).fetchone()
        return int(page)


def damage(database: Path, *tables: str) -> None:
    """Overwrite the first pages of these tables: the file is a database still."""
    pages = [_root_page_of(database, table) for table in tables]
    with closing(sqlite3.connect(database, isolation_level=None)) as outsider:
        (busy, _, _) = outsider.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        assert not busy
    with database.open("r+b") as file:
        for page in pages:
            file.seek(4096 * (page - 1))
            file.write(os.urandom(4096))
