"""Where a child's threads are, written into its log before it is killed: its part of that, and the keeper's.

faulthandler writes them from a signal handler in C, so a loop in C that never lets go of the interpreter
lock hides nothing. The signal is SIGQUIT, which asks a JVM and a Go program for the same; libraries
use SIGUSR1 and SIGUSR2 for themselves, and a real-time signal has no name that anybody could type.
"""

import contextlib
import faulthandler
import os
import signal
import stat
from collections.abc import Callable
from pathlib import Path

from workers.identity import Identity
from workers.sweep import sent
from workers.termination import Termination

_SIGNAL = signal.SIGQUIT
_BIT = 1 << (_SIGNAL - 1)
_PAUSE = 0.05
"""Seconds that it usually takes: to be scheduled, and to write."""
_LONGEST = 0.5
"""Seconds after which a child is killed whatever it has written."""
_LATER = 0.25
"""Seconds after timeout and grace at which a child writes by itself: when one that could be asked has
been killed, and one that could not has not."""


def arm(timeout: float | None, grace: float) -> bool:
    """In the child, before the job's code: write the stacks when asked, and unasked when it is too late.

    Unasked for those that have blocked every signal: a thread of faulthandler's waits, without the
    interpreter lock. Only where there is a timeout; True where it waits.
    """
    register()
    if timeout is not None:
        with contextlib.suppress(RuntimeError, OverflowError):  # no more threads; a time beyond the clock
            faulthandler.dump_traceback_later(due(timeout, grace), file=2)
            return True
    return False


def register(before: Callable[[], None] = lambda: None, *, chain: bool = False) -> None:
    """Answer to the signal; `chain`: and then have that heard which `before` has installed for it."""
    faulthandler.unregister(_SIGNAL)  # else faulthandler would keep what was there before it the first time
    before()
    faulthandler.register(_SIGNAL, file=2, all_threads=True, chain=chain)


def due(timeout: float, grace: float) -> float:
    """Seconds after which it writes by itself."""
    return timeout + grace + _LATER


class Stacks:
    """The keeper's part, for one child: ask once, and put its kill off for as long as the answer may take."""

    def __init__(self, who: Identity, log: str) -> None:
        self._written_from = float("inf")
        self.who = who
        self._log = log
        self._asked: float | None = None

    def watched(self, seconds: float, now: float) -> None:
        """The child says that it will write by itself, so many seconds from now."""
        self._written_from = now + seconds + _PAUSE

    def wait(self, termination: Termination, now: float) -> float | None:
        """When to look again; None as soon as nothing more is to be expected."""
        if self._asked is None:
            return now + _PAUSE if self._ask(termination, now) else None
        return now + _PAUSE if now < self._asked + _LONGEST and self._is_at_it(now) else None

    def _ask(self, termination: Termination, now: float) -> bool:
        """False where there is nobody to answer: it has exec'd, or reset the signal, or written already."""
        if now >= self._written_from or not _masks(self.who.pid).get("SigCgt", 0) & _BIT:
            return False
        _append(self._log, f"asyncworker: {_when(termination, now)}; where its threads are:\n")
        self._asked = now
        # SIGCONT last: then a process that stops itself again and again answers before it does so.
        return sent(self.who, _SIGNAL) and sent(self.who, signal.SIGCONT)

    def _is_at_it(self, now: float) -> bool:
        masks = _masks(self.who.pid)
        pending = (masks.get("SigPnd", 0) | masks.get("ShdPnd", 0)) & _BIT
        if not masks.get("SigBlk", 0) & _BIT:
            return bool(pending)  # not scheduled yet
        # While the handler writes, its own signal is blocked. Blocked and pending is what the job blocked
        # itself: then it writes unasked, or never.
        return not pending or now < self._written_from <= now + _LONGEST


def _when(termination: Termination, now: float) -> str:
    after = f"{now - termination.began:.3g} s"
    if termination.reason == "lingered":
        return f"its process was still there {after} after its last word"
    if not termination.signals:
        return f"to be killed without a grace ({termination.reason})"
    return f"still running {after} after SIGTERM ({termination.reason})"


def _append(log: str, line: str) -> None:
    """A line into a job's log, if it is a file still: not made anew, not through a link, not waited for."""
    with contextlib.suppress(OSError):
        fd = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            if stat.S_ISREG(os.fstat(fd).st_mode):
                os.write(fd, line.encode())
        finally:
            os.close(fd)


def _masks(pid: int) -> dict[str, int]:
    """The main thread's signal masks (proc_pid_status(5)); empty where they cannot be had."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text(errors="replace").splitlines()
    except OSError:  # or there is nothing left to look with: the kill must not wait for that
        return {}
    pairs = (line.split(":\t", 1) for line in lines)
    return {name: int(mask, 16) for name, mask in pairs if name in ("SigPnd", "ShdPnd", "SigBlk", "SigCgt")}
