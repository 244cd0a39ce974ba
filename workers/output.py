"""The standard streams: what a job prints goes into its attempt's log file, from the first byte."""

import contextlib
import faulthandler
import os
import sys
from typing import Literal, TextIO

from workers.containment import make_folder


def redirect(log: str) -> None:
    """Point descriptors 1 and 2, and Python's streams over them, at the log; 0 is /dev/null.

    Appending, so that both streams keep the order of time; line by line, so that what was printed
    before a SIGKILL is there. Raises OSError where the log cannot be opened.
    """
    with contextlib.suppress(FileExistsError):  # an earlier attempt has made it
        make_folder(os.path.dirname(log))
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
    fd = os.open(log, flags, 0o600)
    os.dup2(fd, 1)
    os.dup2(fd, 2)
    os.close(fd)
    # multiprocessing has put a file of its own there, and that has been closed with all the others.
    sys.stdin, sys.stdout, sys.stderr = streams()
    faulthandler.enable(2)  # where in the Python code it was, when a signal of the kernel's ends it


def streams() -> tuple[TextIO, TextIO, TextIO]:
    """Python's over descriptors 0, 1 and 2."""
    return _stream(0, "r"), _stream(1, "w"), _stream(2, "w")


def flush() -> None:
    """Push out what Python still holds. What cannot be written is lost, and that is no failure of the job."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError, AttributeError):  # closed, or replaced, by the job
            continue


def _stream(fd: int, mode: Literal["r", "w"]) -> TextIO:
    return open(fd, mode, buffering=1, encoding="utf-8", errors="backslashreplace", closefd=False)
