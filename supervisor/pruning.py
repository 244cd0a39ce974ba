"""One pass over everything that has been kept long enough, in steps of a few milliseconds.

Rows and logs go together: within the transaction that deletes the rows, the logs are put aside, and that is
made sure of before the commit. So a crash can leave a job on record without its logs, never logs that no
record leads to. A retry waits for the transaction, or has made the job Pending before: then it is not chosen.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from supervisor.answers import Pruned
from supervisor.clock import Clock
from supervisor.errors import StoreLocked
from supervisor.lifecycle import JobStatus
from supervisor.removed_logs import SLICE, RemovedLogs, size_of
from supervisor.settings import Keep
from supervisor.store import Store, pruning

_BATCH = 100
"""Jobs in one transaction, at most."""
_LOOK = 1000
"""Jobs in one transaction where nothing is removed."""
_SUPERVISORS_KEPT = 1000
_SUPERVISORS_KEPT_FOR = 30 * 86_400_000
_PAGES_LEFT = 1000
"""Free pages that stay in the file, about 4 MB: new jobs would make it grow again."""
_PAGES = 20


class Pruning:
    """Iterate over it: each step is one short piece of work. Raises StoreUnavailable.

    One that is not `patient` waits for nobody who writes, but comes back to it in its next step.
    """

    def __init__(self, store: Store, logs: Path, keep: Keep, clock: Clock, *, patient: bool = True) -> None:
        self._store = store
        self._clock = clock
        self._patient = patient
        self._until = _limits(keep, clock.now())
        self._folder = logs
        self._logs = RemovedLogs(logs, clock)
        self._removed: Counter[JobStatus] = Counter()

    @property
    def done(self) -> Pruned:
        """So far."""
        return Pruned(dict(self._removed), self._logs.bytes, self._logs.problem)

    def __iter__(self) -> Iterator[None]:
        self._logs.mend_folder()
        yield from self._logs.remove()  # what somebody else put aside and did not come to remove
        for status, until in self._until.items():
            after = self._oldest(status, until)
            while after is not None:
                after = self._remove_batch(status, until, after)
                yield
                yield from self._logs.remove()
        for more in (self._forget_supervisors, self._give_back):
            while self._tried(more):
                yield
        # Even where nothing was removed here: who prunes by hand cannot do it.
        self._store.empty_log()

    def _oldest(self, status: JobStatus, until: int) -> pruning.Due | None:
        """A look that takes no lock: most of the time there is nothing."""
        with self._store.read() as tx:
            found = pruning.due(tx, status=status, until=until, limit=1)
        return pruning.START if found else None

    def _remove_batch(self, status: JobStatus, until: int, after: pruning.Due) -> pruning.Due | None:
        """The last one that was tried; None after the last of all."""
        try:
            self._logs.make_folder()
            removed, last = self._remove_some(status, until, after)
        except StoreLocked:
            if self._patient:
                raise
            return after
        except OSError as error:
            self._logs.note(self._folder, error)
            return None
        if removed:
            self._removed[status] += removed
        return last

    def _remove_some(
        self, status: JobStatus, until: int, after: pruning.Due
    ) -> tuple[int, pruning.Due | None]:
        """How many, and the last one that was tried."""
        removed, last = 0, None
        over = self._clock.monotonic() + SLICE
        with self._store.write(patient=self._patient) as tx:
            for job in pruning.due(tx, status=status, until=until, after=after, limit=_BATCH):
                last = job
                if self._logs.put_aside(job.id):
                    removed += pruning.remove(tx, job, status=status, until=until)
                if self._clock.monotonic() >= over:
                    break
            if removed:
                self._logs.make_sure()
        return removed, last

    def _tried(self, step: Callable[[], bool]) -> bool:
        """Whether there is more to do."""
        try:
            return step()
        except StoreLocked:
            if self._patient:
                raise
            return True

    def _forget_supervisors(self) -> bool:
        until = self._clock.now() - _SUPERVISORS_KEPT_FOR
        with self._store.read() as tx:
            old = pruning.old_supervisors(tx, until=until, enough=_SUPERVISORS_KEPT, limit=_BATCH)
        if old:
            with self._store.write(patient=self._patient) as tx:
                for uuid in old:
                    pruning.forget_supervisor(tx, uuid)
        return bool(old)

    def _give_back(self) -> bool:
        """Whether there is more to give back."""
        with self._store.read() as tx:
            free = pruning.free_pages(tx)
        if free <= _PAGES_LEFT:
            return False
        over = self._clock.monotonic() + SLICE
        with self._store.write(patient=self._patient) as tx:
            while free > _PAGES_LEFT and self._clock.monotonic() < over:
                pruning.give_back(tx, _PAGES)
                free -= _PAGES
        return free > _PAGES_LEFT


def survey(store: Store, logs: Path, keep: Keep, clock: Clock) -> Pruned:
    """What a pass would remove now. Nothing is changed."""
    found: Counter[JobStatus] = Counter()
    log_bytes = 0
    for status, until in _limits(keep, clock.now()).items():
        after = pruning.START
        while True:
            with store.read() as tx:
                some = pruning.due(tx, status=status, until=until, after=after, limit=_LOOK)
            if not some:
                break
            found[status] += len(some)
            log_bytes += sum(size_of(logs, job.id) for job in some)
            after = some[-1]
    return Pruned(dict(found), log_bytes, None)


def _limits(keep: Keep, now: int) -> Mapping[JobStatus, int]:
    """What ended until then is removed; a status that is kept for ever is left out."""
    times = {
        JobStatus.COMPLETED: keep.completed,
        JobStatus.FAILED: keep.failed,
        JobStatus.CANCELLED: keep.cancelled,
    }
    return {status: now - int(1000 * time) for status, time in times.items() if not math.isinf(time)}
