"""One keeper as the supervisor sees it: preparing, serving, retiring, leaving."""

from supervisor.jobtypes.records import JobTypes
from supervisor.journal import Event
from supervisor.keeper_link import KeeperLink
from supervisor.pings import PATIENCE, Pings
from supervisor.supervision import Supervision

_READY_WITHIN = 90.0
"""Seconds a keeper may take to preload: every trial import is limited to ten."""
_SETTLED = 10.0
"""Seconds of service after which a keeper's death is not taken for one of a row."""
_LEFT_WITHIN = 90.0
"""Seconds after which one that was told to leave is killed: it may be preloading still."""


class Keeper:
    """Its link, and how far it is."""

    def __init__(self, link: KeeperLink, job_types: JobTypes, now: float) -> None:
        self.link = link
        self.number = link.number
        self.job_types = job_types
        """Those whose code it has imported, or is importing."""
        self.began = now
        self.ready = False
        self._ready_at = now
        self.retiring = False
        """It starts nothing more, and leaves when its last job has ended."""
        self._left_at: float | None = None
        self._pings = Pings()
        self._given_up = False

    @property
    def leaving(self) -> bool:
        """We have hung up: it has nothing to do, and says nothing more."""
        return self._left_at is not None

    def serve(self, now: float) -> None:
        """It has said that it is ready."""
        self.ready, self._ready_at = True, now

    def has_settled(self, now: float) -> bool:
        """Not while it prepares, however long that takes: what it imports may be what ends it."""
        return self.ready and now - self._ready_at >= _SETTLED

    def watch(self, s: Supervision, now: float) -> None:
        """One that is stopped or stuck can neither start nor end anything: it is killed, and then buried."""
        if self.ready:
            if self._pings.in_vain(now, self.link.ping):
                self._give_up(s, PATIENCE)
        elif now - self.began > _READY_WITHIN:
            self._give_up(s, _READY_WITHIN)

    def answered(self) -> None:
        self._pings.answered()

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

    def _give_up(self, s: Supervision, seconds: float) -> None:
        if self._given_up:
            return  # its end is on the way
        self._given_up = True
        s.journal.say(Event.KEEPER_SLOW, number=self.number, seconds=seconds)
        self.link.kill()
