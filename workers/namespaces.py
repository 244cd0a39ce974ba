"""Views of the system that a job shares with nobody: namespaces(7)."""

import contextlib
import ctypes
import errno
import fcntl
import os
import socket
import struct
from collections.abc import Iterator
from pathlib import Path

from workers.confinement import CannotConfine
from workers.identity import Identity
from workers.trees import children_of

MOUNTS, IPC, USERS, PROCESSES, NETWORK = 0x00020000, 0x08000000, 0x10000000, 0x20000000, 0x40000000

_NAMES = {MOUNTS: "mount", IPC: "IPC", USERS: "user", PROCESSES: "PID", NETWORK: "network"}
_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 1

_CANNOT = "the sandbox cannot be had on this host"

_libc = ctypes.CDLL(None, use_errno=True)


def leave(kinds: int) -> None:
    """Move this process into new namespaces of these kinds; only its children into a new PID namespace.

    Raises CannotConfine. In a user namespace the user is the same as outside, and has every capability.
    """
    names = " and ".join(name for kind, name in _NAMES.items() if kinds & kind)
    uid, gid = os.geteuid(), os.getegid()
    with refused(f"a {names} namespace of its own is refused"):
        if _libc.unshare(kinds) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
        if kinds & USERS:
            Path("/proc/self/setgroups").write_text("deny")
            Path("/proc/self/uid_map").write_text(f"{uid} {uid} 1")
            Path("/proc/self/gid_map").write_text(f"{gid} {gid} 1")


def of_users() -> int | None:
    """The user namespace that we are in, where the kernel counts processes by it (Linux 5.14)."""
    major, minor, *_ = os.uname().release.replace("-", ".").split(".")
    return os.stat("/proc/self/ns/user").st_ino if (int(major), int(minor)) >= (5, 14) else None


def check_proc(mounts: Path = Path("/proc/self/mountinfo")) -> None:
    """In a user namespace /proc can be mounted only where nothing covers parts of it, as containers do.

    Raises CannotConfine. The kernel would say so only when there is no way back (mount_too_revealing).
    """
    for line in filter(None, os.fsdecode(mounts.read_bytes()).split("\n")):
        place = line.split(" ")[4]
        if place.startswith("/proc/") and place != "/proc/sys/fs/binfmt_misc":
            raise CannotConfine(f"{_CANNOT}: no other /proc can be mounted, because {place} is covered")


def turn_loopback_on() -> None:
    """The only interface of a new network namespace, down at first."""
    with refused("the loopback interface cannot be turned on"), socket.socket() as any_socket:
        request = struct.pack("16sH14x", b"lo", 0)
        (flags,) = struct.unpack("16xH14x", fcntl.ioctl(any_socket, _SIOCGIFFLAGS, request))
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", flags | _IFF_UP))


def job_below(child: Identity) -> Identity:
    """The process that runs the job of a child: itself, or the second of the PID namespace below it.

    The first is that namespace's init. No pid in there is given twice while the job runs, because the
    namespace ends with it.
    """
    for first in _numbered(child.pid, 1):
        for second in _numbered(first, 2):
            return Identity.of(second) or child
    return child


def _numbered(parent: int, number: int) -> Iterator[int]:
    """Children of a process that have this number in a PID namespace below ours."""
    for pid in children_of(parent):
        with contextlib.suppress(OSError):
            lines = Path(f"/proc/{pid}/status").read_text(errors="replace").splitlines()
            (numbers,) = [line.split()[1:] for line in lines if line.startswith("NSpid:")]
            if len(numbers) > 1 and int(numbers[-1]) == number:
                yield pid


@contextlib.contextmanager
def refused(what: str) -> Iterator[None]:
    """OSError becomes CannotConfine: `what`, and why."""
    try:
        yield
    except OSError as error:
        why = "Linux is too old" if error.errno == errno.ENOSYS else error.strerror
        where = f" ({error.filename})" if error.filename else ""
        raise CannotConfine(f"{_CANNOT}: {what}: {why}{where}") from error
