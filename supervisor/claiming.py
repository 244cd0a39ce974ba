"""Pending jobs that have a slot are paired with children that already wait at their gate."""

from dataclasses import replace
from functools import partial

from supervisor import slots
from supervisor.assigning import assignment
from supervisor.children import Child
from supervisor.journal import Event
from supervisor.store import jobs
from supervisor.store.records import Job
from supervisor.supervision import Entry, Supervision


def claim(s: Supervision, entry: Entry) -> None:
    """Claim what fits, with owner, attempt and the child's identity in one transaction.

    What is in use is counted in the same transaction, so no two supervisors give one slot away. The
    job goes through the gate only after the commit: before that no line of its code can run.
    """
    if not s.ready or s.draining:
        s.due_at, s.wanted = float("inf"), 0
        return
    _let_in(s, entry)
    limits = {name: job_type.max_concurrency for name, job_type in s.job_types.types.items()}
    free = slots.free(limits, jobs.in_progress_per_type(entry.tx))
    idle = s.children.idle()
    waiting = {name: jobs.count_eligible(entry.tx, type=name, up_to=free[name]) for name in free}
    line = [
        each
        for name, number in waiting.items()
        if number and idle
        for each in jobs.eligible(entry.tx, type=name, limit=min(number, len(idle)))
    ]
    for first, child in zip(slots.line_up(line, len(idle)), idle, strict=False):
        _claim_one(s, entry, first.id, child)
    s.wanted = max(0, sum(waiting.values()) - len(idle))


def _let_in(s: Supervision, entry: Entry) -> None:
    """Those whose time has come. Looked for when it has, and now and then: others may have them wait, too."""
    now = s.clock.monotonic()
    if now >= min(s.due_at, s.due_known_until):
        jobs.in_their_turn(entry.tx, now=s.clock.now())
        _let_in_turn(s, entry, now)
        waits = [due for due in s.turns.values() if due > now]
        s.due_at = min([_in_our_time(s, jobs.next_turn(entry.tx)), *waits])
        s.due_known_until = now + s.settings.tick


def _let_in_turn(s: Supervision, entry: Entry, now: float) -> None:
    """Those whose pause is over by our own clock, whatever the time of day is now."""
    for job, attempt in [key for key, due in s.turns.items() if due <= now]:
        jobs.in_turn(entry.tx, job_id=job, attempt=attempt)
        entry.afterwards(partial(_forget_turn, s, job, attempt))


def _forget_turn(s: Supervision, job: str, attempt: int) -> None:
    s.turns.pop((job, attempt), None)


def _in_our_time(s: Supervision, moment: int | None) -> float:
    return float("inf") if moment is None else s.clock.monotonic() + (moment - s.clock.now()) / 1000


def _claim_one(s: Supervision, entry: Entry, job_id: str, child: Child) -> None:
    job = jobs.get(entry.tx, job_id)  # with its payload: of those that stay in line it is not read
    assert job is not None
    assert child.identity is not None
    job = replace(job, attempt=job.attempt + 1, owner=s.uuid)
    if jobs.claim(
        entry.tx, job_id=job.id, owner=s.uuid, attempt=job.attempt, child=child.identity, now=s.clock.now()
    ):
        entry.afterwards(partial(_assign, s, job, child))


def _assign(s: Supervision, job: Job, child: Child) -> None:
    job_type = s.job_types.types[job.type]
    child.job, child.job_type = job, job_type
    if job_type.timeout is not None:
        child.overdue_at = s.clock.monotonic() + job_type.timeout
    frame = assignment(s, job, job_type)
    private = frame["directory"] if frame["private_directory"] else None
    s.keeping.link_of(child).assign(child.number, frame, job_type.grace, private)
    assert child.identity is not None
    s.journal.say(Event.JOB_STARTED, type=job.type, job=job.id, attempt=job.attempt, pid=child.identity.pid)
