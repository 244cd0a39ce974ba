"""A log on disk, read while a job writes it and while the keeper takes blocks out of its middle."""

import os
import stat
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from supervisor.errors import UnreadableLog
from supervisor.printed import View, first_shown, line_between, view_of
from workers.excess import excess, record_of

_AT_ONCE = 64 * 1024
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_LONGEST_RECORD = 20


class LogFile:
    """An open log. No link is followed to it, and it is a plain file: jobs can put anything in its place."""

    def __init__(self, state_dir: Path, path: Path) -> None:
        """Raises FileNotFoundError where nothing has been printed, and UnreadableLog."""
        try:
            with _folder_of(state_dir, path) as folder:
                self._file = _open_plain(path.name, folder)
                self._recorded = _recorded(record_of(path).name, folder)
        except FileNotFoundError:
            raise
        except OSError as error:
            raise UnreadableLog(f"the log {path} cannot be read: {error.strerror or error}") from error

    @property
    def size(self) -> int:
        return os.fstat(self._file).st_size

    def view(self) -> View:
        """How it looks now: cut to the limit that is on record, or without what has been taken out of it."""
        size = self.size
        gone = self._hole() if self._recorded is None else excess(size, self._recorded)
        return view_of(size, range(min(size, gone.start), min(size, gone.stop)), self.read)

    def read(self, start: int, stop: int) -> bytes:
        """Zeros where it has been taken out."""
        return os.pread(self._file, stop - start, start)

    def read_kept(self, start: int, stop: int) -> bytes:
        """What there is from `start` on, up to where something has been taken out; empty there."""
        text = self.read(start, stop)
        hole = self._hole()  # looked for only now: it may have come, or grown, in between
        return text if start >= hole.stop else text[: max(0, hole.start - start)]

    def next_kept(self, start: int) -> int:
        """From where on there is something again."""
        return max(start, self._hole().stop)

    def close(self) -> None:
        os.close(self._file)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _hole(self) -> range:
        """What has been taken out. The first hole is ours: a job appends, and hardly makes one."""
        start = self._seek((self._recorded or 0) // 2, os.SEEK_HOLE)
        return range(start, self._seek(start, os.SEEK_DATA))

    def _seek(self, start: int, whence: int) -> int:
        try:
            return os.lseek(self._file, start, whence)
        except OSError:  # ENXIO: there is nothing but a hole from there on, or the file is shorter by now
            return max(start, self.size)


class Following:
    """Reads a log on and on. What is taken out before it was read is a line, once, and then it goes on."""

    def __init__(self, state_dir: Path, path: Path) -> None:
        self._state_dir = state_dir
        self._path = path
        self._log: LogFile | None = None
        self._view = View(0, b"", 0, 0)
        self._at = 0
        self._last = b""

    def open(self) -> None:
        """Raises UnreadableLog. That there is no log yet is no mistake: it is looked for when it is read."""
        if self._log is None:
            try:
                self._log = LogFile(self._state_dir, self._path)
            except FileNotFoundError:
                return
            self._view = self._log.view()

    def read(self) -> bytes:
        """The next part; empty when there is nothing more at the moment. Raises UnreadableLog."""
        self.open()
        if self._log is None:
            return b""
        text = self._next(self._log)
        self._last = text[-1:] or self._last
        return text

    def read_rest(self) -> Iterator[bytes]:
        """All that there is at this moment and was not read yet."""
        text = self.read()
        upto = self._log.size if self._log else 0
        while text:
            yield text
            if self._at >= upto:
                return
            text = self.read()

    def close(self) -> None:
        if self._log is not None:
            self._log.close()
            self._log = None

    def _next(self, log: LogFile) -> bytes:
        size = log.size
        if size < self._at:  # cut off by the job itself, and begun anew
            self._view, self._at = log.view(), 0
        if self._view.between and self._at == self._view.head:
            self._at = self._view.tail
            return self._view.between
        before_seam = bool(self._view.between) and self._at < self._view.head
        stop = min(self._view.head if before_seam else size, self._at + _AT_ONCE)
        if stop <= self._at:
            return b""
        text = log.read_kept(self._at, stop)
        if text:
            self._at += len(text)
            return text
        return self._jump(log, size)

    def _jump(self, log: LogFile, size: int) -> bytes:
        kept = min(size, log.next_kept(self._at))
        if kept <= self._at:  # cut off just now: seen the next time
            return b""
        start = first_shown(size, kept, log.read)
        missing, self._at = start - self._at, start
        return line_between(missing, after=self._last)


@contextmanager
def _folder_of(state_dir: Path, path: Path) -> Iterator[int]:
    """Step by step: nothing on the way from the state folder may be a link."""
    with ExitStack() as stack:
        at = os.open(state_dir, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        stack.callback(os.close, at)
        for folder in path.relative_to(state_dir).parent.parts:
            at = os.open(folder, _FOLDER, dir_fd=at)
            stack.callback(os.close, at)
        yield at


def _open_plain(name: str, folder: int) -> int:
    file = os.open(name, _FILE, dir_fd=folder)
    if not stat.S_ISREG(os.fstat(file).st_mode):
        os.close(file)
        raise OSError("not a plain file")
    return file


def _recorded(name: str, folder: int) -> int | None:
    """The limit that the log was cut to. A job could have written anything there, even nothing."""
    try:
        file = _open_plain(name, folder)
    except OSError:
        return None
    try:
        text = os.read(file, _LONGEST_RECORD).strip()
    finally:
        os.close(file)
    return int(text) if text.isdigit() else None
