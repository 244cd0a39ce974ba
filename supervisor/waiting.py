"""Waiting for jobs to end, by looking: cheap, and told apart from waiting for nothing.

A look gives the jobs and whether anybody is there to run them. Clock and pause come in as
arguments, so that this is tested without waiting.
"""

import math
import time
from collections.abc import Callable, Iterator, Sequence

from supervisor.errors import AsyncWorkerError, NoSupervisor
from supervisor.store.records import Job

Look = Callable[[Sequence[str]], tuple[list[Job], bool]]
"""Ids -> the jobs in the same order, and whether a supervisor is alive."""

SHORTEST_PAUSE = 0.05
LONGEST_PAUSE = 0.25
"""Seconds between two looks: growing, because a job that took long will take longer."""

PATIENCE = 10.0
"""Seconds for which a supervisor that has been seen may be gone: it is restarted, and the jobs go on."""

WINDOW = 100
"""Jobs looked at in one go: all must end, so it does not matter which are looked at first."""


class WaitTimedOut(AsyncWorkerError, TimeoutError):
    """The jobs had not all ended when the time was up."""


def changes(
    look: Look,
    ids: Sequence[str],
    timeout: float | None = None,
    *,
    monotonic: Callable[[], float] = time.monotonic,
    pause: Callable[[float], None] = time.sleep,
) -> Iterator[list[Job]]:
    """After every look, the jobs whose records have changed since the one before; ends when all have ended.

    Raises NoSupervisor when a job cannot end because nobody is there to run or recover it: at once
    where there was nobody from the start. Raises WaitTimedOut after `timeout` seconds.
    """
    deadline = None if timeout is None else monotonic() + timeout
    known: dict[str, Job] = {}
    left = list(ids)
    length = SHORTEST_PAUSE
    patience, missing = 0.0, math.inf  # missing: since when nobody is there
    while left:
        jobs, served = look(left[:WINDOW])
        changed = [job for job in jobs if known.get(job.id) != job]
        known.update((job.id, job) for job in changed)
        yield changed
        ended = {job.id for job in jobs if job.ended}
        left = [job_id for job_id in left if job_id not in ended]
        # Whoever ended a job may be gone before its pid is asked for: only a second look, which sees all that
        # it wrote, is proof.
        if left and not served and monotonic() - missing >= patience:
            raise NoSupervisor(_nobody(known.get(left[0]), len(left)))
        patience, missing = (PATIENCE, math.inf) if served else (patience, min(missing, monotonic()))
        if not left or len(ended) == WINDOW or not (served or patience):
            continue
        remaining = LONGEST_PAUSE if deadline is None else deadline - monotonic()
        if remaining <= 0:
            raise WaitTimedOut(_late(left, timeout or 0))
        pause(min(length, remaining))
        length = min(length * 1.3, LONGEST_PAUSE)


def _nobody(job: Job | None, count: int) -> str:
    which = f"job {job.id} is {job.status}" if job and count == 1 else f"{count} jobs have not ended"
    return f"{which} and no service is running; start one with: asyncworker serve"


def _late(left: list[str], timeout: float) -> str:
    which = f"job {left[0]} has" if len(left) == 1 else f"{len(left)} jobs have"
    return f"{which} not ended after {timeout:g} seconds"
