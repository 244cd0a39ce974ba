"""Keeps logs to their limit while jobs write on: the kernel takes blocks out of the middle of a file.

Each log over its limit gets a process that does this. The keeper only looks at sizes: many file systems
(XFS, and ext4 in older kernels) write out to the disk first what they are then told to forget, and
the keeper must not wait for a disk.
"""

import contextlib
import errno
import os
import select
import signal
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from workers import kernel
from workers.excess import excess, record_of
from workers.frames import Frame

_SOON, _LATE = 0.02, 0.5
"""Seconds between two looks: at a log that grows fast, and at one that does not."""
_SLACK = 8 * 2**20
"""Bytes more than the limit that a running job may have on disk, but no more than half of the limit: who
reads the end of a log meanwhile has that much time."""
_PATIENCE = 5.0
"""Seconds for which the end of a job waits for the last look at its log."""
_NEVER = float("inf")
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_RECORD = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_CANNOT = (errno.EOPNOTSUPP, errno.ENOSYS)


@dataclass(slots=True)
class _Watched:
    """The log of one attempt."""

    log: Path
    limit: int
    look_at: float
    pause: float = _SOON
    size: int = 0
    trimmer: int | None = None
    """Pid of the process that sees to it."""
    line: int | None = None
    """Our end of a pipe: when it closes, the trimmer has a last look and ends."""
    ended_at: float | None = None

    def grown(self) -> int:
        """Bytes since the look before."""
        try:
            size = os.stat(self.log, follow_symlinks=False).st_size
        except OSError:  # nothing printed yet; or the job has removed it
            size = 0
        grown, self.size = size - self.size, size
        return grown

    @property
    def is_over(self) -> bool:
        return self.size > self.limit


class Trimming:
    """The logs of the jobs that run, each looked at as often as it needs."""

    def __init__(self, tell: Callable[[Frame], None]) -> None:
        """`tell` passes a frame on to the supervisor: once, where logs cannot be kept to their limit."""
        self._tell = tell
        self._watched: dict[int, _Watched] = {}
        self._trimmers: set[int] = set()
        self._impossible = False

    @property
    def pids(self) -> set[int]:
        """Processes of ours that are no jobs."""
        return self._trimmers

    def watch(self, child: int, log: str, limit: int, now: float) -> None:
        self._watched[child] = _Watched(Path(log), limit, now + _SOON)

    def due(self) -> float:
        """When the next look is."""
        return min((watched.look_at for watched in self._watched.values()), default=_NEVER)

    def look(self, now: float) -> None:
        self._collect()
        for watched in self._watched.values():
            if watched.look_at <= now:
                self._look_at(watched, now)

    def done(self, child: int, now: float) -> bool:
        """Whether the log of an ended job is seen to; the first time it is asked for the last look."""
        watched = self._watched.get(child)
        if watched is None:
            return True
        if watched.ended_at is None:
            self._look_last(watched, now)
        self._collect()
        if watched.trimmer is not None and now < (watched.ended_at or now) + _PATIENCE:
            return False
        del self._watched[child]
        return True

    def _look_at(self, watched: _Watched, now: float) -> None:
        if watched.trimmer is None:
            grown = watched.grown()
            # Full after eight more such pauses: then look more closely.
            hurries = grown * 8 > watched.limit - watched.size
            watched.pause = _SOON if hurries else min(watched.pause * 2, _LATE)
            if watched.is_over:
                watched.pause = _NEVER if self._impossible else _LATE  # from now on: is its trimmer there?
                if not self._impossible:
                    self._start(watched)
        watched.look_at = now + watched.pause
        if watched.pause == _LATE:  # with the others, so that many quiet jobs wake us no more often than one
            watched.look_at -= watched.look_at % _LATE

    def _look_last(self, watched: _Watched, now: float) -> None:
        watched.ended_at = now
        watched.look_at = _NEVER
        watched.grown()
        if watched.trimmer is None and watched.is_over and (self._impossible or not self._start(watched)):
            with contextlib.suppress(OSError):  # no process to be had, so the keeper does it once
                trim(watched.log, watched.limit, last=True)
        if watched.line is not None:
            os.close(watched.line)
            watched.line = None

    def _start(self, watched: _Watched) -> bool:
        """False where there is no process or descriptor left: the next look tries again."""
        try:
            hears, line = os.pipe()
        except OSError:
            return False
        try:
            pid = os.fork()
        except OSError:
            os.close(hears)
            os.close(line)
            return False
        if pid == 0:
            _trim_on(watched.log, watched.limit, hears)
        os.close(hears)
        self._trimmers.add(pid)
        watched.trimmer, watched.line = pid, line
        return True

    def _collect(self) -> None:
        for pid in list(self._trimmers):
            try:
                found, status = os.waitpid(pid, os.WNOHANG)
            except ChildProcessError:  # a preloaded module has waited for what is not its own
                found, status = pid, 0
            if found:
                self._gone(pid, os.waitstatus_to_exitcode(status))

    def _gone(self, pid: int, code: int) -> None:
        self._trimmers.discard(pid)
        if code in _CANNOT and not self._impossible:
            self._impossible = True
            self._tell({"op": "untrimmed", "why": os.strerror(code)})
        for watched in self._watched.values():
            if watched.trimmer != pid:
                continue
            watched.trimmer = None
            if watched.line is not None:  # before its time: killed by somebody
                os.close(watched.line)
                watched.line = None


def _trim_on(log: Path, limit: int, line: int) -> NoReturn:
    """The life of a trimmer. It leaves by os._exit: the keeper's loop is up the stack."""
    code = 0
    try:
        # Nothing of the keeper's may stay open here: its link and the gates would outlive it in our hands.
        os.dup2(line, 3)
        os.closerange(4, max(map(int, os.listdir("/proc/self/fd"))) + 1)
        signal.set_wakeup_fd(-1)
        _until_closed(log, limit, 3)
    except OSError as error:
        code = error.errno if error.errno in _CANNOT else 0
    finally:
        os._exit(code)


def _until_closed(log: Path, limit: int, line: int) -> None:
    pause, last = 0.0, False
    while not last:
        last = bool(select.select([line], [], [], pause)[0])
        try:
            trimmed = trim(log, limit, last=last)
        except OSError as error:
            if error.errno in _CANNOT:
                raise
            trimmed = False  # gone, no plain file any more, an I/O error: it may be better later
        pause = _SOON if trimmed else min(max(_SOON, pause * 2), _LATE)


def trim(log: Path, limit: int, *, last: bool) -> bool:
    """Take the blocks out that are in the middle, if it is worth it, and in the end in any case.

    True where something was taken. Raises OSError: EOPNOTSUPP or ENOSYS where this file system cannot.
    """
    with _opened(log) as (folder, file):
        found = os.fstat(file)
        middle = excess(found.st_size, limit)
        # A second name could be that of a file of somebody else's.
        if not middle or not stat.S_ISREG(found.st_mode) or found.st_nlink != 1:
            return False
        full = not _remember(record_of(log).name, limit, folder)
        block = max(512, found.st_blksize)
        # Whole blocks, and the byte before the end stays: it tells whether a line begins there.
        start, stop = -(-middle.start // block) * block, (middle.stop - 1) // block * block
        first = _first_data(file, start, stop)
        if stop - first <= (0 if last else min(_SLACK, limit // 2)):
            return False
        kernel.punch_hole(file, start, stop - start)
        if full:
            _remember(record_of(log).name, limit, folder)
        return True


@contextlib.contextmanager
def _opened(log: Path) -> Iterator[tuple[int, int]]:
    """Folder and file. Anew each time, and through no link: the job may put anything in their places."""
    folder = os.open(log.parent, _FOLDER)
    try:
        file = os.open(log.name, _FILE, dir_fd=folder)
        try:
            yield folder, file
        finally:
            os.close(file)
    finally:
        os.close(folder)


def _first_data(file: int, start: int, stop: int) -> int:
    """Where the first byte is that was not taken out before."""
    try:
        return min(stop, os.lseek(file, start, os.SEEK_DATA))
    except OSError:  # ENXIO: nothing but a hole up to the end
        return stop


def _remember(name: str, limit: int, folder: int) -> bool:
    """Write the limit down beside the log. False on a full disk: there is room after the first hole."""
    try:
        file = os.open(name, _RECORD, 0o600, dir_fd=folder)
    except OSError as error:
        return error.errno != errno.ENOSPC
    try:
        os.write(file, b"%d\n" % limit)
    except OSError:
        os.unlink(name, dir_fd=folder)
        return False
    finally:
        os.close(file)
    return True
