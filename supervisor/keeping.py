"""The supervisor's side of the keeper: start it, hear it, replace it, keep spares in it."""

from collections.abc import Callable
from typing import Any, ClassVar

from supervisor.children import Child
from supervisor.journal import Event
from supervisor.keeper_link import KeeperLink
from supervisor.outcome import End
from supervisor.supervision import Supervision
from workers.frames import Frame
from workers.identity import Identity
from workers.trees import adopted

_READY_WITHIN = 90.0
"""Seconds a keeper may take to preload: every trial import is limited to ten."""
_PING_EVERY = 5.0
_PINGS = 6
"""Questions in a row, each in a turn of its own, after whose silence a keeper is replaced. Counted and
not timed: when the whole service was stopped for a while, a keeper must have had time to answer."""
_SETTLED = 10.0
"""Seconds after which a keeper's death is not taken for one of a row."""
_LONGEST_PAUSE = 30.0


class Keeping:
    """One keeper at a time, and what the dead ones left."""

    def __init__(self, start: Callable[[int], KeeperLink]) -> None:
        self._start_keeper = start
        self._link: KeeperLink | None = None
        self._number = 0
        self._ready = False
        self._began = 0.0
        self._start_at = 0.0
        self._deaths_in_a_row = 0
        self._spare_at = 0.0
        self._spare_pause = 0.0
        self._ping_at = 0.0
        self._unanswered = 0
        self._unswept: dict[int, tuple[str, list[Identity]]] = {}
        """Dead keepers by number: their cookie, and the children they had."""

    @property
    def cookie(self) -> str:
        assert self._link is not None
        return self._link.cookie

    @property
    def ready(self) -> bool:
        return self._link is not None and self._ready

    @property
    def link(self) -> KeeperLink | None:
        return self._link

    def link_of(self, child: Child) -> KeeperLink:
        assert self._link is not None
        assert child.keeper == self._link.number
        return self._link

    def is_swept(self, number: int) -> bool:
        """True once nothing that a dead keeper held is running."""
        return number not in self._unswept

    # Its life

    def tend(self, s: Supervision) -> None:
        """Hear it; notice its death or its silence; start one where there is none."""
        now = s.clock.monotonic()
        if self._link is None:
            if now >= self._start_at:
                self._start(s, now)
            return
        # Asked first: all that a dead one said is there to be heard, and nothing is given to its children any
        # more. The end of its stream can come later: a child that was just being forked holds it open.
        dead = self._link.reaped()
        while frames := self._link.receive():
            for frame in frames:
                self._HEAR[frame["op"]](self, s, frame)
            if not dead:
                break
        if self._ready:
            self._ping(s, self._link, now)
        elif now - self._began > _READY_WITHIN:
            s.journal.say(Event.KEEPER_SLOW, number=self._number, seconds=_READY_WITHIN)
            self._link.kill()
        if dead or self._link.lost:
            self._bury(s, self._link, now)

    def due(self) -> float:
        """When it is to be looked at without an event: monotonic seconds."""
        return self._start_at if self._link is None else self._ping_at if self._ready else float("inf")

    def _ping(self, s: Supervision, link: KeeperLink, now: float) -> None:
        """A keeper that is stopped or stuck can neither start nor end anything: it is replaced."""
        if now < self._ping_at:
            return
        self._ping_at = now + _PING_EVERY
        if self._unanswered >= _PINGS:
            s.journal.say(Event.KEEPER_SLOW, number=self._number, seconds=_PINGS * _PING_EVERY)
            link.kill()
            return
        self._unanswered += 1
        link.ping()

    def _hear_pong(self, s: Supervision, frame: Frame) -> None:
        self._unanswered = 0

    def _start(self, s: Supervision, now: float) -> None:
        self._number += 1
        self._ready = False
        self._unanswered = 0
        self._began = now
        try:
            self._link = self._start_keeper(self._number)
        except OSError as error:
            self._deaths_in_a_row += 1
            self._start_at = now + self._pause()
            s.journal.say(Event.CHILD_NOT_STARTED, why=f"keeper: {error.strerror}", pause=self._pause())
            return
        s.journal.say(Event.KEEPER_STARTED, number=self._number, pid=self._link.pid)
        # Two deaths in a row may be what a preloaded module does to it: then without.
        targets = _preloadable(s) if self._deaths_in_a_row < 2 else []
        self._link.preload(targets, [str(path) for path in s.job_types.import_paths])

    def _bury(self, s: Supervision, link: KeeperLink, now: float) -> None:
        """It is dead, or deaf. The kernel kills its children; what they left is ours to sweep."""
        link.kill()
        if not link.wait(1.0):
            return  # in an uninterruptible sleep: the next tick looks again
        link.close()
        mine = [child for child in s.children.all() if child.keeper == link.number and child.end is None]
        self._unswept[link.number] = (link.cookie, [child.identity for child in mine if child.identity])
        running = 0
        for child in mine:
            child.keeper_died = True
            if child.job is None:
                s.children.remove(child)
            else:
                running += 1
        self._link = None
        s.recovery.lost_keeper()
        self._deaths_in_a_row = self._deaths_in_a_row + 1 if now - self._began < _SETTLED else 1
        self._start_at = now + self._pause()
        s.journal.say(Event.KEEPER_DIED, number=link.number, running=running, pause=self._pause())

    def _pause(self) -> float:
        return 0.0 if self._deaths_in_a_row < 2 else min(_LONGEST_PAUSE, 0.1 * 2**self._deaths_in_a_row)

    # What it says

    def _hear_ready(self, s: Supervision, frame: Frame) -> None:
        self._ready = True
        s.journal.say(Event.KEEPER_READY, number=self._number, preloaded=len(frame["preloaded"]))
        for handler, why in frame["refused"].items():
            s.journal.say(Event.HANDLER_NOT_PRELOADED, handler=handler, why=why)
        for number in self._unswept:
            self._sweep(s, number)

    def _hear_started(self, s: Supervision, frame: Frame) -> None:
        self._spare_pause = 0.0
        child = s.children.get(frame["child"])
        if child is not None:
            child.identity = Identity(frame["pid"], frame["ticks"], frame["inode"])

    def _hear_start_failed(self, s: Supervision, frame: Frame) -> None:
        child = s.children.get(frame["child"])
        if child is not None:
            s.children.remove(child)
        self._spare_pause = min(5.0, max(0.1, self._spare_pause * 2))
        self._spare_at = s.clock.monotonic() + self._spare_pause
        s.journal.say(Event.CHILD_NOT_STARTED, why=frame["message"], pause=self._spare_pause)

    def _hear_progress(self, s: Supervision, frame: Frame) -> None:
        child = s.children.get(frame["child"])
        if child is not None:
            child.progress = _progress(frame)

    def _hear_ended(self, s: Supervision, frame: Frame) -> None:
        child = s.children.get(frame["child"])
        if child is None:
            return
        child.end = End.from_frame(frame)
        if child.job is None:
            s.children.remove(child)

    def _hear_unkillable(self, s: Supervision, frame: Frame) -> None:
        child = s.children.get(frame["child"])
        if child is not None and child.job is not None:
            s.journal.say(Event.JOB_UNKILLABLE, type=child.job.type, job=child.job.id, pids=frame["pids"])

    def _hear_untrimmed(self, s: Supervision, frame: Frame) -> None:
        s.journal.say(Event.LOGS_NOT_LIMITED, why=frame["why"])

    def _hear_swept(self, s: Supervision, frame: Frame) -> None:
        for number, (cookie, _) in list(self._unswept.items()):
            if cookie == frame["owner"]:
                # What a killed process had started may have come to us meanwhile.
                if self._strays(s):
                    self._sweep(s, number)
                else:
                    del self._unswept[number]
                return
        s.recovery.swept(frame["owner"], frame["killed"])

    _HEAR: ClassVar[dict[str, Callable[["Keeping", Supervision, Frame], None]]] = {
        "ready": _hear_ready,
        "pong": _hear_pong,
        "started": _hear_started,
        "start_failed": _hear_start_failed,
        "progress": _hear_progress,
        "ended": _hear_ended,
        "unkillable": _hear_unkillable,
        "untrimmed": _hear_untrimmed,
        "swept": _hear_swept,
    }

    # What it is asked

    def _sweep(self, s: Supervision, number: int) -> None:
        """No patience: the keeper that knew these processes is dead."""
        assert self._link is not None
        cookie, identities = self._unswept[number]
        self._link.sweep(cookie, [_wire(i) for i in identities], [_wire(i) for i in self._strays(s)], 0.0)

    def _strays(self, s: Supervision) -> list[Identity]:
        """Processes that came to us, as their subreaper, when a keeper died."""
        front = s.front.process if s.front else None
        return adopted({process.pid for process in (self._link, front) if process is not None})

    def keep_spares(self, s: Supervision) -> None:
        """As many children at their gates as there are jobs that could start, and the spares."""
        if self._link is None or not self._ready or s.draining or s.clock.monotonic() < self._spare_at:
            return
        missing = s.settings.spares + s.wanted - len(s.children.idle()) - len(s.children.starting())
        for _ in range(missing):
            self._link.start(s.children.add(self._link.number).number)

    def sweep(self, owner: str, children: list[Identity], patience: float, silent: float | None) -> None:
        """Have everything ended that a dead supervisor left; `Recovery.swept` is told.

        `silent`: seconds since it was last known to live; None where that is not known.
        """
        assert self._link is not None
        self._link.sweep(owner, [_wire(child) for child in children], [], patience, silent)

    def discard(self, directory: str) -> None:
        """Have a private working directory removed that outlived its supervisor."""
        if self._link is not None:
            self._link.discard(directory)

    def hang_up(self) -> KeeperLink | None:
        """At the end: the keeper ends its spares and itself."""
        if self._link is not None:
            self._link.close()
        return self._link


def _preloadable(s: Supervision) -> list[str]:
    """Handlers to import beforehand: those that would read the same environment then as later."""
    types = s.job_types.types.values()
    plain = [t for t in types if t.handler and t.preload and not t.env.set and not t.env.inherit]
    return list(dict.fromkeys(t.handler for t in plain if t.handler))


def _progress(frame: Frame) -> dict[str, Any] | None:
    """Written by a process that runs the job's code: anything may stand in it."""
    fraction, message = frame.get("fraction"), frame.get("message")
    if not isinstance(fraction, int | float) or not 0 <= fraction <= 1:
        return None
    text = message.encode("utf-8", "replace").decode() if isinstance(message, str) else None
    return {"fraction": float(fraction), "message": text}


def _wire(identity: Identity) -> list[int | None]:
    return [identity.pid, identity.start_ticks, identity.pidfd_inode]
