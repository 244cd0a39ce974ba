"""Hosts that have less than this one: the keeper starts, says what holds its jobs, and keeps that promise."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from supervisor.lifecycle import FailureKind, Isolation
from tests.support.cgroups import group_of
from tests.support.eventually import eventually
from tests.support.keeper import TestKeeper, groups_can_be_made, keeper_in
from tests.support.processes import gone, noted
from workers.hierarchies import hierarchies
from workers.limits import Limits
from workers.trees import left_by

MIB = 2**20
UNIFIED = [str(each.folder) for each in hierarchies() if each.unified]
CONTROLLERS = [str(each.folder) for each in hierarchies() if not each.unified]

HOSTS = {
    "no control groups": "umount -R /sys/fs/cgroup",
    "control groups to look at": "for m in $(grep ' - cgroup' /proc/self/mountinfo | cut -d' ' -f5);"
    " do mount -o remount,bind,ro $m; done",
    "version 1 alone": "umount $(stat -c %m " + " ".join(UNIFIED) + ")",
    "no controllers": "umount $(stat -c %m " + " ".join(CONTROLLERS) + ")",
}
"""What makes one of this host, in a mount namespace of its own."""
PROMISES = {
    "no control groups": (Isolation.TREE, set()),
    "control groups to look at": (Isolation.TREE, set()),
    "version 1 alone": (Isolation.TREE, {"memory", "pids"}),
    "no controllers": (Isolation.CGROUP, set()),
}


@pytest.fixture(scope="module", params=HOSTS)
def host(request: pytest.FixtureRequest) -> str:
    if os.getuid() != 0 or not shutil.which("unshare"):
        pytest.skip("to take control groups away from a keeper takes root, and unshare")
    if not (groups_can_be_made() and UNIFIED and CONTROLLERS):
        pytest.skip("this host has not the two versions of control groups to take away")
    return str(request.param)


@pytest.fixture(scope="module")
def keeper(host: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestKeeper]:
    less = ["unshare", "-m", "sh", "-c", f'{HOSTS[host]} && exec "$@"', "sh"]
    with keeper_in(tmp_path_factory.mktemp("host"), through=less) as made:
        yield made


def test_it_says_what_holds_its_jobs(keeper: TestKeeper, host: str) -> None:
    isolation, limits = PROMISES[host]
    keeper.order("preload", targets=[], import_paths=[])
    ready = keeper.wait("ready")
    assert (ready["isolation"], set(ready["limits"])) == (isolation, limits)
    assert keeper.run("def handler(payload): return 1").ended().outcome.isolation is isolation


def test_a_daemon_without_an_environment_is_gone_with_its_job(keeper: TestKeeper, tmp_path: Path) -> None:
    script = f"env -i setsid sleep 600 & echo $! > {tmp_path}/pids"
    ended = keeper.run(command=["sh", "-c", script]).ended()
    assert gone(*noted(tmp_path / "pids"))
    assert ended.frame["leftovers"] == 1


def test_a_memory_limit_is_held_by_what_there_is(keeper: TestKeeper, host: str) -> None:
    source = f"def handler(payload):\n held = bytearray(600 * {MIB})"
    outcome = keeper.run(source, limits=Limits(memory=300 * MIB)).ended().outcome
    assert outcome.failure_kind is FailureKind.OUT_OF_MEMORY
    by_process = outcome.error_message == "a process of it was refused memory at its limit; MemoryError"
    assert by_process == ("memory" not in PROMISES[host][1])


def test_a_limit_of_processes_is_held_or_the_job_is_not_started(keeper: TestKeeper, host: str) -> None:
    source = "import os, time\ndef handler(payload):\n while os.fork(): pass\n time.sleep(60)"
    outcome = keeper.run(source, limits=Limits(processes=5)).ended().outcome
    kind = FailureKind.RAISED if "pids" in PROMISES[host][1] else FailureKind.NOT_STARTED
    assert outcome.failure_kind is kind


def test_a_strangers_group_whose_name_is_no_text_stops_no_search() -> None:
    with group_of("pids") as group:
        named = os.fsencode(group) + b"/\xff"
        os.mkdir(named)
        stranger = subprocess.Popen(["sleep", "600"])
        try:
            with open(named + b"/cgroup.procs", "w") as processes:
                processes.write(str(stranger.pid))
            assert stranger.pid not in [each.pid for each in left_by("nobody", [])]
        finally:
            stranger.kill()
            stranger.wait()
            eventually(lambda: not Path(os.fsdecode(named + b"/cgroup.procs")).read_text())
            os.rmdir(named)
