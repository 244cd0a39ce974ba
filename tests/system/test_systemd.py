"""The service under a real systemd, as PID 1 of a machine of its own that costs a second."""

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cli.unitfile import Installation, unit_file
from supervisor.lifecycle import JobStatus
from supervisor.store.records import Job
from tests.support.eventually import eventually
from tests.support.observer import carriers
from tests.support.service import COMMAND, HERE, PROJECT, TYPES, Service
from tests.support.systemd import Systemd, systemd
from tests.tree import ROOT
from workers.identity import Identity

UNIT = "asyncworker.service"
A_LONG_TIME = 60.0


class Machine:
    """A systemd with our unit in it. State folder and job types are the same files inside and outside."""

    def __init__(self, manager: Systemd, folder: Path) -> None:
        self.manager = manager
        self.service = Service(folder, TYPES, runs=folder / "state" / "runs.jsonl")
        self.log_file = folder / "log"

    def install(self, *options: str, drop_in: str = "") -> None:
        """What `asyncworker unit` prints in there."""
        places = ("--state-dir", str(self.service.state_dir), "--config", str(self.service.config))
        self.install_unit(*places, "--no-http", "--log-format", "json", *options, drop_in=drop_in)

    def install_unit(self, *options: str, drop_in: str) -> None:
        output = f"append:{self.log_file}"
        given = f"[Service]\nRestartSec=100ms\nStandardOutput={output}\nStandardError={output}\n{drop_in}"
        unit = self.manager.run(str(COMMAND), "unit", *options).stdout
        self.manager.write(f"/etc/systemd/system/{UNIT}", unit)
        self.manager.write(f"/etc/systemd/system/{UNIT}.d/test.conf", given)
        self.manager.control("daemon-reload")

    def start(self) -> None:
        self.manager.control("start", UNIT)

    def began(self, type_: str, payload: Any = A_LONG_TIME) -> Job:
        """A job that has written down that it has."""
        job = self.service.client.submit(type_, payload)
        self.service.began(job.id)
        return self.service.job(job.id)

    def ended(self, *jobs: Job) -> list[Job]:
        return self.service.all_ended(jobs, 40.0)

    def shows(self, name: str) -> str:
        return self.manager.shows(UNIT, name)

    def log(self) -> str:
        return self.log_file.read_text(errors="replace")

    def is_in_state(self, state: str) -> bool:
        return self.shows("ActiveState") == state

    def strike(self) -> None:
        """SIGKILL for the supervisor, and for nobody else."""
        self.manager.control("kill", "--kill-who=main", "--signal=KILL", UNIT)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("shared")


@pytest.fixture(scope="module")
def manager(shared: Path) -> Iterator[Systemd]:
    with systemd(ROOT, Path(sys.prefix), Path(sys.base_prefix), shared=shared) as one:
        yield one


@pytest.fixture
def machine(manager: Systemd, shared: Path, empty_database: Path) -> Iterator[Machine]:
    folder = Path(tempfile.mkdtemp(dir=shared))
    one = Machine(manager, folder)
    one.service.state_dir.mkdir(mode=0o700)
    shutil.copy(empty_database, one.service.database)
    try:
        yield one
    finally:
        manager.control("kill", "--signal=KILL", UNIT, check=False)
        manager.control("stop", UNIT, check=False)
        manager.control("reset-failed", UNIT, check=False)
        manager.run("rm", "-rf", f"/etc/systemd/system/{UNIT}.d")
        one.service.end()


# The files


def analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    return subprocess.run(
        ["systemd-analyze", "--no-pager", *arguments], capture_output=True, text=True, timeout=50, check=False
    )


def test_the_unit_that_is_printed_is_valid(tmp_path: Path) -> None:
    file = tmp_path / UNIT
    printed = subprocess.run(
        [str(COMMAND), "unit", "--config", str(ROOT / "jobtypes.yaml")], capture_output=True, check=True
    )
    file.write_bytes(printed.stdout)
    verified = analyze("verify", "--man=no", str(file))
    assert (verified.returncode, verified.stdout, verified.stderr) == (0, "", "")


def test_the_unit_in_deploy_is_what_would_be_printed_there_and_is_well_guarded() -> None:
    file = ROOT / "deploy" / UNIT
    expected = unit_file(
        Installation(
            command=(
                "/opt/asyncworker/bin/asyncworker",
                "serve",
                "--config",
                "/etc/asyncworker/jobtypes.yaml",
            ),
            user="asyncworker",
            reads=(Path("/opt/asyncworker"),),
        )
    )
    assert file.read_text() == expected
    if "offline" not in analyze("--help").stdout:
        pytest.skip("this systemd-analyze cannot judge a file")
    judged = analyze("security", "--offline=yes", "--threshold=40", str(file))
    assert judged.returncode == 0, judged.stdout[-300:]


# Start, stop, reload


def test_started_means_ready_and_the_status_counts(machine: Machine) -> None:
    machine.install()
    machine.start()
    assert machine.shows("StatusText") == "0 Pending, 0 InProgress, 0 Completed, 0 Failed, 0 Cancelled"
    assert "supervisor_ready" in machine.log()
    (job,) = machine.ended(machine.service.client.submit("Echo", 1))
    assert job.status is JobStatus.COMPLETED
    eventually(lambda: "1 Completed" in machine.shows("StatusText"))
    assert machine.shows("WatchdogUSec") == "30s"
    machine.manager.control("stop", UNIT)
    assert (machine.shows("Result"), machine.shows("ExecMainStatus")) == ("success", "0")


def test_a_stop_lets_jobs_end_and_ends_the_rest_in_their_own_way(machine: Machine) -> None:
    machine.install("--drain-timeout", "1s")
    machine.start()
    until = machine.began("Until", str(machine.service.state_dir / "enough"))
    stubborn = [machine.began("Stubborn") for _ in range(2)]
    machine.manager.control("stop", "--no-block", UNIT)
    eventually(lambda: machine.is_in_state("deactivating"))
    (machine.service.state_dir / "enough").touch()
    eventually(lambda: machine.is_in_state("inactive"), 40.0)
    assert machine.shows("Result") == "success"
    assert machine.ended(until)[0].status is JobStatus.COMPLETED
    for ended in machine.ended(*stubborn):
        assert ended.failure_kind == "owner_died"
        assert "stopped" in (ended.error_message or "")


def test_a_drain_that_is_longer_than_systemd_would_wait_asks_for_time(machine: Machine) -> None:
    machine.install("--drain-timeout", "1m", drop_in="TimeoutStopSec=3\n")
    machine.start()
    job = machine.began("Nap", 5)
    machine.manager.control("stop", UNIT)
    assert machine.shows("Result") == "success"
    assert machine.ended(job)[0].status is JobStatus.COMPLETED


def test_a_reload_changes_the_types_of_the_same_process(machine: Machine) -> None:
    machine.install()
    machine.start()
    before = machine.shows("MainPID")
    running = machine.began("Nap")
    machine.service.configure({**TYPES, "New": TYPES["Echo"]})
    machine.manager.control("reload", UNIT)
    (new,) = machine.ended(machine.service.client.submit("New", 7))
    assert new.status is JobStatus.COMPLETED
    eventually(lambda: machine.is_in_state("active"))
    assert machine.shows("MainPID") == before
    assert machine.service.job(running.id).status is JobStatus.IN_PROGRESS


# What systemd does when something goes wrong


def test_after_a_sigkill_systemd_starts_it_again_and_nothing_is_left_of_its_jobs(machine: Machine) -> None:
    machine.install()
    machine.start()
    killed = [machine.began("Cookie"), machine.began("Single")]
    waiting = [machine.service.client.submit("Single", 0.1) for _ in range(3)]
    machine.strike()
    eventually(lambda: machine.shows("NRestarts") == "1" and machine.is_in_state("active"), 40.0)
    assert {job.failure_kind for job in machine.ended(*killed)} == {"owner_died"}
    assert {job.status for job in machine.ended(*waiting)} == {JobStatus.COMPLETED}
    assert carriers_of(killed[0]) == []


def test_killed_while_it_stops_its_jobs_are_gone_and_recorded_by_the_next(machine: Machine) -> None:
    machine.install("--drain-timeout", "1m")
    machine.start()
    job = machine.began("Cookie")
    machine.manager.control("stop", "--no-block", UNIT)
    eventually(lambda: "Stopping: 1 running jobs left" in machine.shows("StatusText"))
    machine.strike()
    eventually(lambda: machine.is_in_state("failed"))
    assert carriers_of(job) == []
    machine.manager.control("reset-failed", UNIT)
    machine.start()
    assert machine.service.job(job.id).failure_kind == "owner_died"


def test_a_loop_that_is_stuck_is_ended_by_the_watchdog_and_shows_where(machine: Machine) -> None:
    stuck = machine.service.state_dir / "stuck"
    command = f"ExecStart=\nExecStart={sys.executable} -P {HERE}/stuck.py {stuck}\n"
    at = machine.service
    given = f"Environment=ASYNCWORKER_CONFIG={at.config} ASYNCWORKER_STATE_DIR={at.state_dir}\n"
    machine.install(drop_in=f"WatchdogSec=2\nExecStartPre=-/bin/rm {stuck}\n{command}{given}")
    machine.start()
    job = machine.began("Nap")
    stuck.touch()
    eventually(lambda: machine.shows("NRestarts") == "1" and machine.is_in_state("active"), 60.0)
    assert "in keep_spares" in machine.log()
    assert machine.ended(job)[0].failure_kind == "owner_died"


def test_a_mistake_in_the_configuration_is_not_tried_again(machine: Machine) -> None:
    machine.install()
    machine.service.config.write_text("job_types: {Nap: {max_concurrency: 0}}")
    assert machine.manager.control("start", UNIT, check=False).returncode != 0
    assert (machine.shows("ActiveState"), machine.shows("NRestarts")) == ("failed", "0")
    assert machine.shows("ExecMainStatus") == "2"
    assert "max_concurrency" in machine.log()


def test_a_database_that_is_none_is_tried_some_times_and_then_left(machine: Machine) -> None:
    machine.install(drop_in="[Unit]\nStartLimitBurst=3\n")
    letter = "This is a letter to my aunt, and no database.\n" * 100
    machine.service.database.write_text(letter)
    machine.manager.control("start", UNIT, check=False)
    eventually(lambda: machine.is_in_state("failed"), 60.0)
    assert (machine.shows("NRestarts"), machine.shows("ExecMainStatus")) == ("3", "4")
    assert machine.service.database.read_text() == letter


# As a user of its own


def test_guarded_and_as_an_ordinary_user_jobs_still_have_their_sandboxes(machine: Machine) -> None:
    manager = machine.manager
    manager.run("useradd", "--system", "--no-create-home", "asyncworker", check=False)
    for folder in (*Path(sys.executable).resolve().parents, *ROOT.parents, *PROJECT.parents):
        manager.run("chmod", "a+rx", str(folder))  # in the throw-away layer
    sandbox = {"network": False, "private_tmp": True, "read_only": True}
    boxed = {"command": ["true"], "max_concurrency": 1, "sandbox": sandbox}
    manager.write("/etc/asyncworker/jobtypes.yaml", json.dumps({"job_types": {"Boxed": boxed}}))
    capabilities = "CapabilityBoundingSet=\nAmbientCapabilities=\n"
    machine.install_unit(
        "--config", "/etc/asyncworker/jobtypes.yaml", drop_in=f"User=asyncworker\n{capabilities}"
    )
    machine.start()
    places = ("--state-dir", "/var/lib/asyncworker", "--config", "/etc/asyncworker/jobtypes.yaml")
    done = manager.run(str(COMMAND), *places, "submit", "Boxed", "--wait", check=False)
    assert done.returncode == 0, done.stdout + done.stderr + machine.log()
    owner = manager.run("stat", "-c", "%U %a", "/var/lib/asyncworker").stdout
    assert owner == "asyncworker 700\n"


def carriers_of(job: Job) -> list[Identity]:
    """What runs, as it is seen from outside, and was started by that job's supervisor."""
    assert job.owner
    return carriers(job.owner)
