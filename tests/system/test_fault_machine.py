"""What befalls a running service from its machine: its clock, its folders, its keeper, what it may use."""

import json
import os
import resource
import shutil
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from supervisor.lifecycle import JobStatus
from tests.api.server import UnixConnection
from tests.support.eventually import eventually
from tests.support.history import check
from tests.support.limited import limited, memory
from tests.support.mounts import mounted
from tests.support.processes import http_server
from tests.support.service import LIMITS, TYPES, Service, Serving
from tests.support.shim import EVERYWHERE, Shim
from tests.system.conftest import services

A_DAY = 86_400
A_LONG_TIME = 60.0
SOON = (
    "supervisor.loop:_LONGEST_PAUSE=0.2",
    "supervisor.front:_LONGEST_PAUSE=0.5",
    "supervisor.keeper:_SETTLED=0.0",
    "supervisor.pings:_EVERY=1.4",
    "supervisor.stopping:_RECORDING_SECONDS=1.0",
)
"""A supervisor that does not wait so long before it tries again, or looks again."""
HERE = {
    "Until": {"handler": "chores:until", "max_concurrency": 5, "timeout": "1h"},
    "Stumble": {
        "handler": "again:stumble",
        "max_concurrency": 3,
        "retries": {"max_attempts": 3, "backoff": "fixed", "initial": "1s", "jitter": False},
    },
}


@dataclass
class Running:
    """A service, and a job of it that runs from before the fault until after it."""

    service: Service
    serving: Serving
    enough: Path
    job: str = ""

    def begins(self) -> None:
        self.job = self.service.client.submit("Until", str(self.enough)).id
        self.service.began(self.job)

    def completes(self, type_: str = "Echo", payload: object = 1) -> str:
        """A job that is submitted now."""
        job = self.service.client.submit(type_, payload).id
        (ended,) = self.service.all_ended([job])
        assert ended.status is JobStatus.COMPLETED, ended
        return job

    def completes_without_http(self) -> None:
        """The job that runs, as the database has it."""
        self.enough.touch()
        with self.service.sql() as database:
            status = "SELECT status FROM jobs WHERE id = ?"
            eventually(lambda: database.execute(status, (self.job,)).fetchone() == ("Completed",))

    def carries_on(self, *jobs: str) -> None:
        """What ran through it has completed, and the service was never gone."""
        self.enough.touch()
        more = self.completes()
        (ended,) = self.service.all_ended([self.job])
        assert ended.status is JobStatus.COMPLETED, ended
        assert self.serving.process.poll() is None
        check(self.service, [self.job, more, *jobs], LIMITS)

    def events(self, name: str) -> int:
        return len(self.serving.events(name))

    @property
    def http_server(self) -> int:
        """Its pid."""
        return eventually(lambda: http_server(self.serving.pid)) or 0


@pytest.fixture(scope="module")
def shared(folder: Path, shim: Shim, empty_database: Path) -> Iterator[tuple[Service, Serving]]:
    """One service for all of them: what is left of one fault would show in the next."""
    with services(folder, empty_database) as make:
        service = make(types={**TYPES, **HERE}, state_dir=folder / "place" / "state")
        serving = service.altered(*SOON, EVERYWHERE, **shim.environment)
        serving.said("http_listening", 60.0)
        serving.ready()
        yield service, serving


@pytest.fixture
def it(shared: tuple[Service, Serving], tmp_path: Path) -> Running:
    one = Running(*shared, tmp_path / "enough")
    one.begins()
    return one


# Folders


def test_without_its_folder_of_logs_a_job_makes_it_anew(it: Running) -> None:
    shutil.rmtree(it.service.state_dir / "logs")
    job = it.completes("Stumble", 0)
    assert it.service.run("logs", job).stdout == "attempt 1\n"
    it.carries_on(job)


def test_where_no_log_can_be_written_a_job_fails_and_says_why_and_the_service_lives(it: Running) -> None:
    logs = it.service.state_dir / "logs"
    aside = logs.rename(logs.with_name("aside"))
    logs.write_text("in the way")
    job = it.service.client.submit("Echo", 1).id
    (ended,) = it.service.all_ended([job])
    assert (ended.status, ended.failure_kind) == (JobStatus.FAILED, "not_started")
    assert "logs" in (ended.error_message or "")
    logs.unlink()
    aside.rename(logs)
    it.carries_on(job)


@pytest.mark.parametrize("name", ["logs", "work"])
def test_where_the_disk_takes_no_more_files_a_job_fails_and_says_why_and_the_service_lives(
    it: Running, name: str
) -> None:
    with mounted("tmpfs", it.service.state_dir / name, "size=1m,nr_inodes=1"):
        job = it.service.client.submit("Echo", 1).id
        (ended,) = it.service.all_ended([job])
        assert (ended.status, ended.failure_kind) == (JobStatus.FAILED, "not_started")
        assert "No space left" in (ended.error_message or "")
    it.carries_on(job)


def test_without_its_folder_of_work_a_job_makes_it_anew(it: Running) -> None:
    shutil.rmtree(it.service.state_dir / "work")
    job = it.completes("Litter", 0)
    it.carries_on(job)


def test_the_whole_state_folder_moved_away_and_back_is_waited_for(it: Running) -> None:
    backs = it.events("database_back")
    away = it.service.state_dir.rename(it.service.state_dir.with_name("away"))
    it.serving.said("database_unavailable")
    assert not it.service.state_dir.exists()
    away.rename(it.service.state_dir)
    it.serving.said("database_back", times=backs + 1)
    it.carries_on()


# Sockets


def test_a_wake_up_socket_that_was_removed_is_made_anew(it: Running) -> None:
    socket = it.service.state_dir / "wake.sock"
    socket.unlink()
    job = it.completes()
    eventually(socket.is_socket)
    it.carries_on(job)


def test_the_socket_of_the_http_server_that_was_removed_is_made_anew(it: Running) -> None:
    server, told = it.http_server, it.events("http_socket_renewed")
    (it.service.state_dir / "api.sock").unlink()
    it.serving.said("http_socket_renewed", times=told + 1)
    assert answers(it.service) == 200
    assert it.http_server == server
    it.carries_on()


def test_a_wake_up_socket_that_is_full_keeps_nobody_waiting(it: Running) -> None:
    it.service.freeze(it.serving)
    jobs = [it.service.client.submit("Brief", 0.01).id for _ in range(15)]
    it.serving.signal(signal.SIGCONT)
    it.service.all_ended(jobs)
    it.carries_on(*jobs)


# The keeper


def test_a_keeper_that_is_slow_is_waited_for(it: Running) -> None:
    pid = it.serving.keeper
    os.kill(pid, signal.SIGSTOP)
    job = it.service.client.submit("Echo", 1).id
    it.enough.touch()
    it.service.began(it.job, "end")
    assert it.service.job(it.job).status is JobStatus.IN_PROGRESS
    os.kill(pid, signal.SIGCONT)
    it.service.all_ended([it.job, job])
    it.carries_on(job)
    assert it.serving.keeper == pid


def test_a_keeper_that_is_stopped_is_replaced_and_its_jobs_say_so(it: Running) -> None:
    pid = it.serving.keeper
    os.kill(pid, signal.SIGSTOP)
    it.serving.said("keeper_slow")
    (ended,) = it.service.all_ended([it.job])
    assert (ended.status, ended.failure_kind) == (JobStatus.FAILED, "keeper_died")
    job = it.completes()
    assert it.serving.keeper != pid
    check(it.service, [it.job, job], LIMITS)


# What a process may use


def descriptors(pid: int) -> int:
    """The highest that is in use, and one more; not one that is open for a moment only."""
    looks = []
    for _ in range(20):
        looks.append(max(map(int, os.listdir(f"/proc/{pid}/fd"))) + 1)
        time.sleep(0.005)
    return min(looks)


def test_a_keeper_without_descriptors_starts_nothing_until_it_has_some(it: Running) -> None:
    told = it.events("child_not_started")
    with limited(it.serving.keeper, resource.RLIMIT_NOFILE, descriptors(it.serving.keeper)):
        jobs = [it.service.client.submit("Brief", 0.01).id for _ in range(5)]
        said = it.serving.said("child_not_started", times=told + 1)
        assert "Too many open files" in said["message"]
    it.service.all_ended(jobs)
    it.carries_on(*jobs)


def test_a_supervisor_without_descriptors_loses_nothing_and_replaces_what_died_once_it_has_some(
    it: Running,
) -> None:
    told = it.events("child_not_started")
    other = it.service.client.submit("Cookie", A_LONG_TIME).id
    it.service.began(other)
    with limited(it.serving.pid, resource.RLIMIT_NOFILE, 3):  # what is closed is not to be had again either
        os.kill(it.http_server, signal.SIGKILL)
        it.serving.kill_keeper()
        said = it.serving.said("child_not_started", times=told + 1)
        assert "Too many open files" in said["message"]
        assert it.serving.process.poll() is None
    eventually(lambda: answers(it.service) == 200)
    for ended in it.service.all_ended([it.job, other]):
        assert (ended.status, ended.failure_kind) == (JobStatus.FAILED, "keeper_died")
    job = it.completes()
    assert it.serving.process.poll() is None
    check(it.service, [it.job, other, job], LIMITS)


def test_an_http_server_without_descriptors_holds_up_no_job_and_answers_once_it_has_some(it: Running) -> None:
    server = it.http_server
    with limited(server, resource.RLIMIT_NOFILE, descriptors(server)):
        answers(it.service, timeout=0.3)
        it.completes_without_http()
    eventually(lambda: answers(it.service) == 200)
    it.carries_on()


def answers(service: Service, timeout: float = 5.0) -> int:
    """Status code of /readyz, asked once; 0 where nobody answers."""
    connection = UnixConnection(str(service.state_dir), timeout=timeout)
    try:
        connection.request("GET", "/readyz", headers={"Host": "localhost"})
        return connection.getresponse().status
    except OSError:
        return 0
    finally:
        connection.close()


def test_a_keeper_without_memory_harms_its_own_jobs_at_most(it: Running) -> None:
    keeper = it.serving.keeper
    with limited(keeper, resource.RLIMIT_AS, memory(keeper)):
        jobs = [it.service.client.submit("Brief", 0.01).id for _ in range(5)]
        ended = it.service.all_ended(jobs)
    for job in ended:
        assert job.status is JobStatus.COMPLETED or job.failure_kind in (
            "keeper_died",
            "not_started",
            "exited",
        ), job
    assert it.completes()
    it.enough.touch()
    it.service.all_ended([it.job])
    assert it.serving.process.poll() is None
    assert "Traceback" not in it.serving.log.read_text()


def test_an_http_server_without_memory_holds_up_no_job_and_answers_once_it_has_some(it: Running) -> None:
    server = it.http_server
    with limited(server, resource.RLIMIT_AS, memory(server)):
        for _ in range(3):
            answers(it.service, timeout=0.3)
        it.completes_without_http()
    eventually(lambda: answers(it.service) == 200)
    it.carries_on()


# The clock, after all that is judged by the order of recorded times


@pytest.mark.parametrize("seconds", [A_DAY, -A_DAY])
def test_a_clock_that_is_set_by_a_day_ends_no_job_and_holds_back_none(
    it: Running, shim: Shim, seconds: int
) -> None:
    before = it.completes()
    retried = it.service.client.submit("Stumble", 1).id
    eventually(lambda: it.service.job(retried).run_at)
    shim.step_clock(seconds)
    try:
        assert it.completes()
        (ended,) = it.service.all_ended([retried])
        assert (ended.status, ended.attempt) == (JobStatus.COMPLETED, 2)
        status = json.loads(it.service.run("status", "--json").stdout)
        assert [each["state"] for each in status["supervisors"]] == ["running"]
        assert it.service.job(it.job).status is JobStatus.IN_PROGRESS
        assert it.service.job(before).status is JobStatus.COMPLETED
    finally:
        shim.step_clock(0)
    it.enough.touch()
    assert it.service.all_ended([it.job])[0].status is JobStatus.COMPLETED
    assert it.completes()
    assert not it.serving.events("orphans_found")


# At the end, for nothing comes after it


def is_removed(folder: Path) -> bool:
    """The service may be making files in there at the same moment."""
    shutil.rmtree(folder, ignore_errors=True)
    return not folder.exists()


def test_the_whole_state_folder_gone_it_says_so_lives_and_can_be_stopped(it: Running) -> None:
    told = it.events("database_unavailable")
    eventually(lambda: is_removed(it.service.state_dir))
    it.enough.touch()
    it.serving.said("database_unavailable", times=told + 1)
    it.service.began(it.job, "end")
    assert not it.service.state_dir.exists()
    it.serving.signal(signal.SIGTERM)
    it.serving.signal(signal.SIGTERM)
    assert it.serving.ended(50) == 4
    assert it.serving.log.read_text().splitlines()[-1].startswith("Error: the database did not answer")
    assert not it.service.state_dir.exists()
    eventually(lambda: not it.service.alive())
