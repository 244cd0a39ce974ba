# ruff: noqa: A002 - `type` is the word that callers use
"""What Python callers and the command line use: submit jobs, look at them, cancel them, wait for them.

Through the service's socket when it answers, else straight to the store; supervisor.ways has both.
"""

import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple, Self, TypeVar

from supervisor.answers import Backup, Cancellation, Overview, Page, Pruned
from supervisor.clock import Clock, SystemClock
from supervisor.errors import InvalidKey, InvalidPayload, JobNotEnded, UnknownJob, UnknownJobType
from supervisor.lifecycle import JobStatus
from supervisor.payload import to_text
from supervisor.settings import Keep, Locations
from supervisor.store.records import Attempt, Job, Start
from supervisor.waiting import changes
from supervisor.ways.choice import aside, through_the_socket
from supervisor.ways.typesfile import TypesFile, unknown_type
from supervisor.ways.way import Choice, NotThisWay, Submission, Way, WayLost, asked_again

if TYPE_CHECKING:
    from supervisor.jobtypes.records import JobTypes

PAGE_SIZE = 20
LARGEST_PAGE_SIZE = 100
MOST_AT_ONCE = 10_000
"""Jobs in one transaction: meanwhile the service can record nothing."""
PRIORITIES = range(-(2**31), 2**31)
"""What a priority may be: larger runs first."""

_KEY = re.compile(r"[\x21-\x7e]{1,255}\Z")

_Attempts = list[Attempt]
_Cancellations = list[Cancellation]
_Jobs = list[Job]

T = TypeVar("T")


class NewJob(NamedTuple):
    """A job for `Client.submit_many`; its fields are what `Client.submit` takes."""

    type: str
    payload: Any = None
    priority: int | None = None
    idempotency_key: str | None = None


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
        self._types = TypesFile(self.locations.config)
        self._chosen: Way | None = None
        self._store: Way | None = None

    def close(self) -> None:
        """Let go of the service and the database. Closing twice does nothing."""
        for way in (self._chosen, self._store):
            if way is not None:
                way.close()
        self._chosen = self._store = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def submit(
        self,
        type: str,
        payload: Any = None,
        *,
        priority: int | None = None,
        idempotency_key: str | None = None,
    ) -> Job:
        """Submit a job. When this returns, it is on disk and survives any crash.

        Args:
            type: Name of a job type.
            payload: Anything that JSON can say, up to 1 MiB as compact JSON.
            priority: Larger runs first; by default what the job type says.
            idempotency_key: The same key again gives the same job, for a caller that may have to ask twice:
                1 to 255 visible ASCII characters, good for as long as there is the job.

        Raises:
            UnknownJobType: The job types have no such name.
            InvalidPayload: It is not JSON, or too large; or the priority is no 32-bit number.
            InvalidKey: The key is none, or stands for a job that was asked for differently.
            InvalidConfiguration: The job types file is missing or has mistakes.
        """
        wanted = _submission(NewJob(type, payload, priority, idempotency_key), os.urandom(16).hex())
        again = replace(wanted, key=idempotency_key or wanted.spare_key)
        return self._ask(lambda way: way.submit(wanted), again=lambda way: way.submit(again))

    def submit_many(self, jobs: Iterable["NewJob"]) -> _Jobs:
        """Submit up to 10,000 jobs in one transaction: all of them or none. Gives them in the same order.

        When this returns, they are on disk and survive any crash. Where one of them cannot be submitted,
        none is. An idempotency key that stands for a job already, on record or earlier in the list, gives
        that job. This goes straight to the database also while a service runs, and wakes it.

        Raises as `submit` does, and ValueError where there are too many.
        """
        wanted = [_numbered(number, job) for number, job in enumerate(jobs, start=1)]
        if len(wanted) > MOST_AT_ONCE:
            raise ValueError(
                f"at most {MOST_AT_ONCE} jobs can be submitted at once, and these are {len(wanted)}"
            )
        if not wanted:
            return []
        starts = self._ask(lambda way: way.starts())

        def start(name: str) -> Start:
            if name not in starts:
                raise UnknownJobType(unknown_type(name, [*starts]))
            return starts[name]

        return self._ask(lambda way: way.submit_many(wanted, start))

    def get(self, job: str) -> Job:
        """The job as it is now.

        Raises UnknownJob, or AmbiguousJob where several ids begin like this.
        """
        return self._ask(lambda way: way.get(job))

    def attempts(self, job: str) -> _Attempts:
        """The executions of a job, oldest first; empty before the first. Raises as `get` does."""
        return self._ask(lambda way: way.attempts(job))

    def cancel(self, job: str) -> Cancellation:
        """End a job: a Pending one at once; of one in progress, its supervisor is asked to end it.

        A job that had ended stays as it is; the answer says so. Raises as `get` does.
        """
        since = self._clock.now()
        return self._ask(lambda way: way.cancel(job), again=lambda way: asked_again(way.cancel(job), since))

    def retry(self, job: str) -> Job:
        """Have a job that has ended run once more, with its id; its earlier attempts stay on record.

        Raises JobNotEnded, or as `get` does.
        """
        return self._ask(lambda way: way.retry(job), again=lambda way: _retried(way, job))

    def cancel_matching(self, type: str | None = None, status: JobStatus | None = None) -> _Cancellations:
        """Cancel every job of this type and status (None: of any) that exists now and has not ended.

        A job that leaves the status before its turn comes is left alone.
        """
        return [*chain.from_iterable(self.cancelling(type, status))]

    def cancelling(
        self, type: str | None = None, status: JobStatus | None = None
    ) -> Iterator[_Cancellations]:
        """Do what `cancel_matching` does, some jobs at a time, so that not all are in memory at once.

        What it has given is on record; the rest stays as it is where nobody asks for more.
        """
        return self._ask(lambda way: way.cancel_matching(type, status))

    def prune(
        self,
        keep_completed: float,
        keep_failed: float,
        keep_cancelled: float,
        *,
        dry_run: bool = False,
        on_progress: Callable[[Pruned], None] = lambda _: None,
    ) -> Pruned:
        """Remove the jobs that ended longer ago than this, with their attempts and logs, in small steps.

        Args:
            keep_completed, keep_failed, keep_cancelled: Seconds; infinity keeps them all.
            dry_run: Only say what would be removed.
            on_progress: Called with what has been removed so far, again and again.
        """
        keep = Keep(keep_completed, keep_failed, keep_cancelled)
        return self._ask(lambda way: way.prune(keep, on_progress, dry_run=dry_run))

    def backup(
        self,
        file: str | os.PathLike[str],
        *,
        replace: bool = False,
        on_progress: Callable[[int, int], None] = lambda _done, _of: None,
    ) -> Backup:
        """Copy the database into a file while services and clients use it, and make sure that it is whole.

        The copy is of one moment: every job that was acknowledged before is in it. It gets its name only
        when it is whole and on disk.

        Args:
            file: In a folder that exists.
            replace: Take the place of a file that is there; it stays as it is until the new one is whole.
            on_progress: Called with bytes copied, and bytes in all; both are equal while it is verified.

        Raises:
            BackupRefused: There is such a file, or a backup cannot have this name.
            BackupFailed: It could not be written or is not whole. What was there before is there still.
        """
        from supervisor.backup import back_up  # noqa: PLC0415  (half a second, where it is needed)

        return back_up(self.locations.database, Path(file), replace=replace, told=on_progress)

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
            NoSupervisor: They cannot end, because no service runs on this database, nor did one come back
                within 10 seconds.
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
        return self._ask(lambda way: way.has_supervisor())

    def overview(self) -> Overview:
        """Supervisors, slots and counts, all of one moment."""
        return self._ask(lambda way: way.overview())

    def log_path(self, job: str, attempt: int | None = None) -> Path:
        """The file with what an attempt printed, by default the last one; it may not exist (yet).

        Raises UnknownJob where there was no such attempt either.
        """
        found = self.get(job)
        if attempt is not None and not 1 <= attempt <= found.attempt:
            raise UnknownJob(f"job {found.id} has no attempt {attempt}; {_so_far(found.attempt)}")
        return self.locations.log_of(found.id, attempt or max(1, found.attempt))

    def job_types(self) -> "JobTypes":
        """The job types, as their file is now.

        Raises InvalidConfiguration where the file is missing or has mistakes.
        """
        return self._types.read()

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
        return self._ask(lambda way: way.page(Choice(status, type, page, page_size)))

    def _look(self, ids: Sequence[str]) -> tuple[_Jobs, bool]:
        return self._ask(lambda way: way.look(ids))

    def _ask(self, question: Callable[[Way], T], again: Callable[[Way], T] | None = None) -> T:
        """The answer; `again` asks for the same where it may have been done already."""
        if self._chosen is None:
            self._chosen = through_the_socket(self.locations) or self._straight(create=True)
        try:
            return question(self._chosen)
        except (NotThisWay, WayLost) as reason:
            aside(f"straight to the store, because {reason}")
            # A service was there, so its database is: an empty one in its place would be a lie.
            straight = self._straight(create=False)
            if isinstance(reason, WayLost):
                self._chosen.close()
                self._chosen = straight
            repeat = again if again and reason.perhaps_done else question
        return repeat(straight)

    def _straight(self, *, create: bool) -> Way:
        if self._store is None:
            from supervisor.ways.straight import StoreWay  # noqa: PLC0415  (half a second, where it is needed)

            self._store = StoreWay(self.locations, self._types, self._clock, create=create)
        return self._store


def _submission(job: NewJob, spare_key: str = "") -> Submission:
    """Raises InvalidPayload and InvalidKey."""
    priority: Any = job.priority
    if priority is not None and (not isinstance(priority, int) or priority not in PRIORITIES):
        raise InvalidPayload(f"the priority is {priority!r}; it must be a whole number of 32 bits")
    if job.idempotency_key is not None and not _KEY.match(job.idempotency_key):
        raise InvalidKey("the idempotency key must be 1 to 255 visible ASCII characters")
    return Submission(
        job.type,
        to_text(job.payload),
        None if priority is None else int(priority),
        job.idempotency_key,
        spare_key,
    )


def _numbered(number: int, job: NewJob) -> Submission:
    try:
        return _submission(job)
    except (InvalidPayload, InvalidKey) as error:
        raise type(error)(f"job {number} of the list: {error}") from error


def _retried(way: Way, job: str) -> Job:
    """Where the answer was lost: the job may be Pending, or have begun, because it has been retried."""
    try:
        return way.retry(job)
    except JobNotEnded:
        return way.get(job)


def _so_far(attempts: int) -> str:
    return {0: "it has not begun", 1: "it has had one"}.get(attempts, f"it has had {attempts}")
