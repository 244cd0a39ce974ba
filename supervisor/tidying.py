"""Private working directories that outlived whoever was to remove them.

Removing one is the last thing that is done about an attempt, after its outcome is on record: who dies
just then has nobody to do it after them. So each new keeper is told of those that nobody needs. Some
may be needed still, by a supervisor that died after ours began: another one with another state folder
may be the one that recovers it, and cannot reach them. These are looked at until nobody needs them.
"""

import os
from functools import partial

from supervisor import lifeline
from supervisor.lifecycle import JobStatus
from supervisor.store import jobs, supervisors
from supervisor.store.records import Job
from supervisor.supervision import Entry, Supervision
from workers import subtree


class Tidying:
    """Once for every keeper, and for every owner found dead: its keeper may have been cut short."""

    def __init__(self) -> None:
        self._done_for = (0, 0)
        self._look_at = float("inf")

    def step(self, s: Supervision, entry: Entry) -> None:
        link = s.keeping.link
        if link is None or not s.keeping.ready:
            return
        now_for = (link.number, s.recovery.settled)
        if now_for == self._done_for and s.clock.monotonic() < self._look_at:
            return
        new, self._look_at = now_for != self._done_for, float("inf")
        if new:
            _end_groups(s, entry)
        for name in _names(s):
            job = _job_in(entry, name)
            if job is None:
                continue
            if _is_over(job, name) and (new or job.owner != s.uuid):
                directory = s.settings.locations.working_directories / name
                entry.afterwards(partial(s.keeping.discard, str(directory)))
            elif not _is_over(job, name) and job.owner != s.uuid:
                self._look_at = s.clock.monotonic() + s.settings.recovery
        entry.afterwards(partial(setattr, self, "_done_for", now_for))


def _end_groups(s: Supervision, entry: Entry) -> None:
    """Of those that were killed with their keeper when they were on record as ended, or not on it yet.

    The latter have run no job. That they were ours their lifelines tell.
    """
    for uuid in subtree.owners():
        owner = supervisors.get(entry.tx, uuid)
        if owner is not None and owner.ended_at is not None:
            subtree.end(uuid)
        elif owner is None and lifeline.is_cut(s.here.lifelines, uuid):
            subtree.end(uuid)
            lifeline.remove(s.here.lifelines, uuid)


def _names(s: Supervision) -> list[str]:
    try:
        return os.listdir(s.settings.locations.working_directories)
    except OSError:
        return []


def _job_in(entry: Entry, name: str) -> Job | None:
    """None where it is of no attempt on record."""
    job_id, _, number = name.partition(".")
    job = jobs.get(entry.tx, job_id)
    return job if job is not None and number.isdecimal() and int(number) <= job.attempt else None


def _is_over(job: Job, name: str) -> bool:
    """Whether its attempt runs nowhere: its number is not given again."""
    number = int(name.partition(".")[2])
    return (job.status, job.attempt) != (JobStatus.IN_PROGRESS, number)
