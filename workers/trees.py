"""Which processes belong together: descendants, strays, and what a dead owner left behind."""

import os
import resource
import time
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import psutil

from workers import files
from workers.identity import Identity, Sight, sight_of
from workers.subtree import is_of

COOKIE = "ASYNCWORKER_OWNER"
"""In the environment of everything that a supervisor started: the supervisor's UUID."""
_ROUNDS = 50
"""Looks for newcomers while there are some."""


def running(pid: int) -> Identity | None:
    """Who `pid` is, unless it is gone or a zombie."""
    return _running(pid, sight_of(pid))


def tree_of(root: Identity) -> Iterator[Identity]:
    """The running processes of a tree, parents first; none when the root is gone.

    Lazy: whoever stops each as it comes has stopped a parent before its children are listed.
    Complete as long as the root is a subreaper or its members are stopped: a descendant whose
    parent exits leaves the tree of any other root.
    """
    if not root.exists():
        return
    tree = {root.pid: None}
    waiting = [root.pid]
    while waiting:
        pid = waiting.pop()
        sight = sight_of(pid)
        # A pid that was given to a stranger since it was listed has a parent outside.
        if sight is None or (pid != root.pid and sight.parent not in tree):
            continue
        identity = _running(pid, sight)
        if identity:
            yield identity
        new = [child for child in children_of(pid) if child not in tree]
        tree.update(dict.fromkeys(new))
        waiting += new


def children_of(pid: int) -> list[int]:
    """Pids of a process's own children, zombies too; without looking at every process of the host.

    The kernel warns of omissions while children are being reaped (proc_tid_children(5)): exact for
    this process itself, whose only thread reaps, and for one that is stopped.
    """
    if not _kernel_lists_children():
        return _children_by_parent(pid)
    found: list[int] = []
    try:
        for task in os.listdir(f"/proc/{pid}/task"):
            found += map(int, files.read(f"/proc/{pid}/task/{task}/children").split())
    except (FileNotFoundError, ProcessLookupError):  # it, or one of its threads, has just ended
        pass
    return found


def left_by(owner: str, roots: Iterable[Identity], silent: float | None = None) -> Iterator[Identity]:
    """Running processes that a dead owner left: its groups, cookie, children, and the sessions those led.

    `owner` is a supervisor's UUID, or one of its keepers: UUID:NUMBER. `silent`: seconds since it was
    last known to live. A session id is a pid that is given to no other process while the session has
    members (free_pid in kernel/pid.c). Once it was empty, though, a stranger may have got the number,
    made a session of it and exited, as daemons do. So a process that only has the number counts
    where the leader still exists, or a member carries the cookie, or where it is older than the
    owner's end.
    """
    known = {root.pid: root for root in roots}
    sessions: set[int] = set()
    rest: list[tuple[Identity, int]] = []
    for pid in _all_pids():
        sight = sight_of(pid)
        if sight is None or pid == os.getpid():
            continue
        identity = _running(pid, sight)
        if (pid in known and known[pid].exists()) or _has_cookie(pid, owner) or is_of(pid, owner):
            sessions.add(sight.session)
            if identity:
                yield identity
        elif identity and sight.session in known:
            rest.append((identity, sight.session))
    newest = _ticks_before(silent)
    leaderless = {pid for pid in known if not Path(f"/proc/{pid}").exists()}
    for identity, session in rest:
        if session in sessions or (session in leaderless and identity.start_ticks <= newest):
            yield identity


class Dead(NamedTuple):
    """A process that became ours and was reaped."""

    who: Identity
    session: int
    status: int
    """As wait(2) gives it."""
    usage: resource.struct_rusage
    """Its own, and that of the children that it had waited for."""


def adopted(known: set[int], note: Callable[[Dead], None] = lambda _: None) -> list[Identity]:
    """Processes that became ours because their parent died; dead ones are reaped here, and noted.

    Empty only when there is none. One that has died since it was listed may have left its children to
    us after the list was made, so then it is made again; where they are faster than we are, the dead
    are returned, so that nobody takes silence for peace.
    """
    alive: list[Identity] = []
    dead: list[Identity] = []
    for _ in range(_ROUNDS):
        alive, dead = [], []
        for pid in children_of(os.getpid()):
            identity = None if pid in known else Identity.of(pid)
            if identity:
                (dead if _reaped(identity, note) else alive).append(identity)
        if alive or not dead:
            return alive
    return dead


def _all_pids() -> Iterator[int]:
    """Every process; and those that have begun since, as a chain of forks does, until there are no more."""
    seen: set[int] = set()
    for _ in range(_ROUNDS):
        new = [pid for pid in psutil.pids() if pid not in seen]
        if not new:
            return
        seen.update(new)
        yield from reversed(new)


def _running(pid: int, sight: Sight | None) -> Identity | None:
    if sight is None or sight.is_dead:
        return None
    identity = Identity.of(pid)
    return identity if identity and identity.start_ticks == sight.start_ticks else None


@lru_cache(maxsize=1)
def _kernel_lists_children() -> bool:
    me = os.getpid()
    return Path(f"/proc/{me}/task/{me}/children").exists()


def _children_by_parent(pid: int) -> list[int]:
    """For a kernel without CONFIG_PROC_CHILDREN."""
    try:
        return [child.pid for child in psutil.Process(pid).children()]
    except psutil.NoSuchProcess:
        return []


def _has_cookie(pid: int, owner: str) -> bool:
    """By what the process was started with; False where it is gone or another user's."""
    try:
        entries = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except PermissionError:
        entries = _arguments_of_ours(pid)
    except (FileNotFoundError, ProcessLookupError):
        return False
    cookie = f"{COOKIE}={owner}".encode()
    return any(entry == cookie or entry.startswith(cookie + b":") for entry in entries)


def _arguments_of_ours(pid: int) -> list[bytes]:
    """For a keeper, whose environment is hidden from its own user too; none where it is another user's."""
    try:
        status = Path(f"/proc/{pid}/status").read_text(errors="replace")
        if f"\nUid:\t{os.getuid()}\t" not in status:
            return []
        return Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return []


def _ticks_before(seconds: float | None) -> float:
    """Ticks after boot so many seconds ago; before everything where that is not known."""
    if seconds is None:
        return float("-inf")
    return (time.clock_gettime(time.CLOCK_BOOTTIME) - seconds) * os.sysconf("SC_CLK_TCK")


def _reaped(process: Identity, note: Callable[[Dead], None]) -> bool:
    sight = sight_of(process.pid)  # a zombie's session is known until it is reaped
    try:
        pid, status, usage = os.wait4(process.pid, os.WNOHANG)
    except ChildProcessError:
        return True
    if pid and sight:
        note(Dead(process, sight.session, status, usage))
    return pid != 0
