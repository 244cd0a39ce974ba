"""No process of a job outlives its supervisor by more than a moment: looked for from outside, through /proc.

ASYNCWORKER_TEST_SURVIVORS_KILLS says how often it is killed at each level.
"""

import os
import random
import signal
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from supervisor.lifecycle import FailureKind
from tests.support.eventually import eventually
from tests.support.keeper import groups_can_be_made
from tests.support.observer import workers_of
from tests.support.processes import gone, serves_http
from tests.support.service import TYPES, Service, Serving
from tests.system.conftest import MakeService
from workers.abilities import obstacle
from workers.confinement import Confinement
from workers.identity import Identity
from workers.subtree import ISOLATION, left_of
from workers.trees import tree_of

KILLS = int(os.environ.get("ASYNCWORKER_TEST_SURVIVORS_KILLS", "2"))
LOAD = ("Daemon", "Daemon", "Stubborn", "Deaf", "Deaf", "Litter", "Cookie")
"""Daemons with and without an environment; jobs that ignore SIGTERM; jobs that block every signal."""


def types_for(level: str, folder: Path) -> dict[str, Any]:
    deaf = {"handler": "chores:deaf", "max_concurrency": 2}
    sandbox = {"sandbox": {"writable": [str(folder)]}} if level == "namespace" else {}
    return {name: settings | sandbox for name, settings in (TYPES | {"Deaf": deaf}).items() if name in LOAD}


def skip_without(level: str) -> None:
    if level == "cgroup" and not groups_can_be_made():
        pytest.skip("no control groups can be made here (version 2, with cgroup.kill)")
    if level == "namespace" and (why := obstacle(Confinement(writable=["/var/tmp"]))):
        pytest.skip(why)


def both(serving: Serving) -> tuple[set[Identity], set[Identity]]:
    """The service (supervisor, keeper, http server), and all others below it: spares, jobs, leftovers."""
    root = Identity.of(serving.pid)
    everything = set(tree_of(root)) if root else set()
    known = {serving.pid, *(int(event["pid"]) for event in serving.events("keeper_started"))}
    service = {who for who in everything if who.pid in known or serves_http(who.pid)}
    return service, everything - service


@pytest.mark.timeout(120 + 20 * KILLS)
@pytest.mark.parametrize("level", ["namespace", "cgroup", "tree"])
def test_no_process_of_a_job_outlives_its_supervisor(
    make_service: MakeService, tmp_path: Path, level: str
) -> None:
    skip_without(level)
    service = make_service(types=types_for(level, tmp_path))
    dice, seen, seconds = random.Random(KILLS), 0, list[float]()
    try:
        for _ in range(KILLS):
            processes, took = kill(service, level, dice.uniform(0, 0.5))
            seen += processes
            seconds.append(took)
    finally:
        sys.stdout.write(f"{level}: {told(seen, sorted(seconds))}\n")


def told(processes: int, seconds: list[float]) -> str:
    if not seconds:
        return "killed never"
    return (
        f"{len(seconds)} kills, {processes} processes; all gone after {seconds[len(seconds) // 2]:.3f} s"
        f" in the middle, {seconds[-1]:.3f} s at most, {sum(each > 1 for each in seconds)} times over 1 s"
    )


def kill(service: Service, level: str, after: float) -> tuple[int, float]:
    """A new supervisor: how many processes of jobs it had when it was killed, and how long the last lived."""
    serving = service.serve(**{ISOLATION: "tree"} if level == "tree" else {})
    submitted = [service.client.submit(name, 600.0).id for name in LOAD]
    eventually(lambda: any(service.job(job).pid for job in submitted), within=60.0)
    time.sleep(after)  # not for a fact: the kill is to come at any moment
    service_itself, there = both(serving)
    serving.kill()
    killed = time.monotonic()
    eventually(lambda: gone(*there) and not workers_of(service.state_dir), within=60.0)
    took = time.monotonic() - killed
    eventually(lambda: gone(*service_itself), within=60.0)  # a dying http server loses answers
    for job in submitted:
        service.client.cancel(job)
    return len(there), took


def test_where_both_die_at_once_a_daemon_without_an_environment_is_found_by_its_group(
    service: Service,
) -> None:
    """By nothing else: its parents are gone, its session is its own, its environment is empty."""
    skip_without("cgroup")
    first = service.serve().ready()
    job = service.client.submit("Daemon", 600.0).id
    eventually(lambda: len(daemons(service)) == 2)
    first.signal(signal.SIGSTOP)  # so that it has not a moment without its keeper
    first.kill_keeper()
    first.kill()
    left = daemons(service)
    assert not any(gone(daemon) for daemon in left)
    service.serve()
    (ended,) = service.all_ended([job])
    assert ended.failure_kind is FailureKind.OWNER_DIED
    assert gone(*left)
    assert left_of(first.uuid) == []


def daemons(service: Service) -> list[Identity]:
    return [Identity(note["pid"], note["ticks"]) for note in service.notes() if note["event"] == "daemon"]
