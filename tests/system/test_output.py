"""What a job printed, whoever was killed meanwhile."""

import os
import signal
from pathlib import Path

import pytest

from supervisor.lifecycle import FailureKind, JobStatus
from tests.support.eventually import eventually
from tests.support.service import Service, Serving
from tests.system.conftest import MakeService

LIMIT = 100_000
LAST = 200_000
PRINTED = sum(len(str(n)) + 1 for n in range(1, LAST + 1))
TYPES = {"Count": {"command": ["sh", "-c", f"seq {LAST}; exec sleep 3600"], "limits": {"output": LIMIT}}}


@pytest.fixture
def service(make_service: MakeService) -> Service:
    return make_service(types=TYPES)


def log_of(service: Service, job_id: str) -> Path:
    return service.client.locations.log_of(job_id, 1)


def running(service: Service) -> str:
    """A job that has printed all that it will."""
    job_id = service.client.submit("Count").id

    def printed() -> bool:
        log = log_of(service, job_id)
        return log.exists() and log.stat().st_size == PRINTED

    eventually(printed)
    return job_id


def check(service: Service, job_id: str) -> None:
    lines = service.run("logs", job_id).stdout.splitlines()
    (between,) = [n for n, line in enumerate(lines) if line.startswith("[... ")]
    missing = int(lines[between].split()[1].replace(",", ""))
    lines.pop(between)
    assert sum(len(line) + 1 for line in lines) + missing == PRINTED
    assert [int(line) for line in lines] == [
        *range(1, between + 1),
        *range(LAST + between + 1 - len(lines), LAST + 1),
    ]
    assert log_of(service, job_id).stat().st_blocks * 512 <= LIMIT + 3 * 4096


def kill_job(service: Service, serving: Serving, job_id: str) -> None:
    pid = service.job(job_id).pid
    assert pid
    os.kill(pid, signal.SIGKILL)


def kill_supervisor(service: Service, serving: Serving, job_id: str) -> None:
    serving.kill()
    service.serve().ready()


@pytest.mark.parametrize(
    "strike, kinds",
    [
        (kill_job, {FailureKind.SIGNALLED, FailureKind.OUT_OF_MEMORY}),  # the latter where another test's was
        (kill_supervisor, {FailureKind.OWNER_DIED}),
    ],
)
def test_what_was_printed_before_a_sigkill_is_there_and_cut_to_its_limit(
    service: Service, strike: object, kinds: set[FailureKind]
) -> None:
    assert callable(strike)
    serving = service.serve().ready()
    job_id = running(service)
    strike(service, serving, job_id)
    (job,) = service.all_ended([job_id])
    assert job.status is JobStatus.FAILED
    assert job.failure_kind in kinds
    check(service, job_id)


def test_after_the_death_of_the_keeper_the_end_of_the_log_is_there(service: Service) -> None:
    serving = service.serve().ready()
    job_id = running(service)
    serving.kill_keeper()
    (job,) = service.all_ended([job_id])
    assert job.failure_kind is FailureKind.KEEPER_DIED
    assert service.run("logs", job_id).stdout.endswith(f"\n{LAST - 1}\n{LAST}\n")
