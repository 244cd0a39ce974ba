"""What is in a database: its schema, and how many rows of what. Plain SQL: it may be an older one."""

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass

from supervisor.lifecycle import JobStatus


@dataclass(frozen=True, slots=True)
class Census:
    """Of one moment."""

    schema: str
    """The newest migration that was done on it."""
    rows: Mapping[str, int]
    """Of every table, by its name."""
    jobs: Mapping[JobStatus, int]
    """Of every status, 0 included."""


def taken(connection: sqlite3.Connection) -> Census:
    """Raises sqlite3.Error where it is not a database of ours."""
    (schema,) = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    rows = {name: _count(connection, name) for name in sorted(tables)}
    found = dict(connection.execute("SELECT status, count(*) FROM jobs GROUP BY status").fetchall())
    return Census(str(schema), rows, {status: found.get(status, 0) for status in JobStatus})


def _count(connection: sqlite3.Connection, table: str) -> int:
    quoted = '"' + table.replace('"', '""') + '"'
    (number,) = connection.execute(f"SELECT count(*) FROM {quoted}").fetchone()  # noqa: S608  quoted
    return int(number)
