# ruff: noqa: A002 - `type` is the word that callers use
"""Straight to the store: what is done while no service answers, and what its socket does not offer."""

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

from supervisor.answers import Cancellation, Life, Overview, Page, Pruned, slots_of
from supervisor.clock import Clock
from supervisor.errors import InvalidConfiguration
from supervisor.lifecycle import JobStatus
from supervisor.liveness import Here, any_alive, is_alive
from supervisor.nudge import nudge
from supervisor.pruning import Pruning, survey
from supervisor.settings import Keep, Locations
from supervisor.store import Store, Transaction, attempts, jobs, open_store, submitting, supervisors, tallies
from supervisor.store.records import Attempt, Job, Start
from supervisor.store.submitting import Wanted
from supervisor.ways.typesfile import TypesFile
from supervisor.ways.way import Choice, Submission, not_ended

BATCH = 50
"""Cancelled in one transaction: the supervisor, too, wants to write, and a payload can have 1 MiB."""

REST = 3
"""Times as long as each step of pruning took: others want to write, and one of them makes the checkpoints."""


class StoreWay:
    """The database itself. Every method may raise StoreUnavailable."""

    def __init__(self, locations: Locations, types: TypesFile, clock: Clock, *, create: bool = True) -> None:
        """`create`: where there is no database, make one."""
        self._locations = locations
        self._types = types
        self._clock = clock
        self._create = create
        self._opened: Store | None = None

    def close(self) -> None:
        if self._opened is not None:
            self._opened.close()
            self._opened = None

    def submit(self, submission: Submission) -> Job:
        wanted = _wanted(submission)
        if wanted.key is not None:  # a type may be gone when its job is asked for again
            with self._store().read() as tx:
                if known := submitting.already(tx, wanted):
                    return _told(known)
        start = submitting.start_of(self._types.job_type(wanted.type))  # not read while others wait to write
        with self._store().write() as tx:
            job, is_new = submitting.submit(tx, wanted, start=lambda _: start, now=self._clock.now())
        if is_new:
            nudge(self._locations.state_dir)
        return _told(job)

    def submit_many(self, submissions: Sequence[Submission], start: Callable[[str], Start]) -> list[Job]:
        wanted = [_wanted(each) for each in submissions]
        with self._store().write() as tx:
            found, any_new = submitting.submit_many(tx, wanted, start=start, now=self._clock.now())
        if any_new:
            nudge(self._locations.state_dir)
        return [_told(job) for job in found]

    def starts(self) -> Mapping[str, Start]:
        return {name: submitting.start_of(each) for name, each in self._types.read().types.items()}

    def get(self, job: str) -> Job:
        with self._store().read() as tx:
            return _told(jobs.find(tx, job))

    def attempts(self, job: str) -> list[Attempt]:
        with self._store().read() as tx:
            return attempts.of(tx, jobs.find(tx, job).id)

    def page(self, choice: Choice) -> Page:
        with self._store().read() as tx:
            total = tallies.count(tx, status=choice.status, type=choice.type)
            offset = (choice.page - 1) * choice.page_size
            items = jobs.page(
                tx, status=choice.status, type=choice.type, offset=offset, limit=choice.page_size
            )
        pages = math.ceil(total / choice.page_size)
        return Page(tuple(map(_told, items)), choice.page, choice.page_size, total, pages)

    def cancel(self, job: str) -> Cancellation:
        with self._store().write() as tx:
            cancellation = self._cancel(tx, jobs.find(tx, job).id)
        nudge(self._locations.state_dir)
        return cancellation

    def retry(self, job: str) -> Job:
        with self._store().write() as tx:
            found = jobs.find(tx, job)
            if not jobs.retry(tx, id=found.id):
                raise not_ended(found)
            retried = jobs.find(tx, found.id)
        nudge(self._locations.state_dir)
        return retried

    def cancel_matching(self, type: str | None, status: JobStatus | None) -> Iterator[list[Cancellation]]:
        chosen = [each for each in (JobStatus.PENDING, JobStatus.IN_PROGRESS) if status in (None, each)]
        with self._store().read() as tx:
            ids = [
                job_id
                for each in chosen
                for job_id in jobs.ids_matching(tx, status=each, type=type, limit=2**31)
            ]
        for start in range(0, len(ids), BATCH):
            with self._store().write() as tx:
                living = jobs.living(tx, ids[start : start + BATCH], status)
                batch = [self._cancel(tx, job_id) for job_id in living]
            nudge(self._locations.state_dir)
            yield batch

    def prune(self, keep: Keep, told: Callable[[Pruned], None], *, dry_run: bool) -> Pruned:
        store, logs = self._store(), self._locations.logs
        if dry_run:
            return survey(store, logs, keep, self._clock)
        pruning = Pruning(store, logs, keep, self._clock)
        began = self._clock.monotonic()
        for _ in pruning:
            told(pruning.done)
            time.sleep(REST * (self._clock.monotonic() - began))
            began = self._clock.monotonic()
        return pruning.done

    def look(self, ids: Sequence[str]) -> tuple[list[Job], bool]:
        with self._store().read() as tx:
            found = [_told(jobs.find(tx, job_id)) for job_id in ids]
            records = supervisors.not_ended(tx)
        return found, any_alive(records, self._here(), self._clock.now())

    def has_supervisor(self) -> bool:
        with self._store().read() as tx:
            records = supervisors.not_ended(tx)
        return any_alive(records, self._here(), self._clock.now())

    def overview(self) -> Overview:
        limits, problem = self._limits()
        with self._store().read() as tx:
            records = supervisors.not_ended(tx) or supervisors.recent(tx, 1)
            counted = tallies.counts(tx)
            unkillable = attempts.unkillable(tx)
        here = self._here()
        lives = tuple(Life(record, is_alive(record, here)) for record in records)
        of = {
            status: {name: each[status] for name, each in counted.items() if status in each}
            for status in JobStatus
        }
        slots = slots_of(limits, of[JobStatus.IN_PROGRESS], of[JobStatus.PENDING])
        counts = {status: sum(each.values()) for status, each in of.items()}
        return Overview(lives, slots, counts, problem, unkillable)

    def _store(self) -> Store:
        if self._opened is None:
            self._locations.make_state_dir()
            self._opened = open_store(self._locations.database, create=self._create)
        return self._opened

    def _here(self) -> Here:
        return Here.current(self._store().path)

    def _cancel(self, tx: Transaction, job_id: str) -> Cancellation:
        answer = jobs.request_cancel(tx, id=job_id, now=self._clock.now())
        return Cancellation(answer, _told(jobs.find(tx, job_id)))

    def _limits(self) -> tuple[dict[str, int], str | None]:
        try:
            types = self._types.read().types
        except InvalidConfiguration as error:
            return {}, str(error)
        return {name: each.max_concurrency for name, each in types.items()}, None


def _wanted(submission: Submission) -> Wanted:
    return Wanted(submission.type, submission.payload, submission.priority, submission.key)


def _told(job: Job) -> Job:
    """A command returns nothing, as a handler can return None: seen from outside, both are null."""
    return replace(job, result="null") if job.result is None and job.status is JobStatus.COMPLETED else job
