"""Removes private working directories, however large, without keeping the keeper waiting."""

import contextlib
import itertools
import os
import signal
from collections.abc import Callable, Iterator

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
    """Remove a tree of any depth, following no link, as far as we may.

    Folders in folders are moved up to the first level until there are none: shutil.rmtree needs a
    call, a descriptor and a longer path for each level, and a job can make more than there are.
    """
    try:
        top = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except NotADirectoryError:  # the job has put a file or a link in its place
        os.unlink(directory)
        return
    try:
        names = (f".removed-{number}" for number in itertools.count())
        while _flatten(top, names):
            pass
    finally:
        os.close(top)
    os.rmdir(directory)


def _flatten(top: int, names: Iterator[str]) -> bool:
    """One level less; False when that changes nothing any more."""
    changed = False
    with os.scandir(top) as entries:
        for entry in list(entries):
            if entry.is_dir(follow_symlinks=False):
                changed |= _dissolve(entry.name, top, names)
            else:
                changed |= _done(os.unlink, entry.name, dir_fd=top)
    return changed


def _dissolve(name: str, top: int, names: Iterator[str]) -> bool:
    """Move the folders in a folder up, remove the rest, then itself."""
    _open_up(name, top)
    try:
        folder = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=top)
    except OSError:
        return False
    changed = False
    try:
        with os.scandir(folder) as entries:
            for entry in list(entries):
                if entry.is_dir(follow_symlinks=False):
                    _open_up(entry.name, folder)
                    where = {"src_dir_fd": folder, "dst_dir_fd": top}
                    changed |= _done(os.rename, entry.name, next(names), **where)
                else:
                    changed |= _done(os.unlink, entry.name, dir_fd=folder)
    finally:
        os.close(folder)
    return _done(os.rmdir, name, dir_fd=top) or changed


def _open_up(name: str, folder: int) -> None:
    """A folder without write permission, as some caches make them, gives up nothing to its owner.

    Root needs no permission, and this follows a link that somebody may have put there since.
    """
    if os.geteuid() != 0:
        _done(os.chmod, name, 0o700, dir_fd=folder)


def _done(act: Callable[..., None], *what: str | int, **where: int) -> bool:
    try:
        act(*what, **where)
    except OSError:
        return False
    return True
