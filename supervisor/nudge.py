"""Wake the supervisors of a state folder: there may be something for them in the database."""

import errno
import fnmatch
import os
import socket

_NOBODY = frozenset(
    {
        errno.ENOENT,  # removed between the listing and the datagram
        errno.ECONNREFUSED,  # left by a supervisor that is gone
        errno.EAGAIN,  # its queue is full: it is about to wake anyway
        errno.ENOBUFS,
        errno.EPROTOTYPE,  # a socket, but not one of ours
        errno.EACCES,
        errno.EPERM,
    }
)
"""Why a datagram may go unheard without anything being wrong: the next tick finds the row all the same."""


def nudge(state_dir: str | os.PathLike[str]) -> None:
    """Send one empty datagram to every `wake*.sock` in the state folder; never waits, promises nothing."""
    try:
        folder = os.open(state_dir, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:  # no folder, nobody to wake
        return
    try:
        sockets = fnmatch.filter(os.listdir(folder), "wake*.sock")
        for name in sockets:
            _send(f"/proc/self/fd/{folder}/{name}")
    finally:
        os.close(folder)


def _send(address: str) -> None:
    """`address` leads through a descriptor, because a socket's path ends after 108 bytes (unix(7))."""
    with socket.socket(
        socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
    ) as sender:
        try:
            sender.sendto(b"", address)
        except OSError as error:
            if error.errno not in _NOBODY:
                raise
