"""A look at the whole database before a supervisor begins, as far as a start has time for it."""

import sqlite3
import time
from pathlib import Path

from supervisor.store.faults import damaged

_SECONDS = 2.0
"""For half a gigabyte, say. What is damaged beyond that is found when it is needed."""
_STEPS = 10_000
"""Of SQLite's virtual machine, between two looks at the clock."""


def refuse_damaged(raw: sqlite3.Connection, path: Path) -> None:
    """Raises StoreDamaged. Nothing is written, and nothing repaired."""
    until = time.monotonic() + _SECONDS
    raw.set_progress_handler(lambda: time.monotonic() > until, _STEPS)
    try:
        (verdict,) = raw.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode != sqlite3.SQLITE_INTERRUPT:
            raise
        return
    finally:
        raw.set_progress_handler(None, 0)
    if verdict != "ok":
        raise damaged(path)
