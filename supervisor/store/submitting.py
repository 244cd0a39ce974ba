"""A job comes into being: once, however often it is asked for with the same key."""

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from supervisor.errors import InvalidKey
from supervisor.jobtypes.records import JobType
from supervisor.store import idempotency, jobs
from supervisor.store.engine import Transaction
from supervisor.store.records import Job, Start


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


def start_of(job_type: JobType) -> Start:
    return Start(job_type.priority, job_type.retries.max_attempts)


def submit(tx: Transaction, wanted: Wanted, *, start: Callable[[str], Start], now: int) -> tuple[Job, bool]:
    """The job, and whether it is new.

    Raises InvalidKey where the key stands for another; and what `start` raises, which is asked for a new job
    only: a type may be gone when its job is asked for again.
    """
    if known := already(tx, wanted):
        return known, False
    job = jobs.insert(tx, **_new(wanted, start(wanted.type), now))
    if wanted.key is not None:
        idempotency.remember(tx, key=wanted.key, digest=_digest(wanted), job=job)
    return job, True


def submit_many(
    tx: Transaction, wanted: Sequence[Wanted], *, start: Callable[[str], Start], now: int
) -> tuple[list[Job], bool]:
    """The jobs in this order, and whether any of them is new. All of them, or none where this raises.

    As with `submit`; and a key that was given earlier in the same list gives the same job.
    """
    known = idempotency.find_all(tx, [each.key for each in wanted if each.key is not None])
    digests = {key: digest for key, (_, digest) in known.items()}
    new = [each for each in wanted if _is_first(each, digests)]
    made = jobs.insert_many(tx, [_new(each, start(each.type), now) for each in new])
    pairs = [*zip(new, made, strict=True)]
    keyed = {each.key: job for each, job in pairs if each.key is not None}
    idempotency.remember_all(tx, [(key, digests[key], job) for key, job in keyed.items()])
    keyed |= {key: job for key, (job, _) in known.items()}
    rest = iter([job for each, job in pairs if each.key is None])
    return [next(rest) if each.key is None else keyed[each.key] for each in wanted], bool(new)


def _is_first(wanted: Wanted, digests: dict[str, str]) -> bool:
    """Whether no job stands for its key so far; from now on this one does. Raises InvalidKey."""
    if wanted.key is None:
        return True
    digest = _digest(wanted)
    is_first = wanted.key not in digests
    if digests.setdefault(wanted.key, digest) != digest:
        raise InvalidKey(
            f"the idempotency key {wanted.key!r} stands for a job that was asked for differently"
        )
    return is_first


def already(tx: Transaction, wanted: Wanted) -> Job | None:
    """The job that the key stands for. Raises InvalidKey where it was asked for differently."""
    found = None if wanted.key is None else idempotency.find(tx, wanted.key)
    if found is None:
        return None
    job, digest = found
    if digest != _digest(wanted):
        raise InvalidKey
    return job


def _new(wanted: Wanted, start: Start, now: int) -> jobs.New:
    return {
        "id": str(uuid.uuid4()),
        "type": wanted.type,
        "payload": wanted.payload,
        "priority": start.priority if wanted.priority is None else wanted.priority,
        "max_attempts": start.max_attempts,
        "created_at": now,
    }


def _digest(wanted: Wanted) -> str:
    return idempotency.digest_of(type=wanted.type, priority=wanted.priority, payload=wanted.payload)
