"""An attempt is over: what becomes of its job goes into the database."""

from functools import partial
from typing import Any

from supervisor.jobtypes.records import JobType
from supervisor.journal import Event
from supervisor.lifecycle import JobStatus
from supervisor.outcome import Outcome
from supervisor.retrying import another, final, has_crashed
from supervisor.store import attempts, jobs
from supervisor.store.records import Job
from supervisor.supervision import Entry, Supervision


def end(s: Supervision, entry: Entry, job: Job, outcome: Outcome, job_type: JobType | None) -> bool:
    """Finish the job, or have it tried again, by one conditional UPDATE: False where another was first.

    `job` is as it was claimed for the attempt that is over, `job_type` as it was then: a reload touches no
    job that runs. None where it is not known.
    """
    attempt: dict[str, Any] = {"job_id": job.id, "owner": job.owner, "attempt": job.attempt}
    attempt["now"] = now = s.clock.now()
    again = another(outcome, job, job_type, _failures(entry, job, outcome), s.chance)
    if again is None:
        outcome = final(outcome, job, job_type)
        attempt["crashed"] = has_crashed(outcome)
        status = outcome.status if jobs.finish(entry.tx, **attempt, outcome=outcome) else None
    else:
        run_at = now + round(again.pause * 1000) if again.pause else None
        attempt |= {"run_at": run_at, "crashed": again.crashed, "counted": again.counted}
        status = jobs.try_again(entry.tx, **attempt, outcome=outcome)
        s.due_known_until = 0.0
    because = f" ({outcome.failure_kind}: {outcome.error_message})" if outcome.failure_kind else ""
    if status is None:
        _say(s, entry, job, Event.JOB_LOST_RACE)
    elif again and status is JobStatus.PENDING:
        if again.pause:
            entry.afterwards(partial(_note_turn, s, job, s.clock.monotonic() + again.pause))
        facts = {"pause": again.pause, "attempt": job.attempt, "because": because}
        _say(s, entry, job, Event.JOB_TRIED_AGAIN, **facts)
    else:
        _say(s, entry, job, Event.JOB_ENDED, status=status, because=because)
    return status is not None


def _failures(entry: Entry, job: Job, outcome: Outcome) -> int:
    """With this one, which is not on record yet."""
    if outcome.status is not JobStatus.FAILED or job.attempt == 1:
        return 1
    return attempts.failures(entry.tx, job_seq=job.seq) + 1


def _note_turn(s: Supervision, job: Job, due: float) -> None:
    s.turns[job.id, job.attempt] = due
    s.due_at = min(s.due_at, due)


def _say(s: Supervision, entry: Entry, job: Job, event: Event, **facts: object) -> None:
    entry.afterwards(partial(s.journal.say, event, type=job.type, job=job.id, **facts))
