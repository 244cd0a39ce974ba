"""A job type with `command:`: the child becomes the program."""

import os
import signal
from typing import NoReturn

from workers.containment import PYTHON_IGNORES
from workers.target import TargetError


def become(command: list[str], payload: str) -> NoReturn:
    """Execute the program, with the payload on standard input. Its exit code 0 is Completed.

    Raises TargetError where it cannot be executed.
    """
    _feed(payload)
    for number in PYTHON_IGNORES:
        signal.signal(number, signal.SIG_DFL)
    # A handler that has only noted its signal when the program takes over would lose it.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        os.execvp(command[0], command)  # noqa: S606  (no shell, on purpose)
    except OSError as error:
        for number in PYTHON_IGNORES:
            signal.signal(number, signal.SIG_IGN)
        raise TargetError(f"the program {command[0]} cannot be executed: {error.strerror}") from error


def _feed(payload: str) -> None:
    """A file in memory: a pipe would need somebody to write the rest when the program reads slowly."""
    fd = os.memfd_create("payload", 0)
    rest = memoryview(payload.encode("utf-8", "surrogatepass"))
    while rest:
        rest = rest[os.write(fd, rest) :]
    os.lseek(fd, 0, os.SEEK_SET)
    os.dup2(fd, 0)
    os.close(fd)
