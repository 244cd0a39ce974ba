"""Every change of every job, read while it happens: the database keeps only the last ones."""

import sqlite3
import threading
from contextlib import closing
from pathlib import Path

from tests.torture.history import Row

_PAUSE = 0.5


class Witness:
    """A thread that reads on, whatever becomes of the services."""

    def __init__(self, database: Path) -> None:
        self._database = database
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="witness")
        self._reading = threading.Lock()
        self.changes: list[Row] = []
        self._thread.start()

    def close(self) -> None:
        self._over.set()
        self._thread.join()

    def look(self) -> None:
        """Read what is there now. Raises sqlite3.Error."""
        with self._reading:
            self._read()

    def _run(self) -> None:
        while not self._over.wait(_PAUSE):
            try:
                self.look()
            except sqlite3.Error:  # full or locked for now: what is there stays there
                continue

    def _read(self) -> None:
        last = self.changes[-1]["number"] if self.changes else 0
        with closing(sqlite3.connect(self._database, timeout=5)) as database:
            cursor = database.execute("SELECT * FROM job_changes WHERE number > ? ORDER BY number", (last,))
            names = [column[0] for column in cursor.description]
            self.changes += [dict(zip(names, row, strict=True)) for row in cursor]
