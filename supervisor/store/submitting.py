"""A job comes into being: once, however often it is asked for with the same key."""

import uuid
from collections.abc import Callable
from dataclasses import dataclass

from supervisor.errors import InvalidKey
from supervisor.jobtypes.records import JobType
from supervisor.store import idempotency, jobs
from supervisor.store.engine import Transaction
from supervisor.store.records import Job


@dataclass(frozen=True, slots=True)
class Wanted:
    """A job to be."""

    type: str
    payload: str
    """Compact JSON text."""
    priority: int | None
    """None: what the job type says."""
    key: str | None
    """The same key gives the same job."""


def submit(
    tx: Transaction, wanted: Wanted, *, job_type: Callable[[str], JobType], now: int
) -> tuple[Job, bool]:
    """The job, and whether it is new.

    Raises InvalidKey where the key stands for another; and what `job_type` raises, which is asked for a new
    job only: a type may be gone when its job is asked for again.
    """
    if known := already(tx, wanted):
        return known, False
    configured = job_type(wanted.type)
    job = jobs.insert(
        tx,
        id=str(uuid.uuid4()),
        type=wanted.type,
        payload=wanted.payload,
        priority=configured.priority if wanted.priority is None else wanted.priority,
        max_attempts=configured.retries.max_attempts,
        created_at=now,
    )
    if wanted.key is not None:
        idempotency.remember(tx, key=wanted.key, digest=_digest(wanted), job=job)
    return job, True


def already(tx: Transaction, wanted: Wanted) -> Job | None:
    """The job that the key stands for. Raises InvalidKey where it was asked for differently."""
    found = None if wanted.key is None else idempotency.find(tx, wanted.key)
    if found is None:
        return None
    job, digest = found
    if digest != _digest(wanted):
        raise InvalidKey
    return job


def _digest(wanted: Wanted) -> str:
    return idempotency.digest_of(type=wanted.type, priority=wanted.priority, payload=wanted.payload)
