"""A page of the list in two steps, so that a hundred jobs of two megabytes each need not be held at once."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, func, select

from supervisor.lifecycle import JobStatus
from supervisor.store import jobs, tallies
from supervisor.store.engine import Transaction
from supervisor.store.records import Job
from supervisor.store.schema import jobs as jobs_table
from supervisor.store.transitions import having

_LARGEST = 2**63 - 1
_AFTER_EVERY_TEXT = "\U0010ffff"
_SEQ = jobs_table.c.seq
_SIZE = func.length(jobs_table.c.payload) + func.coalesce(func.length(jobs_table.c.result), 0)


@dataclass(frozen=True, slots=True)
class Choice:
    """Which jobs; None: any."""

    status: JobStatus | None = None
    type: str | None = None
    beginning: str | None = None
    """Of the id, 4 characters or more: so few jobs that they can be counted."""

    def of(self, statement: Select[Any]) -> Select[Any]:
        if self.status is not None:
            statement = statement.where(having(self.status))
        if self.type is not None:
            statement = statement.where(jobs_table.c.type == self.type)
        if self.beginning is not None:
            beyond = self.beginning + _AFTER_EVERY_TEXT
            statement = statement.where(jobs_table.c.id >= self.beginning, jobs_table.c.id < beyond)
        return statement


def count(tx: Transaction, choice: Choice) -> int:
    if choice.beginning is None:
        return tallies.count(tx, status=choice.status, type=choice.type)
    return tx.scalar(choice.of(select(func.count()).select_from(jobs_table))) or 0


def page(tx: Transaction, choice: Choice, *, offset: int, limit: int) -> list[tuple[str, int]]:
    """Ids, newest first, each with the number of characters of its payload and its result."""
    # Skipped in the index alone: a deep page reads no job that it does not show.
    seqs = choice.of(select(_SEQ)).order_by(_SEQ.desc()).limit(limit).offset(min(offset, _LARGEST))
    statement = select(jobs_table.c.id, _SIZE).where(_SEQ.in_(seqs)).order_by(_SEQ.desc())
    return [(job_id, size) for job_id, size in tx.execute(statement)]


def read(tx: Transaction, ids: Sequence[str]) -> list[Job]:
    """Those that there still are, in the order given."""
    found = jobs.get_all(tx, ids)
    return [found[job_id] for job_id in ids if job_id in found]
