"""What has ended, and how far the rest is, goes into the database."""

import os
from functools import partial
from typing import Any

from supervisor.children import Child
from supervisor.ending import end
from supervisor.journal import Event
from supervisor.lifecycle import FailureKind, JobStatus
from supervisor.outcome import Outcome, decide
from supervisor.store import attempts, jobs
from supervisor.supervision import Entry, Supervision


def outcomes_wait(s: Supervision) -> bool:
    """Whether any attempt is over, and nothing of it left, that is not on record."""
    return any(
        child.end is not None or (child.keeper_died and s.keeping.is_swept(child.keeper))
        for child in s.children.with_jobs()
    )


def record_outcomes(s: Supervision, entry: Entry) -> None:
    """One conditional UPDATE for each attempt of which nothing is left; the loser of a race does nothing."""
    for child in s.children.with_jobs():
        if child.end is not None and not child.end.assigned:
            _give_back(s, entry, child)
        elif (outcome := _outcome_of(s, child)) is not None:
            _finish(s, entry, child, outcome)


def record_progress(s: Supervision, entry: Entry) -> None:
    """The newest progress of each; what came in between is nobody's loss. And what cannot be killed."""
    for child in s.children.running():
        _record_progress_of(s, entry, child)
        _record_unkillable(entry, child)


def reconcile(s: Supervision, entry: Entry) -> None:
    """After a commit of which we do not know whether it happened: what is ours on record and has no child.

    Such a job was claimed and never assigned, so none of its code has run.
    """
    if not s.uncertain:
        return
    here = {(child.job.id, child.job.attempt) for child in s.children.with_jobs() if child.job}
    for job in jobs.held_by(entry.tx, owner=s.uuid):
        if (job.id, job.attempt) not in here:
            jobs.give_back(entry.tx, job_id=job.id, owner=s.uuid, attempt=job.attempt, now=s.clock.now())
    entry.afterwards(partial(setattr, s, "uncertain", False))


def _outcome_of(s: Supervision, child: Child) -> Outcome | None:
    if child.end is not None:
        return decide(child.end, supervisor=f"its supervisor {s.uuid} (pid {s.me.pid} on {s.here.host})")
    if child.keeper_died and s.keeping.is_swept(child.keeper):
        return _with_its_keeper(s, child)
    return None


def _with_its_keeper(s: Supervision, child: Child) -> Outcome:
    code = None if child.status is None else os.waitstatus_to_exitcode(child.status)
    facts: dict[str, Any] = {"usage": child.usage}
    if code is not None:
        facts["exit_code" if code >= 0 else "signal"] = abs(code)
    if child.terminating == "cancel":
        return Outcome(JobStatus.CANCELLED, **facts)
    message = f"keeper {child.keeper} of supervisor {s.uuid}, which held its process, had died"
    return Outcome(JobStatus.FAILED, FailureKind.KEEPER_DIED, error_message=message, **facts)


def _record_progress_of(s: Supervision, entry: Entry, child: Child) -> None:
    news = child.progress
    if news is None or child.job is None:
        return
    jobs.record_progress(
        entry.tx,
        job_id=child.job.id,
        owner=s.uuid,
        attempt=child.job.attempt,
        fraction=news["fraction"],
        message=news["message"],
    )
    entry.afterwards(partial(_forget_progress, child, news))


def _forget_progress(child: Child, news: dict[str, Any]) -> None:
    if child.progress is news:  # and not something newer
        child.progress = None


def _record_unkillable(entry: Entry, child: Child) -> None:
    if child.unkillable is not None and child.job is not None:
        job = child.job
        attempts.note_termination(entry.tx, job_id=job.id, number=job.attempt, termination=child.unkillable)
        entry.afterwards(partial(setattr, child, "unkillable", None))


def _finish(s: Supervision, entry: Entry, child: Child, outcome: Outcome) -> None:
    assert child.job is not None
    job = child.job
    _record_progress_of(s, entry, child)  # its last, which came with its end
    end(s, entry, job, outcome, child.job_type)
    entry.afterwards(partial(s.children.remove, child))
    if child.end is None:  # its keeper died, and cannot remove the working directory
        directory = s.settings.locations.working_directory_of(job.id, job.attempt)
        entry.afterwards(partial(s.keeping.discard, str(directory)))


def _give_back(s: Supervision, entry: Entry, child: Child) -> None:
    assert child.job is not None
    job = child.job
    status = jobs.give_back(entry.tx, job_id=job.id, owner=s.uuid, attempt=job.attempt, now=s.clock.now())
    event = Event.JOB_GIVEN_BACK if status else Event.JOB_LOST_RACE
    entry.afterwards(partial(s.children.remove, child))
    entry.afterwards(partial(s.journal.say, event, type=job.type, job=job.id, status=status))
