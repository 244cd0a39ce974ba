"""What a Client answers, beside the records themselves."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from supervisor.lifecycle import JobStatus
from supervisor.store.records import CancelAnswer, Job, Supervisor

CANCEL_HEADER = "AsyncWorker-Cancel"
"""Of the answer to DELETE /api/jobs/{id}/cancel: the CancelAnswer, where the status alone leaves two."""


@dataclass(frozen=True, slots=True)
class Page:
    """A part of the list of jobs, newest first."""

    items: tuple[Job, ...]
    page: int
    """Counted from 1."""
    page_size: int
    total_count: int
    """Jobs on all pages."""
    total_pages: int
    """0 where nothing matches."""


@dataclass(frozen=True, slots=True)
class Cancellation:
    """What a request to cancel came to."""

    answer: CancelAnswer
    job: Job
    """As it is afterwards."""


@dataclass(frozen=True, slots=True)
class Pruned:
    """What was removed because it had been kept long enough, or would be."""

    jobs: Mapping[JobStatus, int]
    """How many of each status."""
    log_bytes: int
    problem: str | None
    """What could not be removed, in a sentence; where there is more, the first."""


@dataclass(frozen=True, slots=True)
class Backup:
    """A copy of the database that has been verified and is on disk."""

    file: Path
    """Absolute, without links."""
    bytes: int
    schema: str
    jobs: Mapping[JobStatus, int]
    """How many of each status."""
    attempts: int
    supervisors: int


@dataclass(frozen=True, slots=True)
class Life:
    """A supervisor on record, and whether it is alive."""

    record: Supervisor
    alive: bool | None
    """None where that cannot be judged from here: in another PID namespace, or on another host."""


@dataclass(frozen=True, slots=True)
class Slots:
    """How many jobs of a type run and may run."""

    job_type: str
    max_concurrency: int | None
    """None where the type is not, or no longer, in the job types."""
    in_use: int
    available: int | None
    waiting: int
    """Pending jobs of the type."""


@dataclass(frozen=True, slots=True)
class Overview:
    """The whole service in one moment."""

    supervisors: tuple[Life, ...]
    """All that have not ended by the record, oldest first; where there is none, the last that was."""
    slots: tuple[Slots, ...]
    """In the order of the job types; types that only the database knows come last."""
    counts: Mapping[JobStatus, int]
    problem: str | None
    """Why the job types could not be read, where they could not: then `slots` has no limits."""
    unkillable: tuple[str, ...] = ()
    """Ids of jobs with processes that are there in spite of SIGKILL: they keep their slots."""


def slots_of(
    limits: Mapping[str, int], in_use: Mapping[str, int], waiting: Mapping[str, int]
) -> tuple[Slots, ...]:
    """One entry for each type that is configured or has jobs to run."""
    only_stored = sorted((in_use.keys() | waiting.keys()) - limits.keys())
    return tuple(
        _slots(name, limits.get(name), in_use.get(name, 0), waiting.get(name, 0))
        for name in [*limits, *only_stored]
    )


def _slots(name: str, limit: int | None, in_use: int, waiting: int) -> Slots:
    # A limit that was lowered while jobs ran leaves more in use than there are slots.
    return Slots(name, limit, in_use, None if limit is None else max(0, limit - in_use), waiting)
