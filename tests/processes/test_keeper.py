"""The keeper itself: what it lives through, what it uses, and when it gives up."""

import errno
import os
import resource
import signal
import struct
import time
from pathlib import Path
from typing import Any

import pytest

from supervisor.lifecycle import JobStatus
from tests.support.cgroups import group_of
from tests.support.eventually import eventually
from tests.support.keeper import TestKeeper, keeper_in
from tests.support.limited import memory
from tests.support.processes import cpu_seconds, gone
from workers.frames import encode

SLEEPS = "import time\nprint('there', flush=True)\ntime.sleep(600)\ndef handler(payload): pass"


def test_it_leaks_no_descriptor_and_no_zombie(own_keeper: TestKeeper) -> None:
    def some(count: int) -> int:
        for _ in range(count):
            own_keeper.run("def handler(payload): return 1").ended()
        return own_keeper.descriptors()

    before = some(20)
    assert some(150) == before
    own_keeper.until(lambda: not own_keeper.children())


def test_signals_for_it_are_its_supervisors_business(own_keeper: TestKeeper) -> None:
    own_keeper.start()
    for number in (
        signal.SIGTERM,
        signal.SIGINT,
        signal.SIGHUP,
        signal.SIGUSR1,
        signal.SIGALRM,
        signal.SIGQUIT,
    ):
        os.kill(own_keeper.pid, number)
    assert own_keeper.run("def handler(payload): return 1").ended().value == 1


def test_it_goes_on_after_a_stop(own_keeper: TestKeeper) -> None:
    job = own_keeper.run(SLEEPS)
    job.says("there")
    own_keeper.process.send_signal(signal.SIGSTOP)
    job.who.send(signal.SIGKILL)
    own_keeper.process.send_signal(signal.SIGCONT)
    assert job.ended().outcome.signal == 9


@pytest.mark.parametrize("idle", [True, False], ids=["idle", "five jobs and a linger"])
def test_it_uses_no_time_while_nothing_happens(own_keeper: TestKeeper, *, idle: bool) -> None:
    own_keeper.run("def handler(payload): return 1").ended()
    if not idle:
        for _ in range(5):
            own_keeper.run(SLEEPS).says("there")
        own_keeper.run(SLEEPS.replace("there", "there'); print('again"), grace=600).terminate(grace=600)
        closed = own_keeper.run(
            "import os, time\ndef handler(p): print('t', flush=True); os.closerange(0, 99); time.sleep(600)"
        )
        closed.says("t")
        for _ in range(3):
            own_keeper.start()
    before = cpu_seconds(own_keeper.pid)
    time.sleep(2)  # the measure itself
    assert cpu_seconds(own_keeper.pid) - before < 0.1


NONSENSE: dict[str, Any] = {
    "no such order": encode({"op": "dance"}),
    "no op": encode({}),
    "no arguments": encode({"op": "start"}),
    "other arguments": encode({"op": "start", "child": 1, "colour": "red"}),
    "an op that is no name": encode({"op": ["start"]}),
    "a child that is no number": encode({"op": "start", "child": [1]}),
    "a child twice": encode({"op": "start", "child": 1}) * 2,
    "no frame": b"\xff\xff\xff\xff",
    "not JSON": struct.pack(">I", 3) + b"abc",
}


@pytest.mark.parametrize("order", NONSENSE.values(), ids=NONSENSE)
def test_an_order_that_makes_no_sense_ends_it_and_all_it_has(tmp_path: Path, order: bytes) -> None:
    with keeper_in(tmp_path) as keeper:
        job = keeper.run(SLEEPS)
        job.says("there")
        os.write(keeper.channel.fd, order)
        keeper.process.wait(20)
        assert gone(job.who)
        assert "Traceback" in keeper.errors.read_text()


def test_without_memory_it_ends_with_one_sentence_and_all_it_has_with_it(tmp_path: Path) -> None:
    with keeper_in(tmp_path) as keeper:
        job = keeper.run(SLEEPS)
        job.says("there")
        resource.prlimit(keeper.pid, resource.RLIMIT_AS, (memory(keeper.pid), resource.RLIM_INFINITY))
        keeper.order("discard", directory="x" * 10_000_000)
        while not keeper.channel.closed:  # it may take some of it before it ends
            keeper.hear(0.02)
        keeper.process.wait(20)
        assert gone(job.who)
        assert keeper.errors.read_text() == (
            "Error: the keeper has no memory left, and ends with all that it has\n"
        )


def test_a_second_job_for_a_child_ends_it_too(tmp_path: Path) -> None:
    with keeper_in(tmp_path) as keeper:
        job = keeper.run(SLEEPS)
        job.says("there")
        keeper.order("assign", child=job.child, job=job.job.to_frame(), grace=1, directory=None)
        keeper.process.wait(20)
        assert gone(job.who)


def test_orders_for_a_child_that_is_gone_mean_nothing(keeper: TestKeeper) -> None:
    keeper.order("terminate", child=10**6, reason="cancel", grace=1)
    keeper.order("dismiss", child=10**6)
    keeper.order("assign", child=10**6, job={}, grace=1, directory=None)
    keeper.order("discard", directory="/nowhere/at/all")
    assert keeper.run("def handler(payload): return 1").ended().value == 1


def test_half_an_order_waits_for_the_rest(keeper: TestKeeper) -> None:
    data = encode({"op": "start", "child": 777})
    os.write(keeper.channel.fd, data[:7])
    job = keeper  # nothing else may be sent meanwhile
    os.write(keeper.channel.fd, data[7:])
    assert job.wait("started", 777)
    keeper.order("dismiss", child=777)
    keeper.wait("ended", 777)


def test_a_supervisor_that_does_not_read_loses_nothing_and_costs_nothing(own_keeper: TestKeeper) -> None:
    chatty = """
    import itertools, time
    def handler(payload, job):
        for n in itertools.count():
            job.progress(0.5, str(n) * 60)
            time.sleep(0.005)
    """
    jobs = [own_keeper.job("def handler(payload): return 'x' * 900_000") for _ in range(4)]
    jobs.append(own_keeper.job(chatty))
    children = [own_keeper.start() for _ in jobs]
    for child, job in zip(children, jobs, strict=True):
        own_keeper.order("assign", child=child, job=job.to_frame(), grace=1, directory=job.directory)
    # Not a word is read until all but one are over.
    eventually(lambda: len(own_keeper.children()) == 1)
    before = cpu_seconds(own_keeper.pid)
    time.sleep(1)  # the measure itself
    assert cpu_seconds(own_keeper.pid) - before < 0.1
    for child in children[:-1]:
        assert len(own_keeper.wait("ended", child)["report"]["result"]) == 900_002
    own_keeper.order("terminate", child=children[-1], reason="cancel", grace=20)
    assert own_keeper.wait("ended", children[-1])["termination"]["reason"] == "cancel"


def test_without_processes_left_starts_fail_and_later_ones_work(tmp_path: Path) -> None:
    with group_of("pids") as group, keeper_in(tmp_path, "tree") as keeper:
        keeper.run("def handler(payload): return 1").ended()
        keeper.until(lambda: not keeper.children())
        (group / "cgroup.procs").write_text(str(keeper.pid))
        (group / "pids.max").write_text("3")
        spares = [keeper.start(), keeper.start()]
        before = keeper.descriptors()
        for child in (1001, 1002, 1003):
            keeper.order("start", child=child)
            assert keeper.wait("start_failed", child)["message"] == os.strerror(errno.EAGAIN)
        assert keeper.descriptors() == before
        keeper.order("dismiss", child=spares[0])
        keeper.wait("ended", spares[0])
        job = keeper.run("def handler(payload): open('full', 'w').close(); return 1")
        assert job.ended().value == 1
        keeper.until(lambda: not job.directory.exists())


def test_without_descriptors_left_starts_fail_and_ends_are_still_seen(own_keeper: TestKeeper) -> None:
    hard = resource.prlimit(own_keeper.pid, resource.RLIMIT_NOFILE)[1]
    resource.prlimit(own_keeper.pid, resource.RLIMIT_NOFILE, (40, hard))
    own_keeper.order("preload", targets=[], import_paths=[])
    own_keeper.wait("ready")
    for child in range(1001, 1040):
        own_keeper.order("start", child=child)
    assert "files" in own_keeper.wait("start_failed")["message"]
    own_keeper.wait("start_failed", 1039)
    before = own_keeper.descriptors()
    own_keeper.order("start", child=2000)
    own_keeper.wait("start_failed", 2000)
    assert own_keeper.descriptors() == before
    job = own_keeper.job(
        "import subprocess\ndef handler(p): subprocess.Popen(['sleep', '600'], start_new_session=True)"
    )
    own_keeper.order("assign", child=1001, job=job.to_frame(), grace=1, directory=job.directory)
    ended = own_keeper.wait("ended", 1001)
    assert ended["leftovers"] == 1
    assert own_keeper.start()


def test_a_directory_is_removed_although_there_are_many(own_keeper: TestKeeper) -> None:
    jobs = [
        own_keeper.run("def handler(p):\n for n in range(50): open(str(n), 'w').close()") for _ in range(10)
    ]
    for job in jobs:
        assert job.ended().outcome.status is JobStatus.COMPLETED
    own_keeper.until(lambda: not any(job.directory.exists() for job in jobs))
    own_keeper.until(lambda: not own_keeper.children())
