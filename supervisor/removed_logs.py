"""Logs of jobs that are pruned: put aside by one rename each, then removed piece by piece.

Removing gigabytes takes its time, and while rows are deleted the database is locked. A rename takes next to
none, and what lies here is nobody's: whoever prunes next removes it, whatever died in between.
"""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from supervisor.clock import Clock
from workers.flattening import Flattening

FOLDER = ".removed"
SLICE = 0.005
"""Seconds of work at a time."""

_PIECE = 64 * 2**20
"""Bytes of a file that are given back at a time."""


class RemovedLogs:
    """The folder for them, within that of the logs: a rename does not lead to another disk."""

    def __init__(self, logs: Path, clock: Clock) -> None:
        self._logs = logs
        self._folder = logs / FOLDER
        self._clock = clock
        self.bytes = 0
        """Given back so far."""
        self.problem: str | None = None
        """The first thing that could not be removed, and why."""

    def put_aside(self, job_id: str) -> bool:
        """False where that could not be done; then the logs are where they were."""
        if "/" in job_id or job_id.startswith("."):
            return True  # no job of ours, and no folder of ours
        try:
            os.rename(self._logs / job_id, self._folder / job_id)
        except OSError as error:
            if error.errno != errno.ENOENT:
                self.note(self._logs / job_id, error)
                return False
        return True

    def make_sure(self) -> None:
        """What was put aside stays so, even if the power fails."""
        descriptor = os.open(self._logs, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def make_folder(self) -> None:
        """Raises OSError."""
        self._folder.mkdir(mode=0o700, exist_ok=True)
        _give_to_owner_of(self._logs)

    def mend_folder(self) -> None:
        """One that root made in the logs of another user, who could put nothing there ever after."""
        try:
            _give_to_owner_of(self._logs)
        except FileNotFoundError:
            return  # none has been made yet
        except OSError as error:
            self.note(self._folder, error)

    def remove(self) -> Iterator[None]:
        """Everything that was put aside, by whomever; one step for each slice of time."""
        until = self._clock.monotonic() + SLICE
        for _ in self._pieces():
            if self._clock.monotonic() >= until:
                yield
                until = self._clock.monotonic() + SLICE

    def _pieces(self) -> Iterator[None]:
        try:
            top = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        except FileNotFoundError:
            return  # none has been made yet
        except OSError as error:
            self.note(self._folder, error)
            return
        pieces = Flattening(top, self._file)
        try:
            yield from pieces
        except OSError as error:
            self.note(self._folder, error)
        finally:
            os.close(top)
        if pieces.problem:
            path, why = pieces.problem
            self.note(self._folder / path, why)

    def _file(self, folder: int, name: str) -> Iterator[None]:
        found = os.lstat(name, dir_fd=folder)
        if stat.S_ISREG(found.st_mode) and found.st_size > _PIECE:
            yield from _shorten(folder, name, found.st_size)
        os.unlink(name, dir_fd=folder)
        self.bytes += _taken(found)
        yield

    def note(self, path: Path, error: OSError) -> None:
        self.problem = self.problem or f"{path} cannot be removed ({error.strerror})"


def _give_to_owner_of(logs: Path) -> None:
    """By descriptors: nobody can put anything else in its place under root's hands."""
    if os.geteuid() != 0:
        return
    with ExitStack() as undo:
        how = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
        above = os.open(logs, how)
        undo.callback(os.close, above)
        folder = os.open(FOLDER, how | os.O_NOFOLLOW, dir_fd=above)
        undo.callback(os.close, folder)
        owner = os.fstat(above)
        if os.fstat(folder).st_uid == 0 != owner.st_uid:
            os.fchown(folder, owner.st_uid, owner.st_gid)


def _shorten(folder: int, name: str, size: int) -> Iterator[None]:
    try:
        file = os.open(name, os.O_WRONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
    except PermissionError:
        return  # then it goes in one piece
    try:
        while size > _PIECE:
            size -= _PIECE
            os.ftruncate(file, size)
            yield
    finally:
        os.close(file)


def size_of(logs: Path, job_id: str) -> int:
    """Bytes of all logs of a job, as far as they are on the disk."""
    return sum(_taken(path.lstat()) for path in _inside(logs / job_id))


def _taken(found: os.stat_result) -> int:
    """A long log has a hole where its middle was."""
    return min(found.st_size, 512 * found.st_blocks)


def _inside(folder: Path) -> list[Path]:
    try:
        return [folder / name for name in os.listdir(folder)]
    except OSError:
        return []
