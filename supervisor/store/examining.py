"""What a database file is like: looked at beside a service or without one, and never changed by it."""

import os
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from supervisor.errors import NotOurDatabase, StoreUnavailable
from supervisor.store import census, dbfile, looking, migrate
from supervisor.store.census import Census
from supervisor.store.columns import unsigned
from supervisor.store.faults import translated
from supervisor.store.locks import beside
from supervisor.store.records import ProcessIdentity, Supervisor

_PROBLEMS = 5
"""Told of a damaged file; it may have thousands."""
_AGAIN = 3


class State(Enum):
    """What became of the look."""

    MISSING = "there is none yet"
    EMPTY = "there is nothing in it yet"
    UNSETTLED = "somebody was interrupted"
    UNUSABLE = "it cannot be read, or is somebody else's"
    LOCKED = "somebody has it to himself"
    DAMAGED = "it is not whole"
    WHOLE = "it is whole"


class Age(Enum):
    """A schema beside ours."""

    OLDER = "the next start migrates it"
    CURRENT = "as this version wants it"
    NEWER = "made by a newer version"


@dataclass(frozen=True, slots=True)
class Content:
    """What is in a database that is whole."""

    census: Census
    age: Age
    living: tuple[Supervisor, ...]
    """Supervisors that have not ended on record."""
    held: Mapping[str, int]
    """Jobs InProgress by the UUID of their owner."""
    latest: int
    """The newest time of anything that has happened; 0 where nothing has."""


@dataclass(frozen=True, slots=True)
class Examined:
    """One look."""

    path: Path
    state: State
    problem: str = ""
    content: Content | None = None


def examine(database: str) -> Examined:
    """Raises StoreUnavailable for what cannot be a database's name."""
    path = dbfile.path_of(database)
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return Examined(path, State.MISSING)
    except OSError as error:
        return Examined(path, State.UNUSABLE, f"the database {path} cannot be seen: {error.strerror}")
    before, examined = _traces(path), _examined(path)
    for _ in range(_AGAIN):
        # Where nobody had it open, nothing was locked: who came meanwhile may have written below our eyes.
        if before == (before := _traces(path)):
            break
        examined = _examined(path)
    return examined


def _examined(path: Path) -> Examined:
    try:
        seen = dbfile.look(path)
    except (NotOurDatabase, StoreUnavailable) as error:
        return Examined(path, State.UNUSABLE, str(error))
    if seen is dbfile.Look.FRESH:
        return Examined(path, State.EMPTY)
    if seen is dbfile.Look.UNSETTLED or _size(beside(path, "-journal")):
        return Examined(path, State.UNSETTLED)
    try:
        with translated(path), closing(looking.connected(path, _how(path))) as connection:
            connection.execute("PRAGMA query_only=ON")
            connection.execute("BEGIN")
            return _read(path, connection)
    except StoreUnavailable as error:
        return Examined(path, _kind(error), str(error))


def _how(path: Path) -> str:
    """Read-only makes files where there are none, and leaves them; immutable takes no notice of anybody."""
    in_use = beside(path, "-shm").exists() or beside(path, "-wal").exists()
    return "mode=ro" if in_use else "mode=ro&immutable=1"


def _read(path: Path, connection: sqlite3.Connection) -> Examined:
    with looking.interruptible(connection):
        found = [row[0] for row in connection.execute(f"PRAGMA integrity_check({_PROBLEMS})")]
        if found != ["ok"]:
            return Examined(path, State.DAMAGED, "; ".join(found))
        broken = len(connection.execute("PRAGMA foreign_key_check").fetchall())
        if broken:
            return Examined(path, State.DAMAGED, f"{broken} rows refer to a job that is not there")
        return Examined(path, State.WHOLE, content=_content(connection))


def _content(connection: sqlite3.Connection) -> Content:
    counted = census.taken(connection)
    held = "SELECT owner, count(*) FROM jobs WHERE status = 'InProgress' GROUP BY owner"
    times = (
        "SELECT max(created_at), max(started_at), max(completed_at), max(cancel_requested_at) FROM jobs",
        "SELECT max(started_at), max(heartbeat_at), max(ended_at) FROM supervisors",
    )
    found = [time for query in times for time in connection.execute(query).fetchone()]
    age = Age.NEWER
    if counted.schema in migrate.KNOWN:
        age = Age.CURRENT if counted.schema == migrate.HEAD else Age.OLDER
    return Content(
        census=counted,
        age=age,
        living=tuple(_living(connection)),
        held=dict(connection.execute(held).fetchall()),
        latest=max((time for time in found if time is not None), default=0),
    )


def _living(connection: sqlite3.Connection) -> list[Supervisor]:
    """Of the columns that every schema has."""
    rows = connection.execute(
        "SELECT uuid, host, boot_id, pid_namespace, pid, start_ticks, pidfd_inode, version, state,"
        " started_at, heartbeat_at, ended_at FROM supervisors WHERE ended_at IS NULL ORDER BY started_at"
    )
    return [_supervisor(*row) for row in rows.fetchall()]


def _supervisor(*row: Any) -> Supervisor:
    uuid, host, boot_id, pid_namespace, pid, start_ticks, pidfd_inode, *rest = row
    identity = ProcessIdentity(pid, start_ticks, unsigned(pidfd_inode))
    return Supervisor(uuid, host, boot_id, pid_namespace, identity, *rest)


def _kind(error: StoreUnavailable) -> State:
    code = getattr(error.__cause__, "sqlite_errorcode", 0) & 0xFF
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return State.DAMAGED
    return State.LOCKED if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED) else State.UNUSABLE


def _traces(path: Path) -> tuple[object, ...]:
    """What differs when somebody has opened or written it, as far as it was nobody's before."""
    if _how(path) == "mode=ro":
        return ("in use",)
    found = os.stat(path)
    return found.st_ino, found.st_size, found.st_mtime_ns


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
