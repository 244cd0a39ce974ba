"""What follows a failed attempt: another one, when, and at whose expense; or the end. Pure.

Three budgets. `max_attempts` pays for what the job did: raised, exited, took too long. `max_crashes` pays
for every death that a job may have brought about, so that one which kills its process, or ours, cannot
loop for ever. The end of its supervisor is not the job's doing: it uses up no attempt.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from supervisor.jobtypes.records import JobType, Retries
from supervisor.lifecycle import CRASHES, OWNER_DEATHS, JobStatus
from supervisor.outcome import Outcome
from supervisor.store.records import Job

_DOUBLINGS = 60
"""More would be longer than anybody waits, and soon than a float holds."""


@dataclass(frozen=True, slots=True)
class Again:
    """There is to be another attempt."""

    pause: float
    """Seconds before it may begin."""
    crashed: bool
    """Whether this one used up one of `max_crashes`."""
    counted: bool
    """Whether this one used up one of `max_attempts`."""


def another(
    outcome: Outcome, job: Job, job_type: JobType | None, failures: int, chance: Callable[[], float]
) -> Again | None:
    """Whether a job whose attempt came to this outcome is tried again.

    Args:
        outcome: Of the attempt that is over.
        job: As it was when this attempt was claimed.
        job_type: None where there is no such type any more.
        failures: Attempts of the job that failed and counted, with this one: a service that was stopped ten
            times must not make the waits longer.
        chance: A number from 0 to 1, for jitter.
    """
    if outcome.status is not JobStatus.FAILED or job_type is None or outcome.wish == "discard":
        return None
    crashed = has_crashed(outcome)
    if crashed and job.crashes + 1 >= job_type.max_crashes:
        return None
    if outcome.failure_kind in OWNER_DEATHS:
        return Again(0.0, crashed, counted=False) if job_type.on_owner_death == "retry" else None
    if job.attempt >= job.max_attempts:
        return None
    pause = backoff(job_type.retries, failures, chance) if outcome.after is None else outcome.after
    return Again(pause, crashed, counted=True)


def final(outcome: Outcome, job: Job, job_type: JobType | None) -> Outcome:
    """The outcome of a job that is not tried again; its message says so where that may be a surprise."""
    why = _why_no_more(outcome, job, job_type)
    return replace(outcome, error_message=f"{outcome.error_message}; {why}") if why else outcome


def backoff(retries: Retries, failures: int, chance: Callable[[], float]) -> float:
    """Seconds between the attempt that was the `failures`th to fail and the next.

    Full jitter: anything from nothing to the whole pause, all equally likely, so that jobs which failed
    together come back one by one.
    """
    pause = retries.initial
    if retries.backoff == "exponential":
        pause *= 2 ** min(failures - 1, _DOUBLINGS)
    if retries.max is not None:
        pause = min(pause, retries.max)
    return pause * chance() if retries.jitter else pause


def has_crashed(outcome: Outcome) -> bool:
    """A supervisor that was stopped in good order was not brought down by its job."""
    return outcome.failure_kind in CRASHES and not outcome.stopped


def _why_no_more(outcome: Outcome, job: Job, job_type: JobType | None) -> str | None:
    if outcome.status is not JobStatus.FAILED or job_type is None or outcome.wish == "discard":
        return None
    crashes = job.crashes + 1
    if has_crashed(outcome) and job.crashes and crashes >= job_type.max_crashes:
        return f"that was crash {crashes}, and max_crashes is {job_type.max_crashes}"
    if outcome.failure_kind in OWNER_DEATHS:
        return None
    if job.attempt > 1 or outcome.wish == "retry":
        return f"that was attempt {job.attempt} of {job.max_attempts}"
    return None
