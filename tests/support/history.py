"""What must be true of any history, whatever was killed in it: by the database and by the jobs' own notes."""

import contextlib
import sqlite3
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace

from tests.support.eventually import eventually
from tests.support.service import RETRIED, Service
from tests.torture.checker import ENDED_BY_SUPERVISOR, unended, violations
from tests.torture.history import History, Row, Rules

__all__ = ["History", "check", "read", "recorded", "ruled"]


def recorded(service: Service) -> History:
    """The whole database, and the jobs' own notes."""
    with service.sql() as database:
        return read(database, service.notes())


def read(database: sqlite3.Connection, notes: list[Row]) -> History:
    """Likewise, of a database that may be of another moment, with the notes of that moment."""
    database.execute("BEGIN")
    jobs = {row["id"]: row for row in _rows(database, "SELECT * FROM jobs ORDER BY seq")}
    supervisors = {row["uuid"]: row for row in _rows(database, "SELECT * FROM supervisors")}
    changes = _rows(database, "SELECT * FROM job_changes ORDER BY number")
    attempts = defaultdict(list)
    joined = "SELECT jobs.id AS job, attempts.* FROM attempts JOIN jobs ON seq = job_seq ORDER BY number"
    for row in _rows(database, joined):
        attempts[row["job"]].append(row)
    return History(jobs, attempts, supervisors, notes, changes)


def ruled(
    history: History,
    acknowledged: Iterable[str],
    limits: dict[str, int] | None = None,
    by_hand: Iterable[str] = (),
) -> History:
    """With what it is to be judged by."""
    names = {job["type"] for job in history.jobs.values()}
    return replace(
        history,
        rules={name: Rules((limits or {}).get(name), again=name in RETRIED) for name in names},
        acknowledged=tuple(acknowledged),
        by_hand=frozenset(by_hand),
    )


def check(
    service: Service,
    acknowledged: Iterable[str],
    limits: dict[str, int] | None = None,
    *,
    idle: bool = True,
    by_hand: Iterable[str] = (),
) -> History:
    """Fail with every broken promise. Where `idle`, every job must have ended, and left nothing.

    `by_hand` are jobs that were tried again after their end, because somebody asked for it.
    """
    history = ruled(recorded(service), acknowledged, limits, by_hand)
    problems = violations(history)
    if idle:
        problems += unended(history)
    assert not problems, "\n".join([*problems, service.logs()])
    if idle:
        _nothing_left(service)
    return history


def _nothing_left(service: Service) -> None:
    """No process of any job, no working directory; and of whoever is gone, that is on record."""

    def left() -> list[str]:
        work = service.state_dir / "work"
        folders = [entry.name for entry in work.iterdir()] if work.exists() else []
        return [*folders, *map(str, service.strays()), *_lies(service)]

    with contextlib.suppress(AssertionError):
        eventually(lambda: not left(), 15.0, 0.05)
    remaining = left()
    assert not remaining, f"left behind: {remaining}\n{service.logs()}"


def _lies(service: Service) -> list[str]:
    """Supervisors that are on record as living and are gone, or the other way round."""
    living = {serving.uuid for serving in service.supervisors if serving.process.poll() is None}
    with service.sql() as database:
        states = {row["uuid"]: row["state"] for row in _rows(database, "SELECT * FROM supervisors")}
    return [
        f"supervisor {uuid} is {state} on record"
        for uuid, state in states.items()
        if living and uuid in service.owners() and (state in ENDED_BY_SUPERVISOR) == (uuid in living)
    ]


def _rows(database: sqlite3.Connection, statement: str) -> list[Row]:
    cursor = database.execute(statement)
    names = [column[0] for column in cursor.description]
    return [dict(zip(names, row, strict=True)) for row in cursor]
