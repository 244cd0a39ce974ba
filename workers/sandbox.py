"""From a child to a process that is confined as its job type says, before the job's code is imported."""

import os
import signal
import socket
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from workers import credentials, first, kernel, landlock, mounts, namespaces, seccomp, standin, warmup
from workers.assignment import Assignment
from workers.confinement import CannotConfine, Confinement
from workers.credentials import User
from workers.report import Reporter

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


def confine(what: Confinement, place: Place, keeper: int, reporter: Reporter) -> bool:
    """Returns in the process that is to run the job, maybe a grandchild, for which the reporter speaks then.

    True where it has a PID namespace of its own.
    Raises CannotConfine, and OSError: nothing is ever left out in silence.
    """
    user = None if what.user is None else credentials.find(what.user, what.group)
    if user:
        os.environ.update({name: text for name, text in user.surroundings.items() if name not in os.environ})
        warmup.import_what_is_imported_late(user)
        credentials.give(1, user)  # its log: /dev/stdout and /dev/stderr open it anew, as the user
        if place.private:
            credentials.give(place.directory, user)
    parent, alone = keeper, False
    if what.asks_for_sandbox:
        alone = _isolate(what, place, user, keeper, reporter)
        parent = 1 if alone else keeper
    elif user and place.private and user.uid != os.geteuid():
        # Nobody else gets through the state folder to it.
        namespaces.leave(namespaces.MOUNTS)
        mounts.hide(what.hidden, place.directory)
    if user or what.asks_for_sandbox:
        kernel.bound_capabilities()
        if user:
            credentials.become(user, parent)
        kernel.drop_capabilities()
    if what.no_new_privileges:
        kernel.gain_no_privileges()
    if what.asks_for_sandbox and not alone:
        _renounce(what, place)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, standin.HELD)
    return alone


def _isolate(what: Confinement, place: Place, user: User | None, keeper: int, reporter: Reporter) -> bool:
    """Become the second process of a PID namespace; the child on record and the first have other duties.

    False where the host allows no namespaces, and Landlock does as well.
    """
    privileged = kernel.may_administer()
    if user and not privileged:
        credentials.become(user, keeper)
    try:
        if not privileged:
            namespaces.check_proc()
        namespaces.leave(namespaces.PROCESSES | (0 if privileged else namespaces.USERS))
    except CannotConfine as refusal:
        if why := _why_not_by_landlock(what):
            raise CannotConfine(f"{refusal}; and without namespaces {why}") from refusal
        return False
    stand_in = os.pidfd_open(os.getpid())
    told, tell = os.pipe()
    signal.pthread_sigmask(signal.SIG_BLOCK, standin.HELD)
    if pid := os.fork():
        standin.stand_in(pid, told, keeper, reporter)
    reporter.speak_for_me()
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
    reporter.speak_for_me()
    os.setsid()  # a signal to its process group is for the job alone
    if not what.network:
        # In its network namespace all of these lead nowhere; others, such as AF_VSOCK, have no namespace.
        seccomp.allow_sockets((socket.AF_UNIX, socket.AF_INET, socket.AF_INET6, socket.AF_NETLINK))
    return True


def _why_not_by_landlock(what: Confinement) -> str | None:
    """None where it can keep the same promises."""
    if os.geteuid() == 0:
        return "root owns too much for Landlock"
    if what.private_tmp:
        return "there is no private /tmp"
    if not what.no_new_privileges:
        return "no_new_privileges cannot be switched off"
    if (version := landlock.version()) < landlock.ENOUGH:
        return f"Landlock would have to be of version {landlock.ENOUGH}, and is of version {version}"
    return None


def _renounce(what: Confinement, place: Place) -> None:
    """Landlock, and no unix sockets: until its version 9 it lets a process connect to any with a path.

    Nor does it keep a process from setting the limits of another one.
    """
    landlock.renounce(what, place.directory)
    families = (socket.AF_INET, socket.AF_INET6, socket.AF_NETLINK) if what.network else ()
    seccomp.allow_sockets(families, alone=False)
