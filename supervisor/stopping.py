"""Graceful stop: no new jobs, time for the running ones, then termination, then our own record."""

import time

from supervisor import lifeline, terminating
from supervisor.errors import JobsLeft, StoreUnavailable
from supervisor.journal import Event
from supervisor.owner import Owner
from supervisor.supervision import Entry, Supervision
from workers import subtree

_KEEPER_SECONDS = 10.0
_RECORDING_SECONDS = 30.0
"""After everything should have ended: how long to wait for a database that does not answer."""
_DEREGISTERING_SECONDS = 2.0
"""The same where only our own end is left to be recorded: the next start finds out by itself."""
_LOOKS = 50
"""At groups that are not empty yet, 10 ms apart: a process that was killed takes some to be gone."""


class Stopping:
    """The first signal drains; the second, or the end of the drain, terminates; the next ends the grace."""

    def __init__(self) -> None:
        self.over = False
        self._stage = 0
        self._heard = 0
        self._deadline = float("inf")
        self._give_up_at = float("inf")
        self._recorded = False

    def due(self) -> float:
        return min(self._deadline, self._give_up_at)

    def step(self, s: Supervision, signals: int) -> None:
        now = s.clock.monotonic()
        while self._heard < signals:
            self._heard += 1
            self._advance(s, now)
        if now >= self._deadline or (self._stage == 1 and s.uncertain and not s.children.running()):
            self._advance(s, now)  # there is nobody to have time: only the database is waited for
        if now >= self._give_up_at:
            self.over = True

    def deregister(self, s: Supervision, owner: Owner, entry: Entry) -> None:
        """With the last outcome on record, and not before, our own end is recorded too."""
        if s.draining and not s.children.with_jobs():
            owner.deregister(s, entry)
            entry.afterwards(self._end)

    def leave(self, s: Supervision) -> None:
        """Stop the http server; hang up on the keepers, which end their spares and themselves.

        Raises StoreUnavailable where the database did not take what had to be recorded; JobsLeft where it
        was not the database.
        """
        s.notify.leaving(s)
        if s.front is not None:
            s.front.stop()
        deadline = s.clock.monotonic() + _KEEPER_SECONDS
        lasting = [
            link for link in s.keeping.hang_up() if not link.wait(max(0.0, deadline - s.clock.monotonic()))
        ]
        for link in lasting:
            link.kill()
        _remove_groups(s.uuid)
        if self._recorded and not lasting:
            lifeline.remove(s.here.lifelines, s.uuid)
        s.journal.say(Event.SUPERVISOR_STOPPED)
        _tell_what_is_left(s)

    def _advance(self, s: Supervision, now: float) -> None:
        self._stage += 1
        self._deadline = float("inf")
        if self._stage == 1:
            s.draining = True
            self._deadline = now + s.settings.drain_timeout
            s.journal.say(Event.SUPERVISOR_DRAINING, seconds=s.settings.drain_timeout)
            return
        grace = max((c.job_type.grace for c in s.children.running() if c.job_type), default=0.0)
        patience = _RECORDING_SECONDS if s.children.with_jobs() else _DEREGISTERING_SECONDS
        self._give_up_at = now + grace + patience
        if running := len(s.children.running()):
            s.journal.say(Event.SUPERVISOR_TERMINATING, running=running)
        terminating.terminate_all(s, "shutdown", None if self._stage == 2 else 0.0)

    def _end(self) -> None:
        self.over = self._recorded = True


def _tell_what_is_left(s: Supervision) -> None:
    left = [
        child
        for child in s.children.with_jobs()
        if child.end is None and not (child.keeper_died and s.keeping.is_swept(child.keeper))
    ]
    unrecorded = len(s.children.with_jobs()) - len(left)
    pids = sorted(pid for child in left for pid in child.lasting)
    which = f" (pids {', '.join(map(str, pids))})" if pids else ""
    running = (
        f"{len(left)} jobs could not be ended, not even with SIGKILL{which}: look at the disk or network "
        "mount that they wait for; they keep their slots until they are gone, and then the next start will "
        "call them Failed, owner_died"
    )
    if unrecorded:
        raise StoreUnavailable(
            f"the database did not answer: that {unrecorded} jobs have ended is not on record, and the "
            "next start will call them Failed, owner_died" + (f"; {running}" if left else "")
        )
    if left:
        raise JobsLeft(running)


def _remove_groups(owner: str) -> None:
    """Of a keeper that was killed, where the next had no time for it; and of spares that are just dying."""
    for _ in range(_LOOKS):
        subtree.end(owner)
        if not subtree.left_of(owner):
            return
        time.sleep(0.01)
