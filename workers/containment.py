"""What every child does to itself before it waits at the gate, and what a job type asks of it after.

And, beside what a child does to its signals, what its keeper had done.
"""

import os
import resource
import signal
import time
from collections.abc import Mapping

from workers import broom, guard, kernel

KEEPER_IGNORES = tuple(
    getattr(signal, f"SIG{name}") for name in "TERM INT HUP QUIT USR1 USR2 ALRM VTALRM PROF".split()
)
"""And blocks: what it does not act on. Of all others the default is in force, but for the next."""
PYTHON_IGNORES = (signal.SIGPIPE, signal.SIGXFSZ)
"""In Python code these are exceptions where they happen; a command gets the kernel's default back."""


def detach(keeper: int, keep: tuple[int, ...]) -> None:
    """Own session, default signals, and death with the keeper; of its descriptors only 0, 1, 2 and `keep`.

    Never returns where the keeper is gone already.
    """
    os.setsid()
    kernel.become_subreaper()
    if not kernel.die_with_parent(signal.SIGKILL, keeper):
        os._exit(0)
    guard.offer_to_the_kernel()
    kernel.leave_session_keyring()  # where no more can be had the keeper's is empty, too
    os.umask(0o077)
    reset_signals()
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    close_all_but(keep)


def leave_signals_to_the_supervisor() -> None:
    """For the keeper: a Ctrl-C or a stop of all of us is the supervisor's to act on; we go when it goes.

    Blocked too, for the children: between its fork and its first own instructions a child would
    ignore a SIGTERM as we do. Blocked, it waits until the child is ready to be ended by it.
    """
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        ignored = number in (*KEEPER_IGNORES, *PYTHON_IGNORES)
        signal.signal(number, signal.SIG_IGN if ignored else signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, KEEPER_IGNORES)
    signal.set_wakeup_fd(-1)


def reset_signals() -> None:
    """As in a fresh Python: what is ignored or blocked stays so over fork and exec (signal(7)).

    Unblocked last: a SIGTERM that came since the fork is pending, and ends us by default.
    """
    for number in KEEPER_IGNORES:
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.set_wakeup_fd(-1)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def surround(environment: Mapping[str, str], nice: int) -> None:
    """The environment and the priority of the job. Raises OSError where the kernel refuses the priority.

    Most of it is the keeper's own already.
    """
    zone = os.environ.get("TZ")
    for name in [name for name in os.environ if name not in environment]:
        del os.environ[name]
    os.environ.update({name: text for name, text in environment.items() if os.environ.get(name) != text})
    if environment.get("TZ") != zone:
        time.tzset()
    if nice:
        os.setpriority(os.PRIO_PROCESS, 0, nice)


def enter(directory: str, *, private: bool) -> None:
    """Change into the working directory; a private one is made first, empty, for this user alone."""
    if private:
        try:
            make_folder(directory)
        except FileExistsError:  # of an attempt with our number, before a backup was restored
            broom.remove(directory)
            os.mkdir(directory, 0o700)
    os.chdir(directory)


def make_folder(path: str) -> None:
    """For this user alone, with those above it that are missing. Raises FileExistsError where it is there."""
    try:
        os.mkdir(path, 0o700)
    except FileNotFoundError:
        os.makedirs(os.path.dirname(path), 0o700, exist_ok=True)
        os.mkdir(path, 0o700)


def close_all_but(keep: tuple[int, ...]) -> None:
    """And but 0, 1 and 2."""
    start = 3
    for fd in sorted(keep):
        os.closerange(start, fd)
        start = fd + 1
    # Not up to the limit: it may have been lowered below what is open.
    os.closerange(start, max(map(int, os.listdir("/proc/self/fd"))) + 1)
