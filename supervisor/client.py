# ruff: noqa: A002 - `type` is the word that callers use
"""What Python callers and the command line use: submit jobs, look at them, cancel them, wait for them."""

import math
import os
import uuid
from collections.abc import Callable, Iterator, Sequence
from difflib import get_close_matches
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from supervisor.answers import Cancellation, Life, Overview, Page, slots_of
from supervisor.clock import Clock, SystemClock
from supervisor.errors import InvalidConfiguration, InvalidPayload, UnknownJob, UnknownJobType
from supervisor.jobtypes.load import load
from supervisor.jobtypes.records import JobTypes
from supervisor.lifecycle import JobStatus
from supervisor.liveness import Here, any_alive, is_alive
from supervisor.nudge import nudge
from supervisor.payload import to_text
from supervisor.settings import Locations
from supervisor.store import Store, Transaction, attempts, jobs, open_store, supervisors
from supervisor.store.records import Attempt, Job
from supervisor.waiting import changes

PAGE_SIZE = 20
LARGEST_PAGE_SIZE = 100
PRIORITIES = range(-(2**31), 2**31)
"""What a priority may be: larger runs first."""

_BATCH = 500
"""Cancelled in one transaction: the supervisor, too, wants to write."""

_Attempts = list[Attempt]
_Cancellations = list[Cancellation]
_Jobs = list[Job]


class Client:
    """The jobs of one installation.

    A job is named by its id, or by the unique beginning of it, 4 characters or more. Nothing is
    opened or made before it is needed. Every method may raise StoreUnavailable. Not to be used
    across a fork, nor by two threads at once.

    Args:
        state_dir: The state folder; by default ASYNCWORKER_STATE_DIR, or the user's by XDG.
        config: The job types file; by default ASYNCWORKER_CONFIG, or ./jobtypes.yaml.
        database: SQLAlchemy URL or path; by default ASYNCWORKER_DATABASE, or in the state folder.
    """

    def __init__(
        self,
        state_dir: str | os.PathLike[str] | None = None,
        config: str | os.PathLike[str] | None = None,
        database: str | os.PathLike[str] | None = None,
        *,
        clock: Clock | None = None,
    ) -> None:
        self.locations = Locations.resolve(
            state_dir, config, None if database is None else os.fspath(database)
        )
        self._clock = clock or SystemClock()
        self._opened: Store | None = None

    def _here(self) -> Here:
        return Here.current(self._store().path)

    def close(self) -> None:
        """Let go of the database. Closing twice does nothing."""
        if self._opened is not None:
            self._opened.close()
            self._opened = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def submit(self, type: str, payload: Any = None, *, priority: int | None = None) -> Job:
        """Submit a job. When this returns, it is on disk and survives any crash.

        Args:
            type: Name of a job type.
            payload: Anything that JSON can say, up to 1 MiB as compact JSON.
            priority: Larger runs first; by default what the job type says.

        Raises:
            UnknownJobType: The job types have no such name.
            InvalidPayload: It is not JSON, or too large; or the priority is no 32-bit number.
            InvalidConfiguration: The job types file is missing or has mistakes.
        """
        types = self.job_types().types
        if type not in types:
            raise UnknownJobType(_unknown_type(type, [*types]))
        chosen: Any = types[type].priority if priority is None else priority
        if not isinstance(chosen, int) or chosen not in PRIORITIES:
            raise InvalidPayload(f"the priority is {chosen!r}; it must be a whole number of 32 bits")
        text = to_text(payload)
        with self._store().write() as tx:
            job = jobs.insert(
                tx,
                id=str(uuid.uuid4()),
                type=type,
                payload=text,
                priority=chosen,
                max_attempts=types[type].retries.max_attempts,
                created_at=self._clock.now(),
            )
        nudge(self.locations.state_dir)
        return job

    def get(self, job: str) -> Job:
        """The job as it is now.

        Raises UnknownJob, or AmbiguousJob where several ids begin like this.
        """
        with self._store().read() as tx:
            return jobs.find(tx, job)

    def attempts(self, job: str) -> _Attempts:
        """The executions of a job, oldest first; empty before the first. Raises as `get` does."""
        with self._store().read() as tx:
            return attempts.of(tx, jobs.find(tx, job).id)

    def cancel(self, job: str) -> Cancellation:
        """End a job: a Pending one at once; of one in progress, its supervisor is asked to end it.

        A job that had ended stays as it is; the answer says so. Raises as `get` does.
        """
        with self._store().write() as tx:
            cancellation = self._cancel(tx, jobs.find(tx, job).id)
        nudge(self.locations.state_dir)
        return cancellation

    def cancel_matching(self, type: str | None = None, status: JobStatus | None = None) -> _Cancellations:
        """Cancel every job of this type and status (None: of any) that exists now and has not ended.

        A job that leaves the status before its turn comes is left alone.
        """
        living = [each for each in (JobStatus.PENDING, JobStatus.IN_PROGRESS) if status in (None, each)]
        with self._store().read() as tx:
            ids = [
                job_id
                for each in living
                for job_id in jobs.ids_matching(tx, status=each, type=type, limit=2**31)
            ]
        cancelled: _Cancellations = []
        for start in range(0, len(ids), _BATCH):
            with self._store().write() as tx:
                found = [jobs.get(tx, job_id) for job_id in ids[start : start + _BATCH]]
                chosen = [job.id for job in found if job and not job.ended and status in (None, job.status)]
                batch = [self._cancel(tx, job_id) for job_id in chosen]
            cancelled += batch
            nudge(self.locations.state_dir)
        return cancelled

    def wait(
        self,
        jobs: Sequence[str],
        timeout: float | None = None,
        on_change: Callable[[Job], None] | None = None,
    ) -> _Jobs:
        """Wait until all have ended, and give them as they are then, in the same order.

        Args:
            jobs: Ids, or their beginnings.
            timeout: Seconds; None waits for ever.
            on_change: Called with a job when it is first seen, and whenever its record has changed.

        Raises:
            NoSupervisor: They cannot end, because no service runs on this database.
            WaitTimedOut: A TimeoutError, after `timeout` seconds.
            UnknownJob, AmbiguousJob: As `get` does.
        """
        ids = [self.get(job).id for job in ([jobs] if isinstance(jobs, str) else jobs)]
        last: dict[str, Job] = {}
        for changed in self.watch(ids, timeout):
            for job in changed:
                last[job.id] = job
                if on_change is not None:
                    on_change(job)
        return [last[job_id] for job_id in ids]

    def watch(self, ids: Sequence[str], timeout: float | None = None) -> Iterator[_Jobs]:
        """Look until all have ended; every look gives the jobs that have changed, often none.

        Args:
            ids: Whole ids.
            timeout: Seconds; None waits for ever.

        Raises as `wait` does.
        """
        return changes(self._look, [*dict.fromkeys(ids)], timeout)

    def has_supervisor(self) -> bool:
        """Whether a service runs on this database, as far as that can be known from here."""
        with self._store().read() as tx:
            records = supervisors.not_ended(tx)
        return any_alive(records, self._here(), self._clock.now())

    def overview(self) -> Overview:
        """Supervisors, slots and counts, all of one moment."""
        limits, problem = self._limits()
        with self._store().read() as tx:
            records = supervisors.not_ended(tx) or supervisors.recent(tx, 1)
            in_use, waiting = jobs.in_progress_per_type(tx), jobs.pending_per_type(tx)
            counts = jobs.counts(tx)
        here = self._here()
        lives = tuple(Life(record, is_alive(record, here)) for record in records)
        return Overview(lives, slots_of(limits, in_use, waiting), counts, problem)

    def log_path(self, job: str, attempt: int | None = None) -> Path:
        """The file with what an attempt printed, by default the last one; it may not exist (yet).

        Raises UnknownJob where there was no such attempt either.
        """
        found = self.get(job)
        if attempt is not None and not 1 <= attempt <= found.attempt:
            raise UnknownJob(f"job {found.id} has no attempt {attempt}; {_so_far(found.attempt)}")
        return self.locations.log_of(found.id, attempt or max(1, found.attempt))

    def job_types(self) -> JobTypes:
        """The job types, read anew. Raises InvalidConfiguration where the file is missing or has mistakes."""
        return load(self.locations.config)

    def list(
        self,
        *,
        status: JobStatus | None = None,
        type: str | None = None,
        page: int = 1,
        page_size: int = PAGE_SIZE,
    ) -> Page:
        """A page of the jobs, newest first.

        Raises ValueError where the page is below 1, or its size not from 1 to 100.
        """
        if page < 1 or not 1 <= page_size <= LARGEST_PAGE_SIZE:
            raise ValueError(f"pages count from 1 and have 1 to {LARGEST_PAGE_SIZE} jobs")
        with self._store().read() as tx:
            total = jobs.count(tx, status=status, type=type)
            offset = (page - 1) * page_size
            items = jobs.page(tx, status=status, type=type, offset=offset, limit=page_size)
        return Page(tuple(items), page, page_size, total, math.ceil(total / page_size))

    def _store(self) -> Store:
        if self._opened is None:
            self.locations.make_state_dir()
            self._opened = open_store(self.locations.database)
        return self._opened

    def _cancel(self, tx: Transaction, job_id: str) -> Cancellation:
        answer = jobs.request_cancel(tx, id=job_id, now=self._clock.now())
        return Cancellation(answer, jobs.find(tx, job_id))

    def _look(self, ids: Sequence[str]) -> tuple[_Jobs, bool]:
        with self._store().read() as tx:
            found = [jobs.find(tx, job_id) for job_id in ids]
            records = supervisors.not_ended(tx)
        return found, any_alive(records, self._here(), self._clock.now())

    def _limits(self) -> tuple[dict[str, int], str | None]:
        try:
            types = self.job_types().types
        except InvalidConfiguration as error:
            return {}, str(error)
        return {name: each.max_concurrency for name, each in types.items()}, None


def _unknown_type(name: str, known: Sequence[str]) -> str:
    nearest = get_close_matches(name, known, n=1)
    hint = f"did you mean {nearest[0]}?" if nearest else f"there are: {', '.join(known)}"
    return f"there is no job type {name!r}; {hint}"


def _so_far(attempts: int) -> str:
    return {0: "it has not begun", 1: "it has had one"}.get(attempts, f"it has had {attempts}")
