"""The rules of the schema, tried with plain SQL: they hold for whoever writes."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from supervisor.lifecycle import ENDED, NEXT, FailureKind, JobStatus
from supervisor.store import open_store

RUNNING = {"owner": "o", "pid": 7, "started_at": 2, "attempt": 1}
ENDING: dict[str, dict[str, Any]] = {
    "Pending": {"owner": None, "pid": None, "started_at": None, "completed_at": None, "failure_kind": None},
    "InProgress": {**RUNNING, "completed_at": None, "failure_kind": None},
    "Completed": {**RUNNING, "completed_at": 3, "failure_kind": None},
    "Failed": {**RUNNING, "completed_at": 3, "failure_kind": "raised"},
    "Cancelled": {**RUNNING, "completed_at": 3, "failure_kind": None},
}
JOB = {
    "id": "a",
    "type": "T",
    "payload": "{}",
    "priority": 0,
    "attempt": 0,
    "max_attempts": 1,
    "crashes": 0,
    "created_at": 1,
}
ATTEMPT = {"job_seq": 1, "number": 1, "owner": "o", "pid": 7, "start_ticks": 8, "started_at": 2}
SUPERVISOR = {
    "uuid": "u",
    "host": "h",
    "boot_id": "b",
    "pid_namespace": 1,
    "pid": 7,
    "start_ticks": 8,
    "version": "1",
    "state": "running",
    "started_at": 1,
    "heartbeat_at": 1,
}


@pytest.fixture
def db(path: Path) -> Iterator[sqlite3.Connection]:
    open_store(str(path)).close()
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA foreign_keys=ON")
        yield connection


def put(db: sqlite3.Connection, table: str, row: dict[str, Any]) -> None:
    names = ", ".join(row)
    db.execute(f"INSERT INTO {table} ({names}) VALUES ({', '.join('?' * len(row))})", [*row.values()])


def job(status: str, /, **other: Any) -> dict[str, Any]:
    return JOB | {"status": status} | ENDING[status] | other


@pytest.mark.parametrize("status", JobStatus)
def test_a_row_of_every_status_is_accepted(db: sqlite3.Connection, status: str) -> None:
    put(db, "jobs", job(status))


@pytest.mark.parametrize(
    "status, wrong, rule",
    [
        ("Pending", {"status": "Paused"}, "jobs_status"),
        ("Pending", {"status": "pending"}, "jobs_status"),
        ("Pending", {"owner": "o"}, "jobs_pending"),
        ("Pending", {"pid": 7}, "jobs_pending"),
        ("Pending", {"started_at": 2}, "jobs_pending"),
        ("Pending", {"cancel_requested_at": 2}, "jobs_pending"),
        ("Pending", {"progress_fraction": 0.5}, "jobs_pending"),
        ("Pending", {"progress_message": "half"}, "jobs_pending"),
        ("Pending", {"completed_at": 3}, "jobs_ended"),
        ("InProgress", {"owner": None}, "jobs_in_progress"),
        ("InProgress", {"pid": None}, "jobs_in_progress"),
        ("InProgress", {"started_at": None}, "jobs_in_progress"),
        ("InProgress", {"attempt": 0}, "jobs_in_progress"),
        ("InProgress", {"completed_at": 3}, "jobs_ended"),
        *((status, {"completed_at": None}, "jobs_ended") for status in sorted(ENDED)),
        ("Failed", {"failure_kind": None}, "jobs_failed"),
        ("Completed", {"failure_kind": "raised"}, "jobs_failed"),
        ("Cancelled", {"failure_kind": "raised"}, "jobs_failed"),
        ("InProgress", {"failure_kind": "raised"}, "jobs_failed"),
        ("Failed", {"failure_kind": "bored"}, "jobs_failure_kind"),
        ("Failed", {"result": "1"}, "jobs_result"),
        ("Pending", {"result": "1"}, "jobs_result"),
        ("Pending", {"attempt": -1}, "jobs_attempt"),
        ("Pending", {"max_attempts": 0}, "jobs_attempt"),
        ("Pending", {"crashes": -1}, "jobs_attempt"),
        ("InProgress", {"run_at": 5}, "jobs_run_at"),
        ("Failed", {"run_at": 5}, "jobs_run_at"),
        ("Pending", {"priority": "high"}, "cannot store TEXT value in INTEGER column jobs.priority"),
        (
            "Pending",
            {"created_at": "2026-01-01"},
            "cannot store TEXT value in INTEGER column jobs.created_at",
        ),
        ("Pending", {"payload": None}, "NOT NULL constraint failed: jobs.payload"),
    ],
)
def test_a_job_that_breaks_a_rule_is_refused(
    db: sqlite3.Connection, status: str, wrong: dict[str, Any], rule: str
) -> None:
    with pytest.raises(sqlite3.IntegrityError, match=rule):
        put(db, "jobs", job(status, **wrong))


@pytest.mark.parametrize(
    "wrong, rule",
    [
        ({"number": 0}, "attempts_number"),
        ({"status": "InProgress", "ended_at": 3}, "attempts_status"),
        ({"status": "Completed"}, "attempts_ended"),
        ({"ended_at": 3}, "attempts_ended"),
        ({"status": "Failed", "ended_at": 3}, "attempts_failed"),
        ({"failure_kind": "raised"}, "attempts_failure_kind"),
        ({"status": "Completed", "ended_at": 3, "failure_kind": "raised"}, "attempts_failure_kind"),
        ({"status": "Failed", "ended_at": 3, "failure_kind": "bored"}, "attempts_failure_kind"),
        ({"job_seq": 99}, "FOREIGN KEY"),
        ({"pid": None}, "NOT NULL"),
        ({"start_ticks": None}, "NOT NULL"),
        ({"owner": None}, "NOT NULL"),
    ],
)
def test_an_attempt_that_breaks_a_rule_is_refused(
    db: sqlite3.Connection, wrong: dict[str, Any], rule: str
) -> None:
    put(db, "jobs", job("InProgress"))
    with pytest.raises(sqlite3.IntegrityError, match=rule):
        put(db, "attempts", ATTEMPT | wrong)


@pytest.mark.parametrize(
    "wrong, rule",
    [
        ({"state": "asleep"}, "supervisors_state"),
        ({"state": "stopped"}, "supervisors_ended"),
        ({"state": "lost"}, "supervisors_ended"),
        ({"ended_at": 3}, "supervisors_ended"),
    ],
)
def test_a_supervisor_that_breaks_a_rule_is_refused(
    db: sqlite3.Connection, wrong: dict[str, Any], rule: str
) -> None:
    with pytest.raises(sqlite3.IntegrityError, match=rule):
        put(db, "supervisors", SUPERVISOR | wrong)


@pytest.mark.parametrize("kind", FailureKind)
def test_every_failure_kind_is_accepted(db: sqlite3.Connection, kind: str) -> None:
    put(db, "jobs", job("Failed", failure_kind=kind))
    put(db, "attempts", ATTEMPT | {"status": "Failed", "ended_at": 3, "failure_kind": kind})


@pytest.mark.parametrize("before, after", [*product(JobStatus, JobStatus)])
def test_the_edges_are_those_of_the_lifecycle_and_no_others(
    db: sqlite3.Connection, before: JobStatus, after: JobStatus
) -> None:
    put(db, "jobs", job(before))
    values = {"status": after} | ENDING[after]
    update = f"UPDATE jobs SET {', '.join(f'{name} = ?' for name in values)}"
    if after in NEXT.get(before, ()):
        db.execute(update, [*values.values()])
        return
    with pytest.raises(sqlite3.IntegrityError, match="no such edge between job statuses"):
        db.execute(update, [*values.values()])


@pytest.mark.parametrize(
    "before, after", [*product(["Pending", "Completed", "Failed", "Cancelled"], [*JobStatus, None])]
)
def test_an_ended_attempt_stays_as_it_is(db: sqlite3.Connection, before: str, after: str | None) -> None:
    put(db, "jobs", job("InProgress"))
    kind = "raised" if before == "Failed" else None
    put(db, "attempts", ATTEMPT | {"status": before, "ended_at": 3, "failure_kind": kind})
    with pytest.raises(sqlite3.IntegrityError, match="this attempt has ended"):
        db.execute("UPDATE attempts SET status = ?", [after])


@pytest.mark.parametrize(
    "before, after", [*product(["stopped", "lost"], ["starting", "running", "stopped", "lost"])]
)
def test_an_ended_supervisor_stays_as_it_is(db: sqlite3.Connection, before: str, after: str) -> None:
    put(db, "supervisors", SUPERVISOR | {"state": before, "ended_at": 3})
    with pytest.raises(sqlite3.IntegrityError, match="this supervisor has ended"):
        db.execute("UPDATE supervisors SET state = ?", [after])


def test_old_supervisors_can_be_forgotten_while_their_jobs_stay(db: sqlite3.Connection) -> None:
    put(db, "supervisors", SUPERVISOR | {"uuid": "o"})
    put(db, "jobs", job("InProgress"))
    put(db, "attempts", ATTEMPT)
    db.execute("DELETE FROM supervisors")
    assert db.execute("SELECT owner FROM jobs").fetchall() == [("o",)]
