# ruff: noqa: A002 - `type` is the word that callers use
"""What a way must be able to do, and how it says that it cannot."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from supervisor.answers import Cancellation, Overview, Page, Pruned
from supervisor.errors import JobNotEnded
from supervisor.lifecycle import JobStatus
from supervisor.settings import Keep
from supervisor.store.records import Attempt, CancelAnswer, Job, Start


@dataclass(frozen=True, slots=True)
class Submission:
    """A job to be, as far as that can be checked without the job types."""

    type: str
    payload: str
    """Compact JSON text."""
    priority: int | None
    """None: what the job type says."""
    key: str | None
    """The caller's idempotency key: the same key gives the same job."""
    spare_key: str
    """Made for this submission alone: so it can be asked again where the answer was lost."""


@dataclass(frozen=True, slots=True)
class Choice:
    """A part of the list of jobs; None: of any."""

    status: JobStatus | None
    type: str | None
    page: int
    page_size: int


class _NoAnswer(Exception):
    """No answer that can be passed on."""

    def __init__(self, reason: str, *, perhaps_done: bool) -> None:
        """`perhaps_done`: what was asked for may have happened all the same."""
        super().__init__(reason)
        self.perhaps_done = perhaps_done


class NotThisWay(_NoAnswer):
    """This cannot be asked this way. Others can."""

    def __init__(self, reason: str, *, perhaps_done: bool = False) -> None:
        super().__init__(reason, perhaps_done=perhaps_done)


class WayLost(_NoAnswer):
    """Nobody answers there any more."""

    def __init__(self, reason: str, *, perhaps_done: bool = True) -> None:
        super().__init__(reason, perhaps_done=perhaps_done)


class Way(Protocol):
    """Where a job is named, by its id or by the unique beginning of it."""

    def submit(self, submission: Submission) -> Job: ...

    def submit_many(self, submissions: Sequence[Submission], start: Callable[[str], Start]) -> list[Job]:
        """All of them or none, in one transaction. `start` gives what a type gives, or raises."""

    def starts(self) -> Mapping[str, Start]:
        """Of every job type."""

    def get(self, job: str) -> Job: ...

    def attempts(self, job: str) -> list[Attempt]: ...

    def page(self, choice: Choice) -> Page: ...

    def cancel(self, job: str) -> Cancellation: ...

    def retry(self, job: str) -> Job:
        """Raises JobNotEnded."""

    def cancel_matching(self, type: str | None, status: JobStatus | None) -> Iterator[list[Cancellation]]:
        """A part at a time: each is on record before the next is begun."""

    def prune(self, keep: Keep, told: Callable[[Pruned], None], *, dry_run: bool) -> Pruned:
        """`told` what is done, again and again."""

    def look(self, ids: Sequence[str]) -> tuple[list[Job], bool]:
        """The jobs of these whole ids in the same order, and whether a supervisor is alive."""

    def has_supervisor(self) -> bool: ...

    def overview(self) -> Overview: ...

    def close(self) -> None:
        """Let go of what is open. It opens again when it is used."""


def asked_again(second: Cancellation, since: int) -> Cancellation:
    """What the first request came to, where its answer was lost and the second met what it had done."""
    job = second.job
    if job.cancel_requested_at is None or job.cancel_requested_at < since:
        return second
    before_it_began = job.status is JobStatus.CANCELLED and job.started_at is None
    return replace(second, answer=CancelAnswer.CANCELLED if before_it_began else CancelAnswer.REQUESTED)


def not_ended(job: Job) -> JobNotEnded:
    """In the words that both ways have for it."""
    return JobNotEnded(f"job {job.id} has not ended: it is {job.status}, so there is nothing to retry")
