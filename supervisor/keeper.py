"""One keeper as the supervisor sees it: preparing, serving, retiring, leaving."""

from supervisor.jobtypes.records import JobTypes
from supervisor.journal import Event
from supervisor.keeper_link import KeeperLink
from supervisor.supervision import Supervision

_READY_WITHIN = 90.0
"""Seconds a keeper may take to preload: every trial import is limited to ten."""
_LEFT_WITHIN = 90.0
"""Seconds after which one that was told to leave is killed: it may be preloading still."""
_PING_EVERY = 5.0
"""Seconds; in the next turn then. None is made for it: while nothing happens there is one each second."""
_PINGS = 6
"""Questions in a row, each in a turn of its own, after whose silence a keeper is replaced. Counted and
not timed: when the whole service was stopped for a while, a keeper must have had time to answer."""


class Keeper:
    """Its link, and how far it is."""

    def __init__(self, link: KeeperLink, job_types: JobTypes, now: float) -> None:
        self.link = link
        self.number = link.number
        self.job_types = job_types
        """Those whose code it has imported, or is importing."""
        self.began = now
        self.ready = False
        self.retiring = False
        """It starts nothing more, and leaves when its last job has ended."""
        self._left_at: float | None = None
        self._ping_at = 0.0
        self._unanswered = 0

    @property
    def leaving(self) -> bool:
        """We have hung up: it has nothing to do, and says nothing more."""
        return self._left_at is not None

    def watch(self, s: Supervision, now: float) -> None:
        """One that is stopped or stuck can neither start nor end anything: it is killed, and then buried."""
        if self.ready:
            self._ping(s, now)
        elif now - self.began > _READY_WITHIN:
            s.journal.say(Event.KEEPER_SLOW, number=self.number, seconds=_READY_WITHIN)
            self.link.kill()

    def answered(self) -> None:
        self._unanswered = 0

    def leave(self, now: float) -> None:
        self.link.close()
        self._left_at = now

    def has_left(self, now: float) -> bool:
        """True once its process is gone."""
        if self.link.reaped():
            return True
        if self._left_at is not None and now - self._left_at > _LEFT_WITHIN:
            self.link.kill()
        return False

    def _ping(self, s: Supervision, now: float) -> None:
        if now < self._ping_at:
            return
        self._ping_at = now + _PING_EVERY
        if self._unanswered >= _PINGS:
            s.journal.say(Event.KEEPER_SLOW, number=self.number, seconds=_PINGS * _PING_EVERY)
            self.link.kill()
            return
        self._unanswered += 1
        self.link.ping()
