"""The first process of a job's PID namespace, its init: it reaps, and its end is the end of all others."""

import os
import select
import signal
from typing import NoReturn

from workers import kernel, standin
from workers.identity import sight_of


def die_with(stand_in: int) -> None:
    """`stand_in`: a pidfd. In a new PID namespace getppid(2) is 0 whether the parent lives or not."""
    kernel.die_with_parent(signal.SIGKILL, 0)
    if select.select([stand_in], [], [], 0)[0]:
        os._exit(0)


def reap_until_it_ends(job: int, told: int) -> NoReturn:
    """What loses its parent in here becomes ours. Our end is the end of what is left (pid_namespaces(7))."""
    try:
        kernel.be_readable(by_our_user=False)  # the job's user may be ours, and we are not the job
        kernel.bound_capabilities()
        kernel.drop_capabilities()
        # Nobody in here can send us what we have no handler for; from outside only SIGKILL and SIGSTOP come.
        for number in (*standin.PASSED_ON, signal.SIGPIPE):
            signal.signal(number, signal.SIG_DFL)
        os.closerange(0, told)
        os.closerange(told + 1, max(map(int, os.listdir("/proc/self/fd"))) + 1)
        while True:
            pid, status = os.wait()
            if pid == job:
                standin.tell(told, status, _others())
                break
    finally:
        os._exit(0)


def _others() -> int:
    """Processes in here that run on, ourselves aside; the kernel kills them with us."""
    pids = [int(name) for name in os.listdir("/proc") if name.isdigit()]
    sights = [sight_of(pid) for pid in pids if pid != os.getpid()]
    return sum(sight is not None and not sight.is_dead for sight in sights)
