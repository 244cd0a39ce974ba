"""The child on record, while its job runs in a PID namespace below it: it waits, and ends as the job did.

So everything holds that the keeper knows of it: its identity, its exact wait status, what was used. When
it dies, the kernel kills the init of the namespace, and with that everything in it.
"""

import contextlib
import os
import signal
import struct
from typing import NoReturn

from workers import containment, namespaces
from workers.identity import Identity
from workers.report import Reporter
from workers.sweep import sent

PASSED_ON = {getattr(signal, f"SIG{name}") for name in "TERM INT HUP QUIT USR1 USR2 CONT".split()}
"""What somebody may send by hand to the pid on record, and means for the job."""
HELD = PASSED_ON | {signal.SIGCHLD}
"""Blocked before the forks, so that none is lost between them."""
_WORD = struct.Struct("ii")


def stand_in(first: int, told: int, keeper: int, reporter: Reporter) -> NoReturn:
    """`told`: where the init of the namespace writes how the job has ended."""
    code = 1
    try:
        _hold_nothing_but(told, reporter.fd)
        status, left = _end(first, told, keeper)
        if left:
            reporter.tell("leftovers", left)
        code = _end_as(status)
    finally:
        os._exit(code)


def tell(told: int, status: int, left: int) -> None:
    """For the init: how the job has ended, and how many processes it has left."""
    os.write(told, _WORD.pack(status, left))


def _end(first: int, told: int, keeper: int) -> tuple[int, int]:
    """The job's wait status, and how much it left; where nobody has told it, the status of the init."""
    while True:
        info = signal.sigwaitinfo(HELD)
        if info.si_signo != signal.SIGCHLD:
            if info.si_pid != keeper:  # the keeper sends what it sends to each process of the tree itself
                _pass_on(signal.Signals(info.si_signo))
            continue
        pid, status = os.waitpid(first, os.WNOHANG)
        if pid == first:
            said = os.read(told, _WORD.size)
            return _WORD.unpack(said) if len(said) == _WORD.size else (status, 0)


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


def _hold_nothing_but(*kept: int) -> None:
    """The log and the gate are the job's."""
    null = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(null, fd)
    containment.close_all_but(kept)
