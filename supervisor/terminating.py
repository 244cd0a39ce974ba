"""Who is to be ended, and why: requests from the database, and timeouts."""

from functools import partial

from supervisor.children import Child
from supervisor.journal import Event
from supervisor.store import jobs
from supervisor.supervision import Entry, Supervision


def hear_requests(s: Supervision, entry: Entry) -> None:
    """A cancel of a running job is a column in its row; its owner acts on it."""
    for job_id in jobs.cancel_requests(entry.tx, owner=s.uuid):
        child = s.children.of_job(job_id)
        if child is not None:
            entry.afterwards(partial(terminate, s, child, "cancel"))


def terminate_overdue(s: Supervision) -> None:
    now = s.clock.monotonic()
    for child in s.children.running():
        if now >= child.overdue_at:
            terminate(s, child, "timeout")


def terminate_all(s: Supervision, reason: str, grace: float | None = None) -> None:
    for child in s.children.running():
        terminate(s, child, reason, grace)


def terminate(s: Supervision, child: Child, reason: str, grace: float | None = None) -> None:
    """Ask the keeper to end a child: SIGTERM, the grace of its type, SIGKILL. Asking twice changes nothing.

    A given `grace` shortens one that is running already.
    """
    if child.end is not None or child.keeper_died or (child.terminating and grace is None):
        return
    assert child.job is not None
    assert child.job_type is not None
    seconds = child.job_type.grace if grace is None else grace
    if child.terminating is None:
        child.terminating = reason
        s.journal.say(
            Event.JOB_TERMINATED, type=child.job.type, job=child.job.id, reason=reason, grace=seconds
        )
    s.keeping.link_of(child).terminate(child.number, child.terminating, seconds)
