"""Which system calls are made to fail, and how: what the kernel may really answer."""

from collections.abc import Iterator
from dataclasses import dataclass

KILL = "KILL"
"""Not an error: SIGKILL, at this call."""

_ANSWERS = {
    "write pwrite64": "ENOSPC EIO EINTR KILL",
    "writev sendto sendmsg": "ENOBUFS EINTR KILL",
    "read pread64": "EIO EINTR",
    "recvfrom recvmsg": "ECONNRESET EINTR",
    "fsync fdatasync": "EIO ENOSPC KILL",
    "ftruncate fallocate": "ENOSPC EIO KILL",
    "openat": "EMFILE EIO ENOSPC KILL",
    "mkdir": "ENOSPC EIO KILL",
    "rename unlink unlinkat rmdir": "EIO KILL",
    "clone clone3 fork vfork": "EAGAIN ENOMEM KILL",
    "pipe2 socketpair socket accept4 epoll_create1 inotify_init1": "EMFILE",
    "dup dup2 dup3": "EMFILE",
    "connect": "ECONNREFUSED EAGAIN EINTR",
    "bind listen": "EADDRINUSE",
    "poll ppoll epoll_wait select": "EINTR ENOMEM",
    "wait4": "EINTR ECHILD",
    "waitid": "EINTR",
    "pidfd_open": "EMFILE ENOMEM",
    "pidfd_send_signal kill": "EPERM",
    "mmap": "ENOMEM",
    "fcntl": "ENOLCK",  # nobody waits there, so nothing is interrupted on a disk of this machine
    "flock": "ENOLCK EINTR",
    "newfstatat fstat statx access readlink getdents64": "EIO",
    "chmod fchmod fchmodat chown": "EPERM",
    "chdir": "ENOENT",
    "setsid prctl prlimit64": "EPERM",
    "execve": "ENOMEM KILL",
}
# Not brk(2): its error is the old end of the heap, and any other number is taken for the new one.
ANSWERS = {call: answers.split() for calls, answers in _ANSWERS.items() for call in calls.split()}


@dataclass(frozen=True, slots=True)
class Fault:
    """The `number`th call of this name, of one process, is answered with `answer` instead of being made."""

    call: str
    answer: str
    number: int

    @property
    def options(self) -> list[str]:
        """For strace. A `?` is for a call that this machine does not have."""
        how = "signal=KILL" if self.answer == KILL else f"error={self.answer}"
        return ["-e", f"trace=?{self.call}", "-e", f"inject=?{self.call}:{how}:when={self.number}"]

    def __str__(self) -> str:
        return f"{self.call} {self.number}: {self.answer}"


def of(call: str) -> Iterator[str]:
    """What it is answered with, one after the other."""
    yield from ANSWERS.get(call, [])
