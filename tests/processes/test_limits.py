"""What a job may use, held by whatever this host has; at each level of isolation."""

import os
from pathlib import Path

import pytest

from supervisor.lifecycle import FailureKind, Isolation, JobStatus
from tests.support.keeper import EACH_LEVEL, WITH_GROUPS, WITHOUT_GROUPS, TestKeeper
from tests.support.processes import gone, noted
from workers.abilities import obstacle
from workers.confinement import Confinement
from workers.limits import Limits

MIB = 2**20
EAT = "import mmap, os, subprocess, sys, time\nMIB = 2**20\n"


def needs_controllers(keeper: TestKeeper) -> None:
    if not {"memory", "pids"} <= set(keeper.limits):
        pytest.skip("no control groups with the controllers for memory and processes here")


@WITH_GROUPS
def test_a_job_over_its_memory_is_out_of_memory_for_certain(keeper: TestKeeper) -> None:
    needs_controllers(keeper)
    source = EAT + "def handler(payload):\n held = bytearray(300 * MIB)\n return len(held)"
    outcome = keeper.run(source, limits=Limits(memory=100 * MIB)).ended().outcome
    assert (outcome.failure_kind, outcome.signal) == (FailureKind.OUT_OF_MEMORY, 9)
    assert outcome.error_message == "the kernel's out-of-memory killer ended 1 of its processes"
    assert outcome.usage is not None
    assert 90 * MIB < (outcome.usage.peak_bytes or 0) <= 100 * MIB


KINDS_OF_MEMORY = {
    "private memory": "mmap.mmap(-1, 300 * MIB, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)",
    "shared memory": "mmap.mmap(-1, 300 * MIB)",
    "a file in memory": "open(os.memfd_create('m'), 'wb', 0)",
    "/dev/shm": "open(os.open('/dev/shm', os.O_TMPFILE | os.O_RDWR), 'wb', 0)",
    "a private /tmp": "open(os.open('/tmp', os.O_TMPFILE | os.O_RDWR), 'wb', 0)",
}


@pytest.mark.parametrize("where", KINDS_OF_MEMORY.values(), ids=KINDS_OF_MEMORY)
@WITH_GROUPS
def test_no_kind_of_memory_escapes_a_group(keeper: TestKeeper, where: str) -> None:
    """Filled piece by piece: 300 MiB in one piece would be over the limit before they are anywhere."""
    needs_controllers(keeper)
    what = Confinement(private_tmp=True) if "'/tmp'" in where else Confinement()
    if what.asks_for_sandbox and (why := obstacle(what)):
        pytest.skip(why)
    source = EAT + f"def handler(payload):\n held = {where}\n for _ in range(300): held.write(bytes(MIB))"
    job = keeper.run(source, limits=Limits(memory=100 * MIB), confinement=what)
    outcome = job.ended().outcome
    assert outcome.failure_kind is FailureKind.OUT_OF_MEMORY, outcome


@WITH_GROUPS
def test_children_do_not_escape_a_group_each_with_a_part_of_its_memory(keeper: TestKeeper) -> None:
    needs_controllers(keeper)
    fork = "[os.fork() or (bytearray(60 * MIB), time.sleep(60)) for _ in range(5)]; os.wait()"
    source = EAT + f"def handler(payload):\n {fork}\n return 1"
    job = keeper.run(source, limits=Limits(memory=100 * MIB))
    assert job.ended().frame["oom_kills_of_it"] >= 1


@WITH_GROUPS
def test_a_grandchild_that_is_killed_for_memory_is_the_cause_of_the_failure_that_follows(
    keeper: TestKeeper,
) -> None:
    needs_controllers(keeper)
    hog = "x = bytearray(300 * 2**20)"
    source = EAT + f"def handler(payload):\n subprocess.run([sys.executable, '-c', {hog!r}], check=True)"
    outcome = keeper.run(source, limits=Limits(memory=100 * MIB)).ended().outcome
    assert outcome.failure_kind is FailureKind.OUT_OF_MEMORY
    assert "; CalledProcessError" in (outcome.error_message or "")


@WITH_GROUPS
def test_a_job_killed_from_outside_is_not_out_of_memory(keeper: TestKeeper) -> None:
    needs_controllers(keeper)
    source = "import os\ndef handler(payload): os.kill(os.getpid(), 9)"
    outcome = keeper.run(source, limits=Limits(memory=100 * MIB)).ended().outcome
    assert outcome.failure_kind is FailureKind.SIGNALLED


@WITHOUT_GROUPS
def test_without_a_group_memory_is_held_for_each_process(keeper: TestKeeper) -> None:
    source = EAT + "def handler(payload):\n held = bytearray(600 * MIB)"
    outcome = keeper.run(source, limits=Limits(memory=300 * MIB)).ended().outcome
    assert outcome.failure_kind is FailureKind.OUT_OF_MEMORY
    assert outcome.error_message == "a process of it was refused memory at its limit; MemoryError"


@EACH_LEVEL
def test_a_job_can_start_no_more_processes_than_it_may(keeper: TestKeeper) -> None:
    source = """
    import os, time

    def handler(payload):
        for started in range(100):
            try:
                if os.fork() == 0:
                    time.sleep(60)
            except BlockingIOError:
                return started
    """
    outcome = keeper.run(source, limits=Limits(processes=10)).ended().outcome
    if keeper.isolation == "tree":
        assert outcome.failure_kind is FailureKind.NOT_STARTED
        assert (outcome.error_message or "").startswith("limits.processes is 10, and nothing on this host")
    else:
        needs_controllers(keeper)
        assert outcome.result == "9"


@WITH_GROUPS
def test_a_fork_bomb_is_bounded_and_ended(keeper: TestKeeper, tmp_path: Path) -> None:
    needs_controllers(keeper)
    source = f"""
    import os

    def handler(payload):
        with open({str(tmp_path / "pids")!r}, "a") as file:
            file.write(f"{{os.getpid()}}\\n")
        while True:
            try:
                if os.fork() == 0:
                    os.setsid()
            except BlockingIOError:
                pass
    """
    job = keeper.run(source, limits=Limits(processes=40))
    (main,) = noted(tmp_path / "pids", 1)
    job.terminate(grace=0)
    ended = job.ended()
    assert gone(main)
    assert ended.outcome.status is JobStatus.CANCELLED
    assert (ended.outcome.termination or {})["killed"] >= 2


@pytest.mark.parametrize(
    "burn",
    [
        "while True: pass",
        "pid = os.fork()\n while True: pass",
        "subprocess.run([sys.executable, '-c', 'while True: pass'])",
    ],
    ids=["itself", "two processes", "a child"],
)
@EACH_LEVEL
def test_a_job_that_has_used_up_its_processor_time_is_ended(keeper: TestKeeper, burn: str) -> None:
    source = EAT + f"def handler(payload):\n {burn}"
    outcome = keeper.run(source, limits=Limits(cpu_time=0.5)).ended().outcome
    assert outcome.failure_kind is FailureKind.TIMED_OUT
    assert outcome.error_message == "it used all the processor time that it may (cpu_time)"
    assert (outcome.termination or {})["reason"] == "cpu_time"
    assert outcome.usage is not None
    assert outcome.usage.user_seconds + outcome.usage.system_seconds >= 0.4


@EACH_LEVEL
def test_a_job_that_sleeps_uses_no_processor_time(keeper: TestKeeper) -> None:
    job = keeper.run(
        "import time\ndef handler(payload): time.sleep(1.5); return 1", limits=Limits(cpu_time=1.0)
    )
    assert job.ended().value == 1


@EACH_LEVEL
def test_open_files_and_file_sizes_are_held(keeper: TestKeeper) -> None:
    source = """
    import errno, os

    def handler(payload):
        seen, opened = [], []
        try:
            while True:
                opened.append(os.open("/dev/null", os.O_RDONLY))
        except OSError as error:
            seen.append(error.errno == errno.EMFILE)
        for fd in opened:
            os.close(fd)
        try:
            with open("large", "wb") as file:
                file.write(b"x" * 5000)
        except OSError as error:
            seen.append(error.errno == errno.EFBIG)
        return seen
    """
    job = keeper.run(source, limits=Limits(open_files=64, file_size=4096))
    assert job.ended().value == [True, True]


@EACH_LEVEL
def test_a_limit_cannot_be_raised_by_the_job(keeper: TestKeeper) -> None:
    source = """
    import resource

    def handler(payload):
        return resource.getrlimit(resource.RLIMIT_NOFILE)
    """
    assert keeper.run(source, limits=Limits(open_files=64)).ended().value == [64, 64]


@EACH_LEVEL
def test_the_level_is_on_record(keeper: TestKeeper) -> None:
    outcome = keeper.run("def handler(payload): return 1").ended().outcome
    assert outcome.isolation is Isolation(keeper.isolation)


@EACH_LEVEL
def test_nothing_is_left_of_the_groups(own_keeper: TestKeeper) -> None:
    own_keeper.run("def handler(payload): return 1").ended()
    own_keeper.hang_up()
    assert [name for name in os.listdir("/sys/fs/cgroup") if own_keeper.owner in name] == []
