"""Who a pid is; signal it only if it still is.

A pid is reused, a wall-clock start time moves with the clock. What identifies a process is
(boot id, PID namespace, pid, raw start ticks, pidfd inode): proc_pid_stat(5) field 22, and
pidfs inodes, which are unique since boot from Linux 6.9 on.
"""

import contextlib
import errno
import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple, Self

from workers import files


@dataclass(frozen=True, slots=True)
class Identity:
    """A process, told apart from every other of this boot and PID namespace."""

    pid: int
    start_ticks: int
    pidfd_inode: int | None = None
    """None where the kernel gives no unique inode."""

    @classmethod
    def of(cls, pid: int) -> Self | None:
        """Who `pid` is now; None when there is no such process.

        The pidfd is opened before the ticks are read and asked again afterwards, so that both
        belong to one process. Raises OSError where there is nothing left to look with (EMFILE): that
        must not read as "gone".
        """
        pidfd = _open(pid)
        if pidfd is None:
            return None
        try:
            ticks = start_ticks(pid)
            if ticks is None or not _is_alive(pidfd):
                return None
            return cls(pid, ticks, _inode(pidfd))
        finally:
            os.close(pidfd)

    def matches(self, other: "Identity | None") -> bool:
        if other is None or (self.pid, self.start_ticks) != (other.pid, other.start_ticks):
            return False
        return None in (self.pidfd_inode, other.pidfd_inode) or self.pidfd_inode == other.pidfd_inode

    def exists(self) -> bool:
        """True while it runs or is a zombie that nobody has reaped yet."""
        return self.matches(Identity.of(self.pid))

    def is_running(self) -> bool:
        """True while it can still execute an instruction: a zombie cannot."""
        sight = sight_of(self.pid)
        return sight is not None and not sight.is_dead and self.exists()

    def send(self, number: signal.Signals) -> bool:
        """Signal this process and no other; False when it is gone.

        Raises PermissionError where the kernel forbids it.
        """
        with open_if_same(self) as pidfd:
            if pidfd is None:
                return False
            try:
                signal.pidfd_send_signal(pidfd, number)
            except ProcessLookupError:
                return False
            return True


@contextlib.contextmanager
def open_if_same(identity: Identity) -> Iterator[int | None]:
    """A pidfd of exactly this process: opened first, compared then, so that no reuse can slip between."""
    pidfd = _open(identity.pid)
    if pidfd is None:
        yield None
        return
    try:
        same = start_ticks(identity.pid) == identity.start_ticks and (
            identity.pidfd_inode is None or _inode(pidfd) in (None, identity.pidfd_inode)
        )
        yield pidfd if same and _is_alive(pidfd) else None
    finally:
        os.close(pidfd)


class Sight(NamedTuple):
    """What one look at /proc/PID/stat shows of a process."""

    state: str
    """R, S, D, Z, T ... as in proc_pid_stat(5)."""
    parent: int
    session: int
    threads: int
    start_ticks: int
    """Clock ticks after boot at which it began."""

    @property
    def is_dead(self) -> bool:
        """A zombie; but one with other threads has lost its main thread only, and runs on."""
        return self.state in ("Z", "X") and self.threads <= 1


def sight_of(pid: int) -> Sight | None:
    """None when there is no such process. Raises OSError where it cannot be looked at (EMFILE)."""
    try:
        text = files.read(f"/proc/{pid}/stat")
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The second field is the name in brackets, which may hold spaces and brackets itself.
    fields = text[text.rindex(")") + 2 :].split()
    return Sight(fields[0], int(fields[1]), int(fields[3]), int(fields[17]), int(fields[19]))


def start_ticks(pid: int) -> int | None:
    """Clock ticks after boot at which the process began; None when there is none."""
    sight = sight_of(pid)
    return sight.start_ticks if sight else None


def state_of(pid: int) -> str | None:
    """R, S, D, Z, T ... as in proc_pid_stat(5); None when there is no such process."""
    sight = sight_of(pid)
    return sight.state if sight else None


def boot_id() -> str:
    """Changes with every boot of the host (random(4))."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def pid_namespace() -> int:
    """Inode of the PID namespace that our pids are numbers of (pid_namespaces(7))."""
    return Path("/proc/self/ns/pid").stat().st_ino


def _open(pid: int) -> int | None:
    try:
        return os.pidfd_open(pid)
    except OSError as error:
        # Gone; or given to a thread of another process, which is EINVAL, and ENOENT in newer kernels.
        if error.errno in (errno.ESRCH, errno.EINVAL, errno.ENOENT):
            return None
        raise


def _is_alive(pidfd: int) -> bool:
    """False once the process has been reaped: a zombie still counts."""
    try:
        signal.pidfd_send_signal(pidfd, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _inode(pidfd: int) -> int | None:
    return os.fstat(pidfd).st_ino if _inodes_are_unique() else None


@lru_cache(maxsize=1)
def _inodes_are_unique() -> bool:
    """Two processes share one anonymous inode before pidfs: then it says nothing."""
    mine, parents = os.pidfd_open(os.getpid()), None
    try:
        parents = os.pidfd_open(os.getppid() or 1)
        return os.fstat(mine).st_ino != os.fstat(parents).st_ino
    except OSError:
        return False
    finally:
        os.close(mine)
        if parents is not None:
            os.close(parents)
