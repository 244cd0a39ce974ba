"""The supervisor's side of the keepers: start them, hear them, replace them, keep spares in one.

One serves: only it starts children. After a reload another one is started; once that has imported the code,
it serves, and the one before retires: it keeps its jobs until the last has ended, and leaves.
"""

from collections.abc import Callable
from functools import partial

from supervisor.children import Child
from supervisor.hearing import hear
from supervisor.jobtypes.records import JobTypes
from supervisor.journal import Event
from supervisor.keeper import Keeper
from supervisor.keeper_link import KeeperLink
from supervisor.lifecycle import Isolation
from supervisor.supervision import Supervision
from workers.identity import Identity
from workers.trees import Dead, adopted

_LONGEST_PAUSE = 30.0
_COMING_AT_ONCE = 32
"""Children asked for and not started yet: a question behind thousands would be answered too late."""


class Keeping:
    """The keepers that live, and what the dead ones left."""

    def __init__(self, start: Callable[[int], KeeperLink]) -> None:
        self._start_keeper = start
        self._keepers: list[Keeper] = []
        self._serving: Keeper | None = None
        self._coming: Keeper | None = None
        """Started, and not ready yet."""
        self._number = 0
        self._start_at = 0.0
        self._deaths_in_a_row = 0
        self._spare_at = 0.0
        self.isolation: Isolation | None = None
        """By what the keeper that was ready last holds the processes of a job together."""
        self._spare_pause = 0.0
        self._unswept: dict[int, tuple[str, list[Identity]]] = {}
        """Dead keepers by number: their cookie, and the children they had."""
        self._adopting = False
        """One has left: what it had removing folders is ours to collect."""

    @property
    def cookie(self) -> str:
        """Of the one that serves: only its children are given jobs."""
        assert self._serving is not None
        return self._serving.link.cookie

    @property
    def ready(self) -> bool:
        return self._serving is not None

    @property
    def link(self) -> KeeperLink | None:
        """To the one that serves, or else to the one that will."""
        keeper = self._serving or self._coming
        return None if keeper is None else keeper.link

    @property
    def links(self) -> list[KeeperLink]:
        """To all that can be heard."""
        return [keeper.link for keeper in self._keepers if not keeper.leaving]

    def link_of(self, child: Child) -> KeeperLink:
        return next(keeper.link for keeper in self._keepers if keeper.number == child.keeper)

    def is_swept(self, number: int) -> bool:
        """True once nothing that a dead keeper held is running."""
        return number not in self._unswept

    def serves(self, job_types: JobTypes) -> bool:
        """Whether new children have the code of these."""
        return self._serving is not None and self._serving.job_types is job_types

    # Their lives

    def tend(self, s: Supervision) -> None:
        """Hear them; notice a death or a silence; start one where one is wanted; see off those that leave."""
        now = s.clock.monotonic()
        if self._coming is None and self._wanted(s) and now >= self._start_at:
            self._start(s, now)
        for keeper in list(self._keepers):
            if keeper.leaving:
                self._see_off(s, keeper, now)
            else:
                self._tend(s, keeper, now)
        if self._adopting:
            self._adopting = self._strays(s) != []

    def due(self, s: Supervision) -> float:
        """When they are to be looked at without an event: monotonic seconds."""
        return self._start_at if self._coming is None and self._wanted(s) else float("inf")

    def renew(self, s: Supervision) -> None:
        """The job types have been read again: one is to come that has imported their code."""
        self._deaths_in_a_row, self._start_at = 0, s.clock.monotonic()
        if self._coming is not None:
            self._coming.leave(s.clock.monotonic())
            self._coming = None

    def take_over(self, s: Supervision, keeper: Keeper) -> None:
        """It is ready: from now on it serves."""
        keeper.serve(s.clock.monotonic())
        before, self._serving, self._coming = self._serving, keeper, None
        if before is not None:
            self._retire(s, before)
        for number in self._unswept:
            self._sweep(s, number)

    def _wanted(self, s: Supervision) -> bool:
        if self._serving is None:
            return True
        return s.coming is not None and not self.serves(s.coming) and not s.draining

    def _tend(self, s: Supervision, keeper: Keeper, now: float) -> None:
        # Asked first: all that a dead one said is there to be heard, and nothing is given to its children any
        # more. The end of its stream can come later: a child that was just being forked holds it open.
        dead = keeper.link.reaped()
        while frames := keeper.link.receive():
            for frame in frames:
                hear(s, keeper, frame)
            if not dead:
                break
        keeper.watch(s, now)
        if dead or keeper.link.lost:
            self._bury(s, keeper, now)
        elif keeper.retiring and not any(child.keeper == keeper.number for child in s.children.running()):
            keeper.leave(now)

    def _start(self, s: Supervision, now: float) -> None:
        self._number += 1
        try:
            link = self._start_keeper(self._number)
        except OSError as error:
            self._deaths_in_a_row += 1
            self._start_at = now + self._pause()
            s.journal.say(Event.CHILD_NOT_STARTED, why=f"keeper: {error.strerror}", pause=self._pause())
            return
        s.journal.say(Event.KEEPER_STARTED, number=self._number, pid=link.pid)
        job_types = s.coming or s.job_types
        self._coming = Keeper(link, job_types, now)
        self._keepers.append(self._coming)
        # Two deaths in a row may be what a preloaded module does to it: then without.
        targets = _preloadable(job_types) if self._deaths_in_a_row < 2 else []
        link.preload(targets, [str(path) for path in job_types.import_paths])

    def _retire(self, s: Supervision, keeper: Keeper) -> None:
        """It starts nothing more. What it was asked to sweep is asked of the one that serves."""
        keeper.retiring = True
        for child in s.children.all():
            if child.keeper == keeper.number and child.job is None:
                keeper.link.dismiss(child.number)
                s.children.remove(child)
        s.recovery.lost_keeper()
        running = sum(child.keeper == keeper.number for child in s.children.running())
        s.journal.say(Event.KEEPER_RETIRES, number=keeper.number, running=running)

    def _see_off(self, s: Supervision, keeper: Keeper, now: float) -> None:
        if keeper.has_left(now):
            self._keepers.remove(keeper)
            self._adopting = True
            s.journal.say(Event.KEEPER_LEFT, number=keeper.number)

    def _bury(self, s: Supervision, keeper: Keeper, now: float) -> None:
        """It is dead, or deaf. The kernel kills its children; what they left is ours to sweep."""
        link = keeper.link
        link.kill()
        if not link.wait(1.0):
            return  # in an uninterruptible sleep: the next tick looks again
        link.close()
        self._keepers.remove(keeper)
        running = self._orphan(s, keeper)
        if not keeper.retiring:
            self._replace(s, keeper, now)
        pause = max(0.0, self._start_at - now)
        follow = "another one serves" if self.ready else f"a new one starts in {pause:g} s"
        s.journal.say(Event.KEEPER_DIED, number=link.number, running=running, pause=pause, follow=follow)
        if self.ready:
            self._sweep(s, keeper.number)

    def _orphan(self, s: Supervision, keeper: Keeper) -> int:
        """Its children have no keeper any more: how many of them had a job."""
        mine = [child for child in s.children.all() if child.keeper == keeper.number and child.end is None]
        identities = [child.identity for child in mine if child.identity]
        self._unswept[keeper.number] = (keeper.link.cookie, identities)
        for child in mine:
            child.keeper_died = True
            if child.job is None:
                s.children.remove(child)
        return sum(child.job is not None for child in mine)

    def _replace(self, s: Supervision, keeper: Keeper, now: float) -> None:
        if keeper is self._coming:
            self._coming = None
        else:
            self._serving = None
            s.recovery.lost_keeper()
        self._deaths_in_a_row = 1 if keeper.has_settled(now) else self._deaths_in_a_row + 1
        self._start_at = now + self._pause()

    def _pause(self) -> float:
        return 0.0 if self._deaths_in_a_row < 2 else min(_LONGEST_PAUSE, 0.1 * 2**self._deaths_in_a_row)

    # What they say

    def can_start(self) -> None:
        self._spare_pause = 0.0

    def cannot_start(self, s: Supervision) -> float:
        """Seconds until it is tried again."""
        self._spare_pause = min(5.0, max(0.1, self._spare_pause * 2))
        self._spare_at = s.clock.monotonic() + self._spare_pause
        return self._spare_pause

    def swept(self, s: Supervision, cookie: str) -> bool:
        """Nothing with this cookie is running. False where it is not that of a dead keeper of ours."""
        for number, (its, _) in list(self._unswept.items()):
            if its == cookie:
                # What a killed process had started may have come to us meanwhile.
                if self._strays(s) != []:
                    self._sweep(s, number)
                else:
                    del self._unswept[number]
                return True
        return False

    # What they are asked

    def _sweep(self, s: Supervision, number: int) -> None:
        """No patience: the keeper that knew these processes is dead."""
        assert self._serving is not None
        cookie, identities = self._unswept[number]
        strays = [_wire(stray) for stray in self._strays(s) or []]
        self._serving.link.sweep(cookie, [_wire(identity) for identity in identities], strays, 0.0)

    def _strays(self, s: Supervision) -> list[Identity] | None:
        """Processes that came to us, as their subreaper, when a keeper ended.

        None where there is no descriptor left to look with: nobody may take that for none.
        """
        known = {keeper.link.pid for keeper in self._keepers}
        if s.front is not None and s.front.process is not None:
            known.add(s.front.process.pid)
        try:
            return adopted(known, partial(_charge, s))
        except OSError:
            return None

    def keep_spares(self, s: Supervision) -> None:
        """As many children at their gates as there are jobs that could start, and the spares."""
        if self._serving is None or s.draining or s.clock.monotonic() < self._spare_at:
            return
        coming = len(s.children.starting())
        missing = s.settings.spares + s.wanted - len(s.children.idle()) - coming
        for _ in range(min(missing, _COMING_AT_ONCE - coming)):
            self._serving.link.start(s.children.add(self._serving.number).number)

    def sweep(self, owner: str, children: list[Identity], patience: float, silent: float | None) -> None:
        """Have everything ended that a dead supervisor left; `Recovery.swept` is told.

        `silent`: seconds since it was last known to live; None where that is not known.
        """
        assert self._serving is not None
        self._serving.link.sweep(owner, [_wire(child) for child in children], [], patience, silent)

    def discard(self, directory: str) -> None:
        """Have a private working directory removed that outlived its supervisor."""
        if self._serving is not None:
            self._serving.link.discard(directory)

    def hang_up(self) -> list[KeeperLink]:
        """At the end: the keepers end their spares and themselves."""
        for link in self.links:
            link.close()
        return [keeper.link for keeper in self._keepers]


def _preloadable(job_types: JobTypes) -> list[str]:
    """Handlers to import beforehand: those that would read the same environment then as later."""
    types = job_types.types.values()
    plain = [t for t in types if t.handler and t.preload and not t.env.set and not t.env.inherit]
    return list(dict.fromkeys(t.handler for t in plain if t.handler))


def _charge(s: Supervision, dead: Dead) -> None:
    """What a dead keeper did not reap has used for the job in whose session it was."""
    for child in s.children.with_jobs():
        if child.keeper_died and child.owns(dead):
            child.bury(dead)


def _wire(identity: Identity) -> list[int | None]:
    return [identity.pid, identity.start_ticks, identity.pidfd_inode]
