"""Wake the supervisors of a state folder: there may be something for them in the database."""

import fnmatch
import os
import socket
from contextlib import suppress


def nudge(state_dir: str | os.PathLike[str]) -> None:
    """Send one empty datagram to every `wake*.sock` in the state folder; never waits, promises nothing.

    And raises nothing: what they are to look at is committed, and must not look as if it were not, whatever
    keeps a datagram from them: a supervisor that is gone, a disk that fails. The next tick finds the row.
    """
    with suppress(OSError):
        folder = os.open(state_dir, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            for name in fnmatch.filter(os.listdir(folder), "wake*.sock"):
                _send(f"/proc/self/fd/{folder}/{name}")
        finally:
            os.close(folder)


def _send(address: str) -> None:
    """`address` leads through a descriptor, because a socket's path ends after 108 bytes (unix(7))."""
    how = socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
    with suppress(OSError), socket.socket(socket.AF_UNIX, how) as sender:
        sender.sendto(b"", address)
