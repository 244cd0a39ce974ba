"""The keeper: launches children, passes on, reaps, sweeps, reports; and ends with its supervisor.

One thread, one loop, no database. It is the parent of every child (exact wait status), their
subreaper (nothing they start can leave), and what kills everything when the supervisor is gone.

A child is a subreaper itself, so whatever a live job starts stays below its child. A process that
is ours without being a child that we launched was therefore left by a job that has ended.
"""

import contextlib
import os
import selectors
import sys
import time
from collections.abc import Callable
from typing import Any

from workers import containment, kernel, unheard
from workers.breakdown import LastWords
from workers.broom import Broom
from workers.channel import Channel
from workers.frames import Frame
from workers.guard import guard_the_service, leave_keys_behind
from workers.holding import Holding
from workers.kept import Kept
from workers.launch import Launched
from workers.owner_sweep import OwnerSweeps
from workers.preload import TRIAL_SECONDS, preload
from workers.strays import Strays
from workers.subtree import ISOLATION, Subtree
from workers.trees import COOKIE
from workers.trimming import Trimming

_LOOK_AGAIN = 0.005
"""Seconds until a killed process is looked for again: it usually takes the kernel less."""
_LOOK_AGAIN_SLOWLY = 0.25
_TOO_MUCH_UNSENT = 1024 * 1024
"""Bytes waiting for the supervisor above which progress is held back: it may be stopped for minutes."""


class Keeper:
    """Everything this process knows; `serve` returns when the supervisor is gone and nothing is left.

    It raises what keeps it from ending the rest, as MemoryError.
    """

    def __init__(
        self, link: Channel, subtree: Subtree, last_words: LastWords, lifeline: int | None = None
    ) -> None:
        self._link = link
        self._last_words = last_words
        self._lifeline = lifeline
        """Where ends are written down that no supervisor hears."""
        self._subtree = subtree
        self._emptied: list[Holding] = []
        """Of children that have ended: groups that could not be removed at once."""
        self._children: dict[int, Kept] = {}
        self._sweeps = OwnerSweeps()
        self._strays = Strays()
        self._broom = Broom()
        self._trimming = Trimming(link.send)
        self._pause = _LOOK_AGAIN
        # Not epoll: its descriptor, copied into every fork, would keep dead registrations alive.
        self._selector = selectors.PollSelector()
        self._selector.register(link, selectors.EVENT_READ, self._hear_supervisor)
        self._orders: dict[str, Callable[..., None]] = {
            "ping": self._answer,
            "preload": self._preload,
            "start": self._start,
            "assign": self._assign,
            "dismiss": self._dismiss,
            "terminate": self._terminate,
            "sweep": self._sweep,
            "discard": self._broom.remove,
        }

    def serve(self) -> None:
        with self._last_words:  # whatever it was: ending is safe, all is killed and accounted for
            while not self._link.closed:
                self._turn()
        self._link.close()
        with contextlib.suppress(KeyError):
            self._selector.unregister(self._link)
        for kept in self._children.values():
            kept.abandon(time.monotonic())
        self._turn()
        while self._children or self._strays:
            self._turn()
        self._broom.leave()

    def _turn(self) -> None:
        """Hear, reap, kill what is due, sweep, report."""
        for key, _ in self._ready():
            key.data()
        now = time.monotonic()
        for kept in list(self._children.values()):
            self._tend(kept, now)
        with contextlib.suppress(OSError):  # nothing left to look with (ENFILE), so nothing is called gone
            self._see_to_the_ended(now)
            if self._link.closed and not self._children:
                self._strays.end(self._own(), now)
        for frame in self._sweeps.step(now):
            self._link.send(frame)
        self._trimming.look(now)
        self._broom.reap()
        self._watch_writers()

    def _ready(self) -> list[tuple[selectors.SelectorKey, int]]:
        timeout = self._timeout()
        try:
            return self._selector.select(timeout)
        except OSError:  # no memory for the kernel's own table: all that has a deadline is seen to meanwhile
            time.sleep(min(timeout, _LOOK_AGAIN_SLOWLY))
            return []

    def _timeout(self) -> float:
        """Until the next deadline. What no event tells, the end of a killed stranger, is looked for."""
        children = self._children.values()
        due = [kept.termination_due() for kept in children]
        due += self._sweeps.due()
        due.append(self._trimming.due())
        if self._can_hear:
            due += [kept.progress_due() for kept in children]
        if self._link.closed or any(kept.reaped for kept in children):
            self._pause = min(self._pause * 2, _LOOK_AGAIN_SLOWLY)
            due.append(time.monotonic() + self._pause)
        else:
            self._pause = _LOOK_AGAIN
        longest = 1.0 if self._broom.busy else 30.0
        return max(0.0, min([*(moment - time.monotonic() for moment in due), longest]))

    @property
    def _can_hear(self) -> bool:
        """Whether the supervisor reads what we send."""
        return self._link.unsent < _TOO_MUCH_UNSENT

    # What the supervisor asks for

    def _hear_supervisor(self) -> None:
        for order in self._link.receive():
            arguments = dict(order)
            self._orders[arguments.pop("op")](**arguments)

    def _answer(self) -> None:
        self._link.send({"op": "pong"})

    def _preload(self, targets: list[str], import_paths: list[str], limit: float = TRIAL_SECONDS) -> None:
        loaded, refused = preload(targets, import_paths, limit)
        containment.leave_signals_to_the_supervisor()  # the user's modules may have set some at import
        self._strays.end(self._own(), time.monotonic())
        self._strays.take_dead()  # what a trial left is no job's
        ready = {"op": "ready", "pid": os.getpid(), "preloaded": loaded, "refused": refused}
        self._link.send(
            ready | {"isolation": self._subtree.isolation, "limits": sorted(self._subtree.limits)}
        )

    def _start(self, child: int) -> None:
        if child in self._children:
            raise ValueError(f"child {child} is there already")
        group = None
        try:
            group = self._subtree.group(child)
            launched = Launched(group)
        except OSError as error:
            if group is not None:
                group.remove()
            self._link.send({"op": "start_failed", "child": child, "message": error.strerror or str(error)})
            return
        kept = Kept(child, launched, group)
        self._children[child] = kept
        self._selector.register(launched.pidfd, selectors.EVENT_READ, lambda: self._reap(kept))
        self._selector.register(launched.report, selectors.EVENT_READ, lambda: self._hear(kept))
        who = kept.identity
        facts = {"pid": who.pid, "ticks": who.start_ticks, "inode": who.pidfd_inode}
        self._link.send({"op": "started", "child": child, **facts})

    def _assign(self, child: int, job: Frame, grace: float, directory: str | None) -> None:
        kept = self._children.get(child)
        if kept and kept.assigned:
            raise ValueError(f"child {child} has a job already")
        if kept and not kept.reaped:  # or dead at its gate already: its end record says it had no job
            kept.assign(job, grace, directory)
            self._trimming.watch(child, job["log"], job["output_limit"], time.monotonic())

    def _dismiss(self, child: int) -> None:
        """End a spare. It has run nothing, so nothing needs its grace."""
        self._terminate(child, "dismissed", 0)

    def _terminate(self, child: int, reason: str, grace: float) -> None:
        kept = self._children.get(child)
        if kept and not kept.reaped:
            with contextlib.suppress(OSError):  # nothing left to look with: the kill will come all the same
                kept.terminate(reason, grace, time.monotonic())

    def _sweep(self, **order: Any) -> None:
        self._sweeps.begin(order, time.monotonic())

    # What happens to children

    def _tend(self, kept: Kept, now: float) -> None:
        if self._can_hear and (progress := kept.take_progress(now)):
            self._link.send(progress)
        with contextlib.suppress(OSError):  # as above: it is tried again
            kept.end_where_it_waits_in_vain()
            kept.end_when_used_up(now)
            kept.remind_when_due(now)
            kept.kill_when_due(now)
        if unkillable := kept.unkillable(now):
            self._link.send(unkillable)

    def _hear(self, kept: Kept) -> None:
        if not kept.hear(time.monotonic()):
            # The job closed its end: the pipe would be readable for ever.
            with contextlib.suppress(KeyError):
                self._selector.unregister(kept.launched.report)

    def _reap(self, kept: Kept) -> None:
        if not kept.reap(time.monotonic()):
            return
        self._pause = _LOOK_AGAIN
        for fd in (kept.launched.pidfd, kept.launched.report, kept.launched.gate):
            with contextlib.suppress(KeyError):  # unregistered already, or never registered
                self._selector.unregister(fd)

    def _see_to_the_ended(self, now: float) -> None:
        """Report the ends of those of which nothing is left; end what is."""
        ended = [kept for kept in self._children.values() if kept.reaped]
        if not ended:
            return
        for kept in ended:
            kept.holding.end_leftovers()
        self._strays.look(self._own(), now)
        if self._strays:
            # The job that ended last is the likeliest to have left what nobody has seen before.
            known = {process for kept in ended for process in kept.killed}
            last = max(ended, key=lambda kept: kept.reaped_at)
            # What is in a group is its own job's, which ends it when its turn comes.
            grouped = {pid for kept in self._children.values() for pid in kept.holding.pids()}
            last.leftovers |= self._strays.end(self._own(), now, grouped) - known
        self._charge(ended)
        for kept in ended:
            kept.strays = self._strays.possibly_of(kept.reaped_at)
            if kept.strays or kept.holding.left:
                kept.killing(now)
            elif self._trimming.done(kept.number, now):
                self._finish(kept, now)

    def _charge(self, ended: list[Kept]) -> None:
        """Add what the dead have used to the attempt that left them.

        They were killed as its own, or are of its session; else the job that ended last is the likeliest.
        """
        last = max(ended, key=lambda kept: kept.reaped_at)
        for dead in self._strays.take_dead():
            of = (
                k for k in self._children.values() if dead.who in k.killed or dead.session == k.launched.pid
            )
            next(of, last).usage.add(dead.usage)

    def _finish(self, kept: Kept, now: float) -> None:
        del self._children[kept.number]
        kept.launched.close()
        if kept.directory:
            self._broom.remove(kept.directory)
        frames = kept.last_frames(now)
        for frame in frames:
            self._link.send(frame)
        if self._link.closed and kept.assigned and self._lifeline is not None:
            unheard.write(self._lifeline, kept.identity, frames[-1])
        self._emptied = [each for each in (*self._emptied, kept.holding) if not each.remove()]

    def _own(self) -> set[int]:
        """Pids of the children that we did launch."""
        children = {kept.launched.pid for kept in self._children.values() if not kept.reaped}
        return children | self._broom.pids | self._trimming.pids

    def _watch_writers(self) -> None:
        """Ask for writability exactly while something is unsent."""
        events = selectors.EVENT_READ | (selectors.EVENT_WRITE if self._link.has_unsent else 0)
        if not self._link.closed:
            self._link.flush()
            self._selector.modify(self._link, events, self._hear_supervisor)
        for kept in self._children.values():
            if kept.gate.has_unsent and not kept.reaped:
                kept.gate.flush()
                with contextlib.suppress(KeyError):
                    self._selector.register(kept.launched.gate, selectors.EVENT_WRITE, kept.gate.flush)
            elif not kept.gate.has_unsent and kept.assigned:
                with contextlib.suppress(KeyError):
                    self._selector.unregister(kept.launched.gate)


def main() -> None:
    """`python -P -m workers.keeper LINK [LIFELINE MARK]`: two inherited descriptors, and the cookie again.

    LINK is our end of the socketpair. LIFELINE is held open, and locked, for as long as we run. MARK is for
    whoever looks for us: our environment can be read by root alone.
    """
    link, *lifeline = map(int, sys.argv[1:3])
    for fd in (link, *lifeline):
        os.set_inheritable(fd, False)
    containment.leave_signals_to_the_supervisor()
    kernel.become_subreaper()
    guard_the_service()
    leave_keys_behind()
    cookie = os.environ[COOKIE]
    groups = Subtree(cookie, [] if os.environ.get(ISOLATION) == "tree" else None)
    last_words = LastWords("keeper")
    with last_words:  # where not even an end in good order can be had, the children die with us
        Keeper(Channel(link), groups, last_words, *lifeline).serve()
        groups.remove()
    sys.stderr.flush()
    os._exit(int(last_words.said))  # what the users' modules registered with atexit is for the jobs


if __name__ == "__main__":
    main()
