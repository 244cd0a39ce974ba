"""Pending jobs that nothing lets begin: their type is not among the job types, any more or yet."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from cli.harmless import one_line
from supervisor.lifecycle import JobStatus

if TYPE_CHECKING:
    from supervisor.answers import Overview
    from supervisor.client import Client
    from supervisor.store.records import Job

REMARK = "waits: no such job type"


def types_gone(seen: "Overview") -> dict[str, int]:
    """Such types, with how many of their jobs wait; none where the job types cannot be read at all."""
    if seen.problem is not None:
        return {}
    return {
        each.job_type: each.waiting for each in seen.slots if each.max_concurrency is None and each.waiting
    }


def stranded(client: "Client", jobs: Iterable["Job"]) -> set[str]:
    """Ids of those of these jobs. Nothing is asked where none is Pending."""
    pending = [job for job in jobs if job.status is JobStatus.PENDING]
    gone = types_gone(client.overview()) if pending else {}
    return {job.id for job in pending if job.type in gone}


def sentences(seen: "Overview") -> Iterator[str]:
    for name, waiting in types_gone(seen).items():
        yield (
            f"{waiting} Pending of {one_line(name)} cannot begin: it is not among the job types. "
            "Bring it back and reload the service, or cancel them."
        )
