"""Very many jobs at once: through the schema, its triggers included, in a few transactions of plain SQL."""

import contextlib
import json
import sqlite3
import time
from pathlib import Path

_STEP = 50_000

_PENDING = """
INSERT INTO jobs (id, type, payload, status, priority, attempt, max_attempts, crashes, created_at)
SELECT lower(hex(randomblob(4)) || '-' || hex(randomblob(2)) || '-4' || substr(hex(randomblob(2)), 2)
    || '-8' || substr(hex(randomblob(2)), 2) || '-' || hex(randomblob(6))),
    :type, :payload, 'Pending', 0, 0, 1, 0, :now
FROM (WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :number) SELECT i FROM n)
"""

_ENDED = """
INSERT INTO jobs (id, type, payload, status, priority, attempt, max_attempts, crashes, created_at,
    owner, pid, started_at, completed_at, result)
SELECT lower(hex(randomblob(4)) || '-' || hex(randomblob(2)) || '-4' || substr(hex(randomblob(2)), 2)
    || '-8' || substr(hex(randomblob(2)), 2) || '-' || hex(randomblob(6))),
    :type, :payload, 'Completed', 0, 1, 1, 0, :now - 1000,
    'an owner long gone', 4711, :now - 500, :now, 'null'
FROM (WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :number) SELECT i FROM n)
"""

_ATTEMPTS = """
INSERT INTO attempts (job_seq, number, owner, pid, start_ticks, started_at, ended_at, status, exit_code,
    user_seconds, system_seconds, max_rss_bytes)
SELECT seq, 1, owner, pid, 4711, started_at, completed_at, 'Completed', 0, 0.001, 0.001, 20000000
FROM jobs WHERE status = 'Completed' AND seq > :after
"""


def pending(database: Path, type_name: str, path: str, number: int, *, alone: bool = False) -> None:
    """So many Pending jobs whose payload is the path. `alone`: no service runs."""
    _in_steps(database, type_name, path, number, ended=False, alone=alone)


def ended(database: Path, type_name: str, path: str, number: int) -> None:
    """So many Completed jobs, each with its attempt."""
    _in_steps(database, type_name, path, number, ended=True, alone=True)


def count(database: Path, type_name: str, status: str) -> int:
    """How many there are already."""
    with contextlib.closing(sqlite3.connect(database)) as connection:
        asked = "SELECT sum(number) FROM job_counts WHERE type = ? AND status = ?"
        return connection.execute(asked, (type_name, status)).fetchone()[0] or 0


def _in_steps(database: Path, type_name: str, path: str, number: int, *, ended: bool, alone: bool) -> None:
    with contextlib.closing(sqlite3.connect(database, timeout=60, isolation_level=None)) as connection:
        # While a service runs, it alone makes checkpoints (docs/decisions.md).
        pages = 1000 if alone else 0
        connection.executescript(f"PRAGMA synchronous=FULL; PRAGMA wal_autocheckpoint={pages}")
        while number > 0:
            step = min(number, _STEP)
            values = {"type": type_name, "payload": json.dumps(path), "number": step}
            values["now"] = int(time.time() * 1000)
            connection.execute("BEGIN IMMEDIATE")
            (after,) = connection.execute("SELECT coalesce(max(seq), 0) FROM jobs").fetchone()
            connection.execute(_ENDED if ended else _PENDING, values)
            if ended:
                connection.execute(_ATTEMPTS, {"after": after})
            connection.execute("COMMIT")
            number -= step
