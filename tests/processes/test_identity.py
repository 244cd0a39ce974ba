"""A recorded process whose pid was given to another is never taken for it."""

import contextlib
import os
import resource
import signal
import threading
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from tests.support.eventually import eventually
from tests.support.keeper import TestKeeper
from tests.support.processes import gone
from tests.support.reuse import a_dead_one, later, taking
from workers.identity import Identity, boot_id, pid_namespace, sight_of, state_of
from workers.trees import COOKIE, left_by, tree_of

Taker = Callable[..., int]


@pytest.fixture
def take() -> Iterator[Taker]:
    """`taking`, and its victims ended afterwards."""
    victims: list[Identity] = []

    def made(pid: int, **how: bool) -> int:
        got = taking(pid, **how)
        victim = Identity.of(got)
        assert victim
        victims.append(victim)
        return got

    yield made
    for victim in victims:
        victim.send(signal.SIGKILL)
        if sight_of(victim.pid) and _is_ours(victim.pid):
            os.waitpid(victim.pid, 0)
        else:
            eventually(partial(gone, victim))


def _is_ours(pid: int) -> bool:
    sight = sight_of(pid)
    return sight is not None and sight.parent == os.getpid()


def test_it_is_the_same_every_time() -> None:
    first, second = Identity.of(os.getpid()), Identity.of(os.getpid())
    assert first
    assert first == second
    assert first.matches(second)
    assert first.exists()
    assert first.is_running()
    assert first.send(signal.Signals.SIGCONT)


def test_it_needs_no_inode() -> None:
    me = Identity.of(os.getpid())
    assert me
    assert replace(me, pidfd_inode=None).exists()
    assert not replace(me, pidfd_inode=(me.pidfd_inode or 0) + 1).exists() or me.pidfd_inode is None
    assert not replace(me, start_ticks=me.start_ticks + 1).exists()


def test_the_clock_has_no_part_in_it() -> None:
    """What it is made of says nothing of the time of day: ticks since boot, and the kernel's own number."""
    me = Identity.of(os.getpid())
    assert me
    uptime = float(Path("/proc/uptime").read_text().split()[0])
    assert 0 < me.start_ticks <= uptime * os.sysconf("SC_CLK_TCK")


@pytest.mark.parametrize("pid", [0, -1, 2**22 + 1, 2**31 - 1])
def test_a_pid_that_nobody_has_is_nobody(pid: int) -> None:
    assert Identity.of(pid) is None
    assert Identity(pid, 1).exists() is False
    assert Identity(pid, 1).send(signal.SIGKILL) is False


def test_a_zombie_exists_but_does_not_run() -> None:
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    eventually(lambda: state_of(pid) == "Z")
    who = Identity.of(pid)
    assert who
    assert (who.exists(), who.is_running()) == (True, False)
    assert list(tree_of(who)) == []
    os.waitpid(pid, 0)
    assert (who.exists(), who.send(signal.SIGKILL)) == (False, False)


def test_a_pid_that_was_given_to_a_thread_is_no_process() -> None:
    over = threading.Event()
    thread = threading.Thread(target=over.wait)
    thread.start()
    try:
        assert thread.native_id is not None
        sight = sight_of(thread.native_id)  # procfs shows it to whoever knows the number
        assert sight is not None
        assert Identity.of(thread.native_id) is None
        assert not Identity(thread.native_id, sight.start_ticks).is_running()
        assert not Identity(thread.native_id, 1).send(signal.SIGKILL)
    finally:
        over.set()
        thread.join()


def test_a_process_that_has_lost_its_main_thread_runs() -> None:
    source = """
import ctypes, threading, time
threading.Thread(target=time.sleep, args=(600,)).start()
ctypes.CDLL(None).syscall(60, 0)
"""
    pid = os.posix_spawnp("python3", ["python3", "-c", source], dict(os.environ))
    try:
        eventually(lambda: state_of(pid) == "Z")
        who = Identity.of(pid)
        assert who
        assert who.is_running()
        assert list(tree_of(who)) == [who]
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def test_what_cannot_be_looked_at_is_not_called_gone() -> None:
    me = Identity.of(os.getpid())
    assert me
    held: list[int] = []
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (200, hard))
    try:
        with contextlib.suppress(OSError):
            while True:
                held.append(os.open("/dev/null", os.O_RDONLY))
        for question in (me.exists, me.is_running, lambda: me.send(signal.SIGCONT)):
            with pytest.raises(OSError, match="Too many open files"):
                question()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for fd in held:
            os.close(fd)


def test_a_name_with_brackets_and_spaces_is_read_over() -> None:
    with open("/proc/self/comm", "r+") as name:
        old = name.read()
        name.seek(0)
        name.write(") Z 1 (x")
    try:
        sight = sight_of(os.getpid())
        assert sight
        assert (sight.parent, sight.session) == (os.getppid(), os.getsid(0))
    finally:
        with open("/proc/self/comm", "w") as name:
            name.write(old)


def test_the_host_and_its_boot_have_names() -> None:
    assert str(uuid.UUID(boot_id())) == boot_id()
    assert pid_namespace() > 0


def test_a_stranger_with_the_pid_is_not_signalled(take: Taker) -> None:
    dead = a_dead_one()
    victim = Identity.of(take(dead.pid))
    assert victim
    assert victim.pid == dead.pid
    assert not dead.exists()
    assert not dead.send(signal.SIGKILL)
    assert list(tree_of(dead)) == []
    assert victim.is_running()


def test_a_stranger_of_a_later_moment_is_told_apart_without_inodes(take: Taker) -> None:
    dead = replace(a_dead_one(), pidfd_inode=None)
    later(dead)
    victim = Identity.of(take(dead.pid))
    assert not dead.send(signal.SIGKILL)
    assert victim
    assert victim.is_running()


def test_a_sweep_spares_a_stranger_with_the_pid(keeper: TestKeeper, take: Taker) -> None:
    """Neither as a child, nor as a stray, nor as the leader of its session."""
    dead = a_dead_one()
    victim = Identity.of(take(dead.pid, session=True))
    wire = [dead.pid, dead.start_ticks, dead.pidfd_inode]
    keeper.order("sweep", owner=str(uuid.uuid4()), children=[wire], strays=[wire], patience=0, silent=0)
    assert keeper.wait("swept")["killed"] == 0
    assert victim
    assert victim.is_running()


def test_a_sweep_spares_a_daemon_of_a_stranger_that_had_the_pid(keeper: TestKeeper, take: Taker) -> None:
    """Nobody has the pid now, and a session has its number: it is younger than the owner's end."""
    dead = a_dead_one()
    later(dead)
    victim = Identity.of(take(dead.pid, daemon=True))
    assert victim
    sight = sight_of(victim.pid)
    assert sight
    assert sight.session == dead.pid
    wire = [dead.pid, dead.start_ticks, dead.pidfd_inode]
    keeper.order("sweep", owner=str(uuid.uuid4()), children=[wire], strays=[], patience=0)
    assert keeper.wait("swept")["killed"] == 0
    assert victim.is_running()
    assert list(left_by("nobody", [dead], silent=3600)) == []


def _session_of_a_dead_leader(
    environment: dict[str, str], *, mark_first: bool = False
) -> tuple[Identity, list[Identity]]:
    """A leader that is gone, and the two processes that it left in its session."""
    read, write = os.pipe()
    leader = os.fork()
    if leader == 0:
        os.setsid()
        for number in range(2):
            given = environment if mark_first and number == 0 else {}
            pid = os.posix_spawnp("sleep", ["sleep", "600"], given)
            os.write(write, f"{pid}\n".encode())
        os.kill(os.getpid(), signal.SIGSTOP)
        os._exit(0)
    os.waitpid(leader, os.WUNTRACED)
    who = Identity.of(leader)
    assert who
    os.close(write)
    with os.fdopen(read) as lines:
        os.kill(leader, signal.SIGCONT)
        members = [Identity.of(int(line)) for line in lines]
    os.waitpid(leader, 0)
    return who, [member for member in members if member]


def test_what_only_has_the_session_counts_where_it_is_older_than_the_owners_end() -> None:
    leader, members = _session_of_a_dead_leader({})
    try:
        assert len(members) == 2
        assert list(left_by("nobody", [leader])) == []
        assert list(left_by("nobody", [leader], silent=3600)) == []
        assert set(left_by("nobody", [leader], silent=0)) == set(members)
    finally:
        for member in members:
            member.send(signal.SIGKILL)


def test_what_only_has_the_session_counts_where_another_member_carries_the_cookie() -> None:
    owner = str(uuid.uuid4())
    leader, members = _session_of_a_dead_leader({COOKIE: owner}, mark_first=True)
    try:
        assert set(left_by(owner, [leader])) == set(members)
        assert list(left_by(owner, [])) == members[:1]
    finally:
        for member in members:
            member.send(signal.SIGKILL)
