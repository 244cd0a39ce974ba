"""What the loop and the front pages ask for costs the same, however long the history is."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import pytest
from sqlalchemy import event, text

from supervisor.lifecycle import FailureKind, JobStatus
from supervisor.outcome import Outcome
from supervisor.store import (
    Store,
    Transaction,
    attempts,
    derived,  # noqa: F401  its tables join the metadata
    jobs,
    prepared,
    pruning,
    supervisors,
)
from supervisor.store.driver import raw_of
from supervisor.store.schema import metadata
from tests.support.builders import NOW, an_identity
from tests.support.store import OWNER, start, submit

HISTORY = 5_000
FEW_STEPS = 3_000
"""Instructions of SQLite's virtual machine; reading 5,000 rows takes at least three each."""

PARTIAL = {
    index.name
    for table in metadata.tables.values()
    for index in table.indexes
    if index.dialect_options["sqlite"]["where"] is not None
}

Use = Callable[[Transaction], object]

USES: dict[str, Use] = {
    "eligible": lambda tx: jobs.eligible(tx, type="A", limit=5),
    "count_eligible": lambda tx: jobs.count_eligible(tx, type="A", up_to=5),
    "claim": lambda tx: jobs.claim(
        tx, job_id="waiting", owner=OWNER, attempt=1, child=an_identity(), now=NOW
    ),
    "finish": lambda tx: jobs.finish(
        tx, job_id="running", owner=OWNER, attempt=1, outcome=Outcome(JobStatus.COMPLETED), now=NOW
    ),
    "give_back": lambda tx: jobs.give_back(tx, job_id="running", owner=OWNER, attempt=1, now=NOW),
    "give_back_cancelled": lambda tx: jobs.give_back(tx, job_id="asked", owner=OWNER, attempt=1, now=NOW),
    "try_again": lambda tx: jobs.try_again(
        tx,
        job_id="running",
        owner=OWNER,
        attempt=1,
        now=NOW,
        outcome=Outcome(JobStatus.FAILED, FailureKind.RAISED),
        run_at=NOW,
        crashed=False,
        counted=True,
    ),
    "retry": lambda tx: jobs.retry(tx, id="old-7"),
    "in_their_turn": lambda tx: jobs.in_their_turn(tx, now=NOW),
    "next_turn": jobs.next_turn,
    "progress": lambda tx: jobs.record_progress(
        tx, job_id="running", owner=OWNER, attempt=1, fraction=0.5, message=None
    ),
    "request_cancel": lambda tx: jobs.request_cancel(tx, id="old-7", now=NOW),
    "insert": lambda tx: submit(tx, "new"),
    "get": lambda tx: jobs.get(tx, "old-7"),
    "find": lambda tx: jobs.find(tx, "runn"),
    "in_progress_per_type": jobs.in_progress_per_type,
    "pending_per_type": jobs.pending_per_type,
    "cancel_requests": lambda tx: jobs.cancel_requests(tx, owner=OWNER),
    "held_by": lambda tx: jobs.held_by(tx, owner=OWNER),
    "owners_in_progress": jobs.owners_in_progress,
    "children_of": lambda tx: attempts.children_of(tx, owner=OWNER),
    "unkillable": attempts.unkillable,
    "note_termination": lambda tx: attempts.note_termination(
        tx, job_id="running", number=1, termination={"unkillable": [1]}
    ),
    "failures": lambda tx: attempts.failures(tx, job_seq=7),
    "attempts_of": lambda tx: attempts.of(tx, "old-7"),
    "not_ended": supervisors.not_ended,
    "beat": lambda tx: supervisors.beat(tx, uuid="u", now=NOW),
    "due": lambda tx: pruning.due(tx, status=JobStatus.COMPLETED, until=NOW, limit=20),
    "due after": lambda tx: pruning.due(
        tx, status=JobStatus.COMPLETED, until=NOW, after=pruning.Due(4_000, 4_000, ""), limit=20
    ),
    "not due": lambda tx: pruning.due(tx, status=JobStatus.COMPLETED, until=0, limit=20),
    "prune": lambda tx: pruning.remove(tx, pruning.Due(7, 7, "old-7"), status=JobStatus.COMPLETED, until=NOW),
    "front page of a status": lambda tx: jobs.page(tx, status=JobStatus.COMPLETED),
    "front page of a rare status": lambda tx: jobs.page(tx, status=JobStatus.IN_PROGRESS),
    "front page of a type": lambda tx: jobs.page(tx, type="A"),
    "front page of both": lambda tx: jobs.page(tx, type="B", status=JobStatus.PENDING),
    "ids of a status": lambda tx: jobs.ids_matching(tx, status=JobStatus.PENDING, limit=20),
    "ids of both": lambda tx: jobs.ids_matching(tx, type="B", status=JobStatus.PENDING, limit=20),
}


@pytest.fixture
def old(store: Store) -> Store:
    """A long history of two types, and a few jobs that live."""
    with store.write() as tx:
        tx.execute(
            text(
                f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {HISTORY})"
                " INSERT INTO jobs (id, type, payload, status, priority, attempt, max_attempts, crashes,"
                " owner, pid, created_at, started_at, completed_at)"
                " SELECT 'old-' || i, iif(i % 2, 'A', 'B'), '{}', 'Completed', 0, 1, 1, 0, 'owner-1', 5,"
                " 1, 2, i"
                " FROM n"
            )
        )
        tx.execute(
            text(
                "INSERT INTO attempts"
                " (job_seq, number, owner, pid, start_ticks, started_at, ended_at, status)"
                " SELECT seq, 1, owner, pid, 1, started_at, completed_at, status FROM jobs"
            )
        )
        submit(tx, "waiting", type="A")
        submit(tx, "waiting-b", type="B")
        start(tx, "running", type="A")
        start(tx, "asked", type="B")
        jobs.request_cancel(tx, id="asked", now=NOW)
    return store


@contextmanager
def heard(store: Store) -> Iterator[list[tuple[str, Any]]]:
    statements: list[tuple[str, Any]] = []

    def hear(_c: object, _k: object, statement: str, parameters: Any, *_: object) -> None:
        statements.append((statement, parameters))

    class Heard:
        """The driver's connection, for statements that are handed to it as they stand."""

        def __init__(self, tx: Transaction) -> None:
            self._raw = raw_of(tx)

        def execute(self, statement: str, parameters: Any) -> Any:
            statements.append((statement, parameters))
            return self._raw.execute(statement, parameters)

    event.listen(store._engine, "before_cursor_execute", hear)
    try:
        with patch.object(prepared, "raw_of", Heard):
            yield statements
    finally:
        event.remove(store._engine, "before_cursor_execute", hear)


@pytest.mark.parametrize("analyzed", [False, True], ids=["", "analyzed"])
@pytest.mark.parametrize("use", USES.values(), ids=USES.keys())
def test_nothing_reads_the_history(old: Store, use: Use, *, analyzed: bool) -> None:
    if analyzed:
        with old.write() as tx:
            tx.execute(text("ANALYZE"))
    with old.write() as tx:
        with heard(old) as statements:
            use(tx)
        raw: Any = tx.connection.dbapi_connection
        assert statements
        for statement, parameters in statements:
            steps = [step for *_, step in raw.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)]
            for step in steps:
                scanned = re.match(r"SCAN (\w+)(?: USING (?:COVERING )?INDEX (\w+))?$", step)
                if scanned and f"CO-ROUTINE {scanned[1]}" not in steps:  # not what another step has found
                    assert scanned[2] in PARTIAL, (step, statement)


def steps_of(store: Store, use: Use) -> int:
    """Instructions that SQLite executes for it, in tens."""
    steps = 0

    def count() -> int:
        nonlocal steps
        steps += 10
        return 0

    with store.write() as tx:
        raw: Any = tx.connection.dbapi_connection
        raw.set_progress_handler(count, 10)
        try:
            use(tx)
        finally:
            raw.set_progress_handler(None, 0)
    return steps


@pytest.mark.parametrize("use", [*USES.values(), jobs.page], ids=[*USES.keys(), "front page"])
def test_little_is_done_for_it(old: Store, use: Use) -> None:
    assert steps_of(old, use) < FEW_STEPS


@pytest.mark.parametrize(
    "use", ["eligible", "count_eligible", "claim", "finish", "try_again", "in_their_turn", "next_turn"]
)
def test_little_is_done_for_it_however_many_wait(old: Store, use: str) -> None:
    with old.write() as tx:
        tx.execute(
            text(
                f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {HISTORY})"
                " INSERT INTO jobs (id, type, payload, status, priority, attempt, max_attempts, crashes,"
                " created_at, run_at)"
                f" SELECT 'one-' || i, 'A', '{{}}', 'Pending', 0, 0, 1, 0, 1, iif(i % 1000, NULL, {NOW} + i)"
                " FROM n"
            )
        )
    assert steps_of(old, USES[use]) < FEW_STEPS
