"""Graceful stop: no new jobs, time for the running ones, then termination, then our own record."""

from supervisor import lifeline, terminating
from supervisor.journal import Event
from supervisor.owner import Owner
from supervisor.supervision import Entry, Supervision

_KEEPER_SECONDS = 10.0
_RECORDING_SECONDS = 30.0
"""After everything should have ended: how long to wait for a database that does not answer."""


class Stopping:
    """The first signal drains; the second ends the drain; the third ends the grace too."""

    def __init__(self) -> None:
        self.over = False
        self._heard = 0
        self._deadline = float("inf")
        self._give_up_at = float("inf")

    def due(self) -> float:
        return min(self._deadline, self._give_up_at)

    def step(self, s: Supervision, signals: int) -> None:
        now = s.clock.monotonic()
        if signals > self._heard:
            self._hear(s, signals, now)
        if now >= self._deadline:
            self._deadline = float("inf")
            grace = max((c.job_type.grace for c in s.children.running() if c.job_type), default=0.0)
            self._give_up_at = now + grace + _RECORDING_SECONDS
            terminating.terminate_all(s, "shutdown", 0.0 if signals > 2 else None)
        if now >= self._give_up_at:
            self.over = True

    def deregister(self, s: Supervision, owner: Owner, entry: Entry) -> None:
        """With the last outcome on record, and not before, our own end is recorded too."""
        if s.draining and not s.children.with_jobs():
            owner.deregister(s, entry)
            entry.afterwards(self._end)

    def leave(self, s: Supervision) -> None:
        """Hang up on the keeper, which ends its spares and itself."""
        link = s.keeping.hang_up()
        if link is not None and not link.wait(_KEEPER_SECONDS):
            link.kill()
        else:
            lifeline.remove(s.here.lifelines, s.uuid)
        s.journal.say(Event.SUPERVISOR_STOPPED)

    def _hear(self, s: Supervision, signals: int, now: float) -> None:
        if not s.draining:
            s.draining = True
            self._deadline = now + s.settings.drain_timeout
            s.journal.say(Event.SUPERVISOR_DRAINING, seconds=s.settings.drain_timeout)
        if signals > 1:
            self._deadline = now
            s.journal.say(Event.SUPERVISOR_HURRIED)
        self._heard = signals

    def _end(self) -> None:
        self.over = True
