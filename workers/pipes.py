"""A pipe that is closed again where what it was made for fails; and what waits in one."""

import fcntl
import os
import sys
import termios
from collections.abc import Iterator
from contextlib import ExitStack


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
