"""Private working directories that outlived whoever was to remove them.

Removing one is the last thing that is done about an attempt, after its outcome is on record: who dies
just then has nobody to do it after them. So each new keeper is told of those that nobody needs.
"""

import os
from functools import partial

from supervisor.lifecycle import JobStatus
from supervisor.store import jobs
from supervisor.supervision import Entry, Supervision


class Tidying:
    """Once for every keeper, and for every owner found dead: its keeper may have been cut short."""

    def __init__(self) -> None:
        self._done_for = (0, 0)

    def step(self, s: Supervision, entry: Entry) -> None:
        link = s.keeping.link
        if link is None or not s.keeping.ready:
            return
        now_for = (link.number, s.recovery.settled)
        if now_for == self._done_for:
            return
        for name in _names(s):
            if _is_over(entry, name):
                directory = s.settings.locations.working_directories / name
                entry.afterwards(partial(s.keeping.discard, str(directory)))
        entry.afterwards(partial(setattr, self, "_done_for", now_for))


def _names(s: Supervision) -> list[str]:
    try:
        return os.listdir(s.settings.locations.working_directories)
    except OSError:
        return []


def _is_over(entry: Entry, name: str) -> bool:
    """Whether it is of an attempt on record that runs nowhere: its number is not given again."""
    job_id, _, number = name.partition(".")
    job = jobs.get(entry.tx, job_id)
    if job is None or not number.isdecimal():
        return False
    return int(number) <= job.attempt and (job.status, job.attempt) != (JobStatus.IN_PROGRESS, int(number))
