"""A process with a pid of our choice: clone3(2) with set_tid, for root."""

import ctypes
import os
import signal
import time

import pytest

from tests.support.eventually import eventually
from workers.identity import Identity

_CLONE3 = 435


class _Arguments(ctypes.Structure):
    _fields_ = [
        (name, ctypes.c_uint64)
        for name in (
            "flags pidfd child_tid parent_tid exit_signal stack stack_size tls set_tid set_tid_size".split()
        )
    ]


def taking(pid: int, *, session: bool = False, daemon: bool = False) -> int:
    """A process of ours that has just this pid, and sleeps; with `session` it leads one.

    With `daemon` it has a child in its session and is gone itself: that child's pid is returned.
    """
    wanted = (ctypes.c_int * 1)(pid)
    arguments = _Arguments(exit_signal=signal.SIGCHLD, set_tid=ctypes.addressof(wanted), set_tid_size=1)
    read, write = os.pipe()
    libc = ctypes.CDLL(None, use_errno=True)
    made = libc.syscall(_CLONE3, ctypes.byref(arguments), ctypes.sizeof(arguments))
    if made == 0:
        _live(write, session=session or daemon, daemon=daemon)
    os.close(write)
    try:
        if made < 0:
            pytest.skip(f"no process with a given pid can be made here: {os.strerror(ctypes.get_errno())}")
        answer = int(os.read(read, 20))
    finally:
        os.close(read)
    if daemon:
        os.waitpid(made, 0)
    return answer


def _live(write: int, *, session: bool, daemon: bool) -> None:
    try:
        if session:
            os.setsid()
        child = os.fork() if daemon else 0
        if child == 0:
            os.write(write, str(os.getpid()).encode())
            os.execve("/bin/sleep", ["sleep", "600"], {})
    finally:
        os._exit(0)


def a_dead_one() -> Identity:
    """The identity of a process that has ended, and been reaped."""
    pid = os.posix_spawnp("sleep", ["sleep", "600"], {})
    who = Identity.of(pid)
    assert who
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return who


def later(who: Identity) -> None:
    """Wait until a process that starts now has other start ticks."""
    eventually(lambda: _ticks_now() > who.start_ticks + 1)


def _ticks_now() -> int:
    return int(time.clock_gettime(time.CLOCK_BOOTTIME) * os.sysconf("SC_CLK_TCK"))
