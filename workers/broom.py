"""Removes private working directories, however large, without keeping the keeper waiting."""

import contextlib
import os
import signal

from workers.flattening import Flattening

_AT_ONCE = 2


class Broom:
    """An empty folder is removed at once; a full one by a process of its own."""

    def __init__(self) -> None:
        self.pids: set[int] = set()
        self._waiting: list[str] = []

    @property
    def busy(self) -> bool:
        return bool(self.pids or self._waiting)

    def remove(self, directory: str) -> None:
        try:
            os.rmdir(directory)
        except FileNotFoundError:
            return
        except OSError:  # not empty, or not ours to remove: the process will find out
            self._waiting.append(directory)
            self.reap()

    def reap(self) -> None:
        """Collect those that are done, start those that wait."""
        for pid in list(self.pids):
            if os.waitpid(pid, os.WNOHANG) != (0, 0):
                self.pids.discard(pid)
        while self._waiting and len(self.pids) < _AT_ONCE:
            self._start(self._waiting[:1])

    def leave(self) -> None:
        """Before the keeper ends: have one more process see to all that waits."""
        if self._waiting:
            self._start(self._waiting)

    def _start(self, directories: list[str]) -> None:
        try:
            pid = os.fork()
        except OSError:  # no processes left: the next turn tries again
            return
        if pid == 0:
            _sweep_out(directories)
        self.pids.add(pid)
        del self._waiting[: len(directories)]


def _sweep_out(directories: list[str]) -> None:
    try:
        # Nothing of the keeper's may stay open here: its link would outlive it in our hands.
        os.closerange(3, max(map(int, os.listdir("/proc/self/fd"))) + 1)
        signal.set_wakeup_fd(-1)
        for directory in directories:
            with contextlib.suppress(OSError):
                remove(directory)
    finally:
        os._exit(0)


def remove(directory: str) -> None:
    """Remove a tree of any depth, following no link, as far as we may."""
    try:
        top = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except NotADirectoryError:  # the job has put a file or a link in its place
        os.unlink(directory)
        return
    try:
        for _ in Flattening(top):
            pass
    finally:
        os.close(top)
    os.rmdir(directory)
