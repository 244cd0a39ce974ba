"""The child on record, while its job runs in a PID namespace below it: it waits, and ends as the job did.

So everything holds that the keeper knows of it: its identity, its exact wait status, what was used. When
it dies, the kernel kills the init of the namespace, and with that everything in it.
"""

import contextlib
import os
import signal
import struct
from typing import NoReturn

from workers import namespaces
from workers.identity import Identity
from workers.sweep import sent

PASSED_ON = {getattr(signal, f"SIG{name}") for name in "TERM INT HUP QUIT USR1 USR2 CONT".split()}
"""What somebody may send by hand to the pid on record, and means for the job."""
HELD = PASSED_ON | {signal.SIGCHLD}
"""Blocked before the forks, so that none is lost between them."""


def stand_in(first: int, told: int, keeper: int) -> NoReturn:
    """`told`: where the init of the namespace writes the job's wait status."""
    code = 1
    try:
        _hold_nothing_but(told)
        code = _end_as(_status(first, told, keeper))
    finally:
        os._exit(code)


def tell(told: int, status: int) -> None:
    """For the init: how the job has ended."""
    os.write(told, struct.pack("i", status))


def _status(first: int, told: int, keeper: int) -> int:
    """The job's wait status; where nobody has told it, that of the init."""
    while True:
        info = signal.sigwaitinfo(HELD)
        if info.si_signo != signal.SIGCHLD:
            if info.si_pid != keeper:  # the keeper sends what it sends to each process of the tree itself
                _pass_on(signal.Signals(info.si_signo))
            continue
        pid, status = os.waitpid(first, os.WNOHANG)
        if pid == first:
            said = os.read(told, 4)
            return struct.unpack("i", said)[0] if len(said) == 4 else status


def _pass_on(number: signal.Signals) -> None:
    me = Identity.of(os.getpid())
    job = namespaces.job_below(me) if me else None
    if job and job != me:
        sent(job, number)


def _end_as(status: int) -> int:
    """The same exit code, or the same signal; the kernel reports nothing else of us."""
    if not os.WIFSIGNALED(status):
        return os.WEXITSTATUS(status)
    number = os.WTERMSIG(status)
    with contextlib.suppress(OSError):  # SIGKILL and SIGSTOP cannot be set, nor need they be
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [number])
    os.kill(os.getpid(), number)
    return 128 + number


def _hold_nothing_but(told: int) -> None:
    """The log, the pipes: they are the job's, and their ends must show when it closes them."""
    null = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(null, fd)
    os.closerange(3, told)
    os.closerange(told + 1, max(map(int, os.listdir("/proc/self/fd"))) + 1)
