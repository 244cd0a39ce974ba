"""From a child to a process that is confined as its job type says, before the job's code is imported."""

import os
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from workers import credentials, first, kernel, mounts, namespaces, standin, warmup
from workers.assignment import Assignment
from workers.confinement import Confinement
from workers.credentials import User

_OURS = (sys.prefix, sys.base_prefix, str(Path(__file__).resolve().parent.parent))
"""Python, and this package: a handler needs both."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a job works, and what it needs there."""

    directory: str
    private: bool
    """It was made for this job, which is to own it."""
    needed: Sequence[str]
    """Paths of the code that is to run."""

    @classmethod
    def of(cls, job: Assignment) -> Self:
        program = [job.command[0]] if job.command and "/" in job.command[0] else []
        return cls(job.directory, job.private_directory, [*job.import_paths, *program])


def confine(what: Confinement, place: Place, keeper: int, forked: Callable[[], None]) -> None:
    """Returns in the process that is to run the job, maybe a grandchild; `forked` is called in it first.

    Raises CannotConfine, and OSError: nothing is ever left out in silence.
    """
    user = None if what.user is None else credentials.find(what.user, what.group)
    if user:
        os.environ.update({name: text for name, text in user.surroundings.items() if name not in os.environ})
        if place.private:
            credentials.give(place.directory, user)
    parent = keeper
    if what.asks_for_sandbox:
        _isolate(what, place, user, keeper, forked)
        parent = 1
    elif user and place.private and user.uid != os.geteuid():
        # Nobody else gets through the state folder to it.
        namespaces.leave(namespaces.MOUNTS)
        mounts.hide(what.hidden, place.directory)
    if user:
        warmup.import_what_is_imported_late(user)
    if user or what.asks_for_sandbox:
        kernel.bound_capabilities()
        if user:
            credentials.become(user, parent)
        kernel.drop_capabilities()
    if what.no_new_privileges:
        kernel.gain_no_privileges()
    signal.pthread_sigmask(signal.SIG_UNBLOCK, standin.HELD)


def _isolate(
    what: Confinement, place: Place, user: User | None, keeper: int, forked: Callable[[], None]
) -> None:
    """Become the second process of a PID namespace; the child on record and the first have other duties."""
    privileged = kernel.may_administer()
    if user and not privileged:
        credentials.become(user, keeper)
    namespaces.leave(namespaces.PROCESSES | (0 if privileged else namespaces.USERS))
    stand_in = os.pidfd_open(os.getpid())
    told, tell = os.pipe()
    signal.pthread_sigmask(signal.SIG_BLOCK, standin.HELD)
    if pid := os.fork():
        standin.stand_in(pid, told, keeper)
    forked()
    first.die_with(stand_in)
    os.close(stand_in)
    os.close(told)
    namespaces.leave(namespaces.MOUNTS | namespaces.IPC | (0 if what.network else namespaces.NETWORK))
    if not what.network:
        namespaces.turn_loopback_on()
    runs_as = user.uid if user else os.geteuid()
    mounts.arrange(what, place.directory, [*_OURS, *place.needed], as_root=runs_as == 0)
    if pid := os.fork():
        first.reap_until_it_ends(pid, tell)
    os.close(tell)
    forked()
    os.setsid()  # a signal to its process group is for the job alone
