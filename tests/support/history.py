"""What must be true of any history, whatever was killed in it: by the database and by the jobs' own notes."""

import contextlib
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

from tests.support.eventually import eventually
from tests.support.service import RETRIED, Service

ENDED = ("Completed", "Failed", "Cancelled")
ENDED_BY_SUPERVISOR = ("stopped", "lost")

Row = dict[str, Any]


@dataclass
class History:
    """The whole database, and the jobs' own notes."""

    jobs: dict[str, Row]
    attempts: dict[str, list[Row]]
    """By job, oldest first."""
    supervisors: dict[str, Row]
    notes: list[Row]
    by_hand: frozenset[str] = frozenset()
    """Jobs that somebody has had tried again after their end."""

    @classmethod
    def of(cls, service: Service) -> "History":
        with service.sql() as database:
            database.execute("BEGIN")
            jobs = {row["id"]: row for row in _rows(database, "SELECT * FROM jobs ORDER BY seq")}
            supervisors = {row["uuid"]: row for row in _rows(database, "SELECT * FROM supervisors")}
            attempts = defaultdict(list)
            joined = (
                "SELECT jobs.id AS job, attempts.* FROM attempts JOIN jobs ON seq = job_seq ORDER BY number"
            )
            for row in _rows(database, joined):
                attempts[row["job"]].append(row)
        return cls(jobs, attempts, supervisors, service.notes())

    def executions(self, job: str) -> list[Row]:
        """Every time that its handler began."""
        return [note for note in self.notes if note["job"] == job and note["event"] == "start"]

    def wrote(self, job: str, event: str) -> bool:
        return any(note["job"] == job and note["event"] == event for note in self.notes)

    def began_again(self, job: str) -> bool:
        """Whether it may be executed more than once."""
        return self.jobs[job]["type"] in RETRIED or job in self.by_hand

    def problems(self, acknowledged: Iterable[str], limits: dict[str, int]) -> list[str]:
        """Every sentence is a broken promise."""
        found = [f"{job} was acknowledged and is lost" for job in acknowledged if job not in self.jobs]
        for job, row in self.jobs.items():
            found += [f"{job} ({row['type']}, {row['status']}): {what}" for what in self._of_job(row)]
        found += [f"{note} is of no job on record" for note in self.notes if note["job"] not in self.jobs]
        return found + self._of_slots(limits)

    def _of_job(self, job: Row) -> Iterator[str]:
        attempts = self.attempts[job["id"]]
        if [row["number"] for row in attempts] != list(range(1, job["attempt"] + 1)):
            yield f"its attempts are {[row['number'] for row in attempts]}, and it says {job['attempt']}"
        yield from self._of_executions(job["id"])
        again = ENDED if job["id"] in self.by_hand else ("Failed",) if self.began_again(job["id"]) else ()
        for row, following in pairwise(attempts):
            if row["status"] not in ("Pending", *again):
                yield f"it went on after an attempt that was {row['status']}"
            if row["ended_at"] is None or row["ended_at"] > following["started_at"]:
                yield f"an attempt began before the one before had ended: {row}, {following}"
        if job["attempt"] > job["max_attempts"]:
            yield f"it has had {job['attempt']} attempts of {job['max_attempts']}"
        if attempts:
            yield from self._of_last(job, attempts[-1])
        elif job["status"] not in ("Pending", "Cancelled"):
            yield "it has no attempt"

    def _of_executions(self, job: str) -> Iterator[str]:
        executions = self.executions(job)
        numbers = [note["attempt"] for note in executions]
        if len(numbers) > 1 and not self.began_again(job):
            yield f"it began {len(numbers)} times: {executions}"
        if numbers != sorted(set(numbers)):
            yield f"it began more than once in one attempt, or in a wrong order: {executions}"
        words = [note["attempt"] for note in self.notes if note["job"] == job]
        if words != sorted(words):
            yield f"an attempt was still at work when the next had begun: {words}"
        attempts = {row["number"]: row for row in self.attempts[job]}
        for note in executions:
            row = attempts.get(note["attempt"])
            if row is None:
                yield f"it ran without a record: {note}"
            elif (row["pid"], row["start_ticks"]) != (note["pid"], note["ticks"]):
                yield f"another process than the one on record ran it: {note}, {row}"
            elif row["status"] == "Pending":
                yield f"an attempt that was given back had begun: {note}"

    def _of_last(self, job: Row, last: Row) -> Iterator[str]:
        same = ("status", "failure_kind", "exit_code", "signal", "error_message")
        given_back = last["status"] == "Pending"
        waits = last["status"] == "Failed" and self.began_again(job["id"])  # for its next attempt, or did
        if job["status"] == "InProgress":
            if last["ended_at"] is not None:
                yield "its attempt has ended"
            if job["owner"] != last["owner"] or job["pid"] != last["pid"]:
                yield "its attempt is another's"
        elif waits and job["status"] in ("Pending", "Cancelled"):
            pass  # the attempt has failed, and the job was to have another
        elif not given_back and any(job[name] != last[name] for name in same):
            yield f"its last attempt says otherwise: {last}"
        elif given_back and job["status"] not in ("Pending", "Cancelled"):
            yield "its last attempt was given back"
        if job["status"] == "Completed" and not self.wrote(job["id"], "end"):
            yield "its handler did not come to its end"
        if job["status"] == "Cancelled" and job["cancel_requested_at"] is None:
            yield "nobody asked for that"

    def _of_slots(self, limits: dict[str, int]) -> list[str]:
        """By the order of the records; where one ended as another began, the end was first."""
        edges = []
        for job, attempts in self.attempts.items():
            for row in attempts:
                kind = self.jobs[job]["type"]
                edges.append((row["started_at"], 1, kind))
                if row["ended_at"] is not None:
                    edges.append((row["ended_at"], 0, kind))
        in_use: Counter[str] = Counter()
        most: Counter[str] = Counter()
        for _, begins, kind in sorted(edges):
            in_use[kind] += 1 if begins else -1
            most |= in_use
        return [
            f"{most[kind]} {kind} at once, of {limit}" for kind, limit in limits.items() if most[kind] > limit
        ]


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
    history = replace(History.of(service), by_hand=frozenset(by_hand))
    problems = history.problems(acknowledged, limits or {})
    if idle:
        problems += [
            f"{job} is still {row['status']}: {row}"
            for job, row in history.jobs.items()
            if row["status"] not in ENDED
        ]
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
