"""A set of processes and its leftovers: stop, kill, verify. One step at a time, never waiting.

Stopped first, killed then: a walk that kills as it goes never catches a tree that keeps forking.
"""

import signal
from collections.abc import Callable, Iterable

from workers.identity import Identity

UNKILLABLE_AFTER = 5.0
"""Seconds after the first SIGKILL at which what is still there is reported."""
_ROUNDS = 50
"""Looks for newcomers in one step. A stopped process cannot fork, so a tree that still grows after
so many is met again, smaller, in the next step."""


class Sweep:
    """Ends everything that `find` finds, however often it takes.

    `at_once` ends all of it with one call to the kernel, where there is such a call: then what is stopped and
    killed one by one is what had got away from that.
    """

    def __init__(
        self, find: Callable[[], Iterable[Identity]], at_once: Callable[[], None] | None = None
    ) -> None:
        self._find = find
        self._at_once = at_once
        self.killed: set[Identity] = set()
        """Every process that was sent a SIGKILL."""
        self.left: list[Identity] = []
        """What was still running after the last step: in an uninterruptible sleep, or dying."""

    def step(self) -> bool:
        """Stop and kill what is there; True when nothing is."""
        if self._at_once is not None and (found := set(self._find())):
            self.killed |= found
            self._at_once()
        for process in self._stopped():
            if sent(process, signal.SIGKILL):
                self.killed.add(process)
        return self.look()

    def look(self) -> bool:
        """True when nothing is there; nothing is done about what is."""
        self.left = list(dict.fromkeys(self._find()))
        return not self.left

    def _stopped(self) -> list[Identity]:
        stopped: dict[Identity, None] = {}
        for _ in range(_ROUNDS):
            before = len(stopped)
            for process in self._find():
                if process not in stopped:
                    sent(process, signal.SIGSTOP)
                    stopped[process] = None
            if len(stopped) == before:
                break
        return list(stopped)


def sent(process: Identity, number: signal.Signals) -> bool:
    """Whether the signal went out; False, too, for another user's: a set-uid program that a job started.

    What cannot be killed for that reason stays in `left`, and is reported from there.
    """
    try:
        return process.send(number)
    except PermissionError:
        return False
