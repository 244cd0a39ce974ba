"""A pipe that is closed again where what it was made for fails; what waits in one; and its end in a job."""

import errno
import fcntl
import os
import sys
import termios
from collections.abc import Iterator
from contextlib import ExitStack


class HeldBeside:
    """An end for writing in a process that runs the user's code as well."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self._is = _file_at(fd)

    def write(self, data: bytes | memoryview) -> None:
        """All of it. Raises OSError where the end has been closed, whatever has been opened in its place."""
        rest = memoryview(data)
        while rest:
            if _file_at(self.fd) != self._is:
                raise OSError(errno.EBADF, os.strerror(errno.EBADF))
            rest = rest[os.write(self.fd, rest) :]


def _file_at(fd: int) -> tuple[int, int]:
    found = os.fstat(fd)
    return found.st_dev, found.st_ino


def pipe(undo: ExitStack) -> tuple[int, int]:
    """The ends for reading and for writing; `undo` closes both. Raises OSError, and leaves nothing."""
    read, write = os.pipe()
    undo.callback(os.close, read)
    undo.callback(os.close, write)
    return read, write


def waiting_in(fd: int, most: int) -> Iterator[bytes]:
    """What is in the pipe at the moment, in portions; not what is written meanwhile."""
    rest = int.from_bytes(fcntl.ioctl(fd, termios.FIONREAD, bytes(4)), sys.byteorder)
    while rest > 0:
        data = os.read(fd, min(rest, most))
        yield data
        rest -= len(data)
