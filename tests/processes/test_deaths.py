"""When the supervisor or the keeper is killed, nothing runs on unseen."""

import json
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.eventually import eventually
from tests.support.keeper import EACH_LEVEL, TestKeeper, keeper_in
from tests.support.processes import end, gone, marked, noted
from tests.tree import ROOT
from workers.frames import Frame
from workers.identity import Identity
from workers.subtree import left_of
from workers.trees import COOKIE, left_by

pytestmark = EACH_LEVEL

JOB = """
import os, shutil, signal, time
def daemon(environment):
    read, write = os.pipe()
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            with open(FILE, "a") as file:
                file.write(f"{os.getpid()}\\n")
            os.execve(shutil.which("sleep"), ["sleep", "600"], environment)
        os._exit(0)
    os.close(write)
    os.read(read, 1)  # its end comes with the last exec
    os.wait()
def handler(payload):
    signal.pthread_sigmask(0, signal.valid_signals())
    with open(FILE, "a") as file:
        file.write(f"{os.getpid()}\\n")
    daemon(os.environ)
    daemon({})
    print("there", flush=True)
    time.sleep(600)
"""


class DyingSupervisor:
    """A supervisor in a process of its own, with one keeper."""

    def __init__(self, cookie: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.dying_supervisor", cookie],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=ROOT,
            text=True,
        )
        keeper = Identity.of(self.wait("keeper")["pid"])
        assert keeper
        self.keeper = keeper

    def order(self, op: str, **arguments: Any) -> None:
        assert self.process.stdin
        self.process.stdin.write(json.dumps({"op": op, **arguments}) + "\n")
        self.process.stdin.flush()

    def wait(self, op: str) -> Frame:
        assert self.process.stdout
        for line in self.process.stdout:
            frame: Frame = json.loads(line)
            if frame["op"] == op:
                return frame
        raise AssertionError("it has ended")

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def owner() -> str:
    return str(uuid.uuid4())


@pytest.fixture
def supervisor(owner: str) -> Iterator[DyingSupervisor]:
    supervisor = DyingSupervisor(f"{owner}:1")
    yield supervisor
    supervisor.kill()
    eventually(lambda: gone(supervisor.keeper))


def _assignment(keeper: TestKeeper, file: Path) -> Frame:
    return keeper.job(JOB.replace("FILE", repr(str(file)))).to_frame()


def test_a_sigkill_of_the_supervisor_ends_everything(
    supervisor: DyingSupervisor, own_keeper: TestKeeper, owner: str, tmp_path: Path
) -> None:
    for child in range(3):
        supervisor.order("start", child=child)
        supervisor.wait("started")
    for child in range(2):
        job = _assignment(own_keeper, tmp_path / f"pids{child}")
        supervisor.order("assign", child=child, job=job, grace=600, directory=job["directory"])
    everything = [*noted(tmp_path / "pids0", 3), *noted(tmp_path / "pids1", 3)]
    assert len(everything) == 6
    supervisor.kill()
    eventually(lambda: gone(*everything, supervisor.keeper))
    assert list(left_by(owner, [])) == []
    eventually(lambda: not list((own_keeper.folder / "work").iterdir()))


def test_a_job_that_is_being_terminated_goes_with_the_supervisor_too(
    supervisor: DyingSupervisor, own_keeper: TestKeeper, tmp_path: Path
) -> None:
    supervisor.order("start", child=1)
    supervisor.wait("started")
    job = _assignment(own_keeper, tmp_path / "pids")
    supervisor.order("assign", child=1, job=job, grace=600, directory=None)
    everything = noted(tmp_path / "pids", 3)
    supervisor.order("terminate", child=1, reason="cancel", grace=600)
    supervisor.kill()
    eventually(lambda: gone(*everything, supervisor.keeper))


def test_what_waits_to_be_removed_is_removed_after_the_end_as_well(tmp_path: Path, isolation: str) -> None:
    with keeper_in(tmp_path, isolation) as keeper:
        for number in range(6):
            (tmp_path / "full" / str(number) / "folder").mkdir(parents=True)
            keeper.order("discard", directory=str(tmp_path / "full" / str(number)))
        keeper.hang_up()
        eventually(lambda: not list((tmp_path / "full").iterdir()))


def test_a_sigkill_of_the_keeper_ends_its_children_and_leaves_traces_of_the_rest(
    tmp_path: Path, isolation: str
) -> None:
    with keeper_in(tmp_path, isolation) as keeper:
        spare = keeper.who[keeper.start()]
        job = keeper.run(JOB.replace("FILE", repr(str(tmp_path / "pids"))))
        main, marked_daemon, bare_daemon = noted(tmp_path / "pids", 3)
        keeper.process.send_signal(signal.SIGKILL)
        keeper.process.wait()
        try:
            eventually(lambda: gone(spare, job.who, main))
            assert not gone(marked_daemon, bare_daemon)
            bare = [bare_daemon] if keeper.isolation == "cgroup" else []
            assert set(left_by(keeper.owner, [])) == {marked_daemon, *bare}
            assert set(left_by(keeper.cookie, [job.who])) == {marked_daemon, *bare}
            assert list(left_by(f"{keeper.owner}:10", [])) == []
            assert list(left_by(keeper.owner[:-1], [])) == []
        finally:
            end(marked_daemon, bare_daemon)


def test_a_new_keeper_sweeps_what_a_dead_one_left(
    own_keeper: TestKeeper, tmp_path: Path, isolation: str
) -> None:
    (tmp_path / "dead").mkdir()
    with keeper_in(tmp_path / "dead", isolation) as dead:
        job = dead.run(JOB.replace("FILE", repr(str(tmp_path / "pids"))))
        _, marked_daemon, bare_daemon = noted(tmp_path / "pids", 3)
        dead.process.send_signal(signal.SIGKILL)
        dead.process.wait()
        try:
            own_keeper.order("sweep", owner=dead.owner, children=[_wire(job.who)], strays=[], patience=0)
            assert own_keeper.wait("swept")["owner"] == dead.owner
            assert gone(job.who, marked_daemon)
            assert dead.isolation == "tree" or gone(bare_daemon)
            own_keeper.order("sweep", owner=dead.owner, children=[], strays=[_wire(bare_daemon)], patience=0)
            killed = 1 if dead.isolation == "tree" else 0
            assert own_keeper.wait("swept") == {"op": "swept", "owner": dead.owner, "killed": killed}
            assert gone(bare_daemon)
            assert left_of(dead.owner) == []
        finally:
            end(marked_daemon, bare_daemon)


def test_a_sweep_of_an_owner_that_left_nothing_says_so_at_once(keeper: TestKeeper) -> None:
    keeper.order("sweep", owner=str(uuid.uuid4()), children=[[2**22 - 1, 5, None]], strays=[], patience=600)
    assert keeper.wait("swept")["killed"] == 0


def test_a_sweep_with_patience_waits_for_what_ends_by_itself(keeper: TestKeeper, tmp_path: Path) -> None:
    owner = str(uuid.uuid4())
    sleeper = subprocess.Popen(["sleep", "600"], env={COOKIE: owner})
    try:
        keeper.order("sweep", owner=owner, children=[], strays=[], patience=600)
        keeper.run("def handler(payload): return 1").ended()  # it goes on with the rest meanwhile
        assert sleeper.poll() is None
        sleeper.terminate()
        sleeper.wait()
        assert keeper.wait("swept")["killed"] == 0
    finally:
        sleeper.kill()
        sleeper.wait()


def test_a_sweep_kills_when_its_patience_is_over(keeper: TestKeeper) -> None:
    owner = str(uuid.uuid4())
    sleeper = subprocess.Popen(["sleep", "600"], env={COOKIE: f"{owner}:3"}, start_new_session=True)
    try:
        keeper.order("sweep", owner=owner, children=[], strays=[], patience=0.2)
        assert keeper.wait("swept")["killed"] == 1
        assert sleeper.wait(20) == -signal.SIGKILL
    finally:
        sleeper.kill()
        sleeper.wait()


def test_a_sweep_catches_a_chain_of_forks(keeper: TestKeeper, tmp_path: Path) -> None:
    owner = str(uuid.uuid4())
    source = """
import os, sys, time
until = time.monotonic() + 30
while time.monotonic() < until:
    if os.fork():
        os._exit(0)
    time.sleep(0.001)
open(sys.argv[1], "w").close()
"""
    first = subprocess.Popen(
        [sys.executable, "-S", "-c", source, str(tmp_path / "over")],
        env={COOKIE: owner, "PATH": os.environ["PATH"]},
    )
    first.wait()
    keeper.order("sweep", owner=owner, children=[], strays=[], patience=0)
    assert keeper.wait("swept")["killed"] >= 1
    assert marked(owner) == []
    assert not (tmp_path / "over").exists()


def _wire(who: Identity) -> list[int | None]:
    return [who.pid, who.start_ticks, who.pidfd_inode]
