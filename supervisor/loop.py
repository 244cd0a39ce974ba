"""The supervisor's loop: one thread, no fork, the only writer of outcomes."""

from contextlib import suppress

from supervisor import claiming, recording, reloading, terminating, wakeup
from supervisor.errors import StoreDamaged, StoreLocked, StoreUnavailable
from supervisor.journal import Event
from supervisor.owner import Owner
from supervisor.retention import Retention
from supervisor.stopping import Stopping
from supervisor.store import Store
from supervisor.supervision import Entry, Supervision
from supervisor.tidying import Tidying

_LONGEST_PAUSE = 5.0
_PROGRESS_PAUSE = 0.5
"""Seconds between two records of progress, however much is reported."""


class Loop:
    """Turns until a stop signal has been obeyed."""

    def __init__(
        self, s: Supervision, store: Store, signals: wakeup.Signals, wake_socket: wakeup.WakeSocket | None
    ) -> None:
        self._s = s
        self._store = store
        self._signals = signals
        self._wake_socket = wake_socket
        self._owner = Owner()
        self._stopping = Stopping()
        self._tidying = Tidying()
        self._retention = Retention(s.clock)
        self._nudged = True
        self._checkpoints = False
        self._tick_at = 0.0
        self._seen: int | None = None
        """The version of the database at our last transaction."""
        self._progress_at = 0.0
        self._retry_at = 0.0
        self._retry_pause = 0.0
        self._database_failed = False

    def run(self) -> None:
        while not self._stopping.over:
            self._wait()
            self.tick()
        self._stopping.leave(self._s)

    def tick(self) -> None:
        """Everything that a supervisor does, in the order in which it matters."""
        s = self._s
        s.keeping.tend(s)
        if s.front is not None:
            s.front.tend(s)
        reloading.step(s, self._signals)
        self._stopping.step(s, self._signals.arrived)
        terminating.terminate_overdue(s)
        self._pass_over_silence()
        if self._something_to_write():
            self._write()
        s.keeping.keep_spares(s)
        self._prune()
        s.notify.step(s)

    def _write(self) -> None:
        """Outcomes, requests, recovery, claims and heartbeat: one transaction, so one commit a tick."""
        s = self._s
        try:
            if self._database_failed:
                # A connection that failed may hold what the disk does not have.
                self._store.reopen()
            with self._store.write() as tx:
                seen = self._store.data_version()  # in here: of what others commit afterwards we are to hear
                entry = Entry(tx)
                self._owner.beat(s, entry)
                recording.reconcile(s, entry)
                recording.record_outcomes(s, entry)
                self._record_progress(entry)
                terminating.hear_requests(s, entry)
                s.recovery.step(s, entry)
                self._tidying.step(s, entry)
                claiming.claim(s, entry)
                s.notify.count(s, entry)
                self._stopping.deregister(s, self._owner, entry)
        except StoreUnavailable as error:
            self._wait_for_database(error)
            return
        except OSError as error:
            self._take_again(error)
            return
        except MemoryError:  # nothing has taken effect: it is as if the database had no room
            self._wait_for_database(StoreUnavailable("the supervisor has no memory left to record anything"))
            return
        self._seen = seen
        self._settle(entry)

    def _pass_over_silence(self) -> None:
        """A tick in which nothing is due and nobody else has changed the database takes no transaction."""
        s, now = self._s, self._s.clock.monotonic()
        due = min(self._owner.due(), s.recovery.due(), s.due_at)
        if self._tick_at <= now < due and s.ready and not (s.draining or s.uncertain or self._retry_pause):
            with suppress(StoreUnavailable):  # the transaction will tell
                if self._store.file_is_ours() and self._store.data_version() == self._seen:
                    self._tick_at = now + s.settings.tick

    def _prune(self) -> None:
        """A transaction of its own: nothing that has to be written waits for it, or fails with it."""
        if self._retry_pause:
            return
        try:
            self._retention.step(self._s, self._store, busy=self._something_to_write())
        except StoreUnavailable as error:
            self._wait_for_database(error)

    def _settle(self, entry: Entry) -> None:
        """It is committed: now what depends on it may happen."""
        s = self._s
        self._nudged = False
        self._tick_at = s.clock.monotonic() + s.settings.tick
        if self._retry_pause:
            self._retry_pause = 0.0
        if self._database_failed:
            self._database_failed = False
            s.journal.say(Event.DATABASE_BACK)
        for effect in entry.effects:
            effect()
        if self._wake_socket is not None:
            self._wake_socket.renew()
        if not self._checkpoints:
            # Whoever had this duty may have died since we asked last. Where that cannot be seen now, later.
            with suppress(StoreUnavailable):
                self._checkpoints = self._store.try_become_checkpointer()
        if s.recovery.complete and s.keeping.ready and not s.ready:
            s.ready = self._nudged = True
            s.journal.say(Event.SUPERVISOR_READY, types=len(s.job_types.types))

    def _something_to_write(self) -> bool:
        s = self._s
        now = s.clock.monotonic()
        if now < self._retry_at:
            return False
        return (
            self._nudged
            or now >= min(self._tick_at, s.due_at)
            or s.recovery.has_news()
            or recording.outcomes_wait(s)
            or (s.keeping.ready and not s.ready and s.recovery.due() <= now)
            or (s.draining and not s.children.with_jobs())
            or (s.wanted > 0 and bool(s.children.idle()))
            or (now >= self._progress_at and any(child.progress for child in s.children.running()))
        )

    def _record_progress(self, entry: Entry) -> None:
        now = self._s.clock.monotonic()
        if now >= self._progress_at:
            recording.record_progress(self._s, entry)
            self._progress_at = now + _PROGRESS_PAUSE

    def _wait_for_database(self, error: StoreUnavailable) -> None:
        """The jobs run on, their ends wait in memory, and nothing new is claimed.

        Raises StoreDamaged where nothing has begun yet: there is nothing to wait for.
        """
        if isinstance(error, StoreDamaged) and not self._s.ready:
            raise error
        self._s.uncertain = self._database_failed = True
        if isinstance(error, StoreLocked) and self._s.front is not None:
            self._s.front.let_go()
        self._pause(Event.DATABASE_UNAVAILABLE, str(error))

    def _take_again(self, error: OSError) -> None:
        """No descriptor was left to look at a process with, or no memory: nothing of this turn is on disk.

        Whatever it is, it must not end the supervisor, and must not be taken for an answer.
        """
        self._pause(Event.TURN_FAILED, str(error))

    def _pause(self, event: Event, why: str) -> None:
        s = self._s
        self._retry_pause = min(_LONGEST_PAUSE, max(0.1, self._retry_pause * 2))
        self._retry_at = s.clock.monotonic() + self._retry_pause
        waiting = sum(child.end is not None for child in s.children.with_jobs())
        s.journal.say(event, why=why, pause=self._retry_pause, waiting=waiting)

    def _wait(self) -> None:
        sources: list[wakeup.Readable] = [self._signals]
        if self._wake_socket is not None:
            sources.append(self._wake_socket)
        if self._s.front is not None and self._s.front.process is not None:
            sources.append(self._s.front.process)
        links = self._s.keeping.links
        writing = [link for link in links if link.has_unsent]
        sources += [link for link in links if link not in writing]
        ready = wakeup.wait(sources, writing, self._until_next())
        if ready is None or self._signals.fileno() in ready:
            self._signals.drain()
        for link in links:
            link.flush()
        if (wake := self._wake_socket) is not None and (ready is None or wake.fileno() in ready):
            self._nudged = wake.drain() or self._nudged

    def _until_next(self) -> float:
        """Seconds until something is due without an event."""
        s = self._s
        if self._something_to_write():
            return 0.0
        due = [self._retry_at] if self._retry_pause else [self._tick_at, s.due_at, self._retention.due(s)]
        if not self._retry_pause and any(child.progress for child in s.children.running()):
            due.append(self._progress_at)
        due += [s.keeping.due(s), self._stopping.due(), s.notify.due()]
        if s.front is not None:
            due.append(s.front.due())
        due += [child.overdue_at for child in s.children.running() if not child.terminating]
        return min(due) - s.clock.monotonic()
