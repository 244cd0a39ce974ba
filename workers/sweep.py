"""A set of processes and its leftovers: stop, kill, verify. One step at a time, never waiting.

Stopped first, killed then: a walk that kills as it goes never catches a tree that keeps forking.
"""

import signal
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from workers.identity import Identity

_ROUNDS = 50
"""Looks for newcomers in one step. A stopped process cannot fork, so a tree that still grows after
so many is met again, smaller, in the next step."""

_OWNER_AGAIN_WHILE_PATIENT = 0.25
_OWNER_AGAIN_AT_MOST = 2.0


class Sweep:
    """Ends everything that `find` finds, however often it takes."""

    def __init__(self, find: Callable[[], Iterable[Identity]]) -> None:
        self._find = find
        self.killed: set[Identity] = set()
        """Every process that was sent a SIGKILL."""
        self.left: list[Identity] = []
        """What was still running after the last step: in an uninterruptible sleep, or dying."""

    def step(self) -> bool:
        """Stop and kill what is there; True when nothing is."""
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


@dataclass
class OwnerSweep:
    """What is being ended of a dead owner."""

    owner: str
    sweep: Sweep
    kill_from: float
    """When waiting turns into killing."""
    look_at: float
    _pause: float = 0.005

    def put_off(self, now: float) -> None:
        """Look again soon, and then less and less often: each look is one at every process of the host."""
        most = _OWNER_AGAIN_AT_MOST if now >= self.kill_from else _OWNER_AGAIN_WHILE_PATIENT
        self.look_at = now + self._pause
        self._pause = min(self._pause * 2, most)
