"""What has been kept long enough is removed, in short steps between the turns that have work."""

from collections.abc import Iterator

from supervisor.answers import Pruned
from supervisor.clock import Clock
from supervisor.journal import Event
from supervisor.pruning import Pruning
from supervisor.steady import SteadyClock
from supervisor.store import Store
from supervisor.supervision import Supervision

_BETWEEN_PASSES = 60.0
"""Seconds. A pass that finds nothing is four small questions."""
_SHARE = 10
"""One part of so many of the time goes into it while there is much to remove."""
_SHORTEST_PAUSE = 0.02
_PATIENCE = 10.0
"""Seconds for which other work comes first: a service that is never idle has a disk, too."""


class Retention:
    """One pass after the other, for as long as the supervisor lives."""

    def __init__(self, clock: Clock) -> None:
        self._clock = SteadyClock(clock)
        self._held_back = False
        """Whether that has been said."""
        self._pruning: Pruning | None = None
        self._steps: Iterator[None] = iter(())
        self._due_at = 0.0
        self._told: str | None = None

    def due(self, s: Supervision) -> float:
        """When to take the next step, in monotonic seconds."""
        return self._due_at if s.ready and not s.draining else float("inf")

    def step(self, s: Supervision, store: Store, *, busy: bool) -> None:
        """A few milliseconds of it, where it is time; `busy`: there is other work to do.

        Raises StoreUnavailable.
        """
        began = s.clock.monotonic()
        if began < self.due(s) + (_PATIENCE if busy else 0.0):
            return
        if self._pruning is None:
            locations = s.settings.locations
            self._pruning = Pruning(store, locations.logs, s.settings.keep, self._clock, patient=False)
            self._tell_of_a_step(s)
            self._steps = iter(self._pruning)
        self._due_at = began + _BETWEEN_PASSES
        over = True  # after an error, too
        try:
            over = next(self._steps, self) is self
        finally:
            now = s.clock.monotonic()
            if over:
                self._tell(s, self._pruning.done)
                self._pruning = None
            else:
                self._due_at = now + max(_SHORTEST_PAUSE, (_SHARE - 1) * (now - began))

    def _tell_of_a_step(self, s: Supervision) -> None:
        seconds = self._clock.held_back
        if seconds and not self._held_back:
            s.journal.say(Event.CLOCK_SET_FORWARD, seconds=seconds)
        self._held_back = bool(seconds)

    def _tell(self, s: Supervision, done: Pruned) -> None:
        if done.jobs or done.log_bytes:
            words = [f"{number} {status}" for status, number in done.jobs.items()]
            s.journal.say(
                Event.JOBS_PRUNED, jobs=", ".join(words) or "no job", megabytes=done.log_bytes / 1e6
            )
        if done.problem is not None and done.problem != self._told:
            s.journal.say(Event.LOGS_NOT_REMOVED, why=done.problem)
        self._told = done.problem
