"""Where a service of its own may have no more: an ordinary user no more processes, a supervisor no memory."""

import contextlib
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil

from supervisor.lifecycle import JobStatus
from tests.escapes.ground import ordinary
from tests.support.eventually import eventually
from tests.support.history import check
from tests.support.limited import limited, memory
from tests.support.observer import is_spare
from tests.support.processes import http_server
from tests.support.service import LIMITS, TYPES, Serving
from tests.system.conftest import MakeService, serve_as_an_ordinary_user
from workers.identity import state_of

SOON = (
    "supervisor.loop:_LONGEST_PAUSE=0.2",
    "supervisor.front:_LONGEST_PAUSE=0.5",
    "supervisor.keeping:_LONGEST_PAUSE=0.5",
)
NO_MORE = "Resource temporarily unavailable"


def test_where_its_user_may_have_no_more_processes_jobs_wait_or_fail_and_the_service_lives(
    open_folder: Path, make_service: MakeService
) -> None:
    service = make_service(open_folder)
    serving = serve_as_an_ordinary_user(service)
    enough = open_folder / "enough"
    running = service.client.submit("Until", str(enough)).id
    service.began(running)
    eventually(lambda: len(spares(serving)) == 2)
    with no_more_processes(serving.pid, serving.keeper, *spares(serving)):
        jobs = [service.client.submit("Cookie", 0.01).id for _ in range(2)]
        for ended in service.all_ended(jobs):
            assert (ended.status, ended.failure_kind) == (JobStatus.FAILED, "raised"), ended
            assert NO_MORE in (ended.error_message or "")
        waits = service.client.submit("Echo", 1).id
        assert NO_MORE in serving.said("child_not_started")["message"]
        os.kill(eventually(lambda: http_server(serving.pid)) or 0, signal.SIGKILL)
        eventually(lambda: [said for said in serving.events("http_ended") if NO_MORE in said["why"]])
        assert serving.process.poll() is None
    enough.touch()
    ids = [running, waits, service.client.submit("Cookie", 0.01).id]
    for ended in service.all_ended(ids):
        assert ended.status is JobStatus.COMPLETED, ended
    serving.said("http_listening", times=2)
    check(service, [*jobs, *ids], LIMITS)


LOWER = """
import resource, sys
for pid in map(int, sys.argv[2:]):
    hard = resource.prlimit(pid, resource.RLIMIT_NPROC)[1]
    resource.prlimit(pid, resource.RLIMIT_NPROC, (int(sys.argv[1]) or hard, hard))
"""


@contextlib.contextmanager
def no_more_processes(*pids: int) -> Iterator[None]:
    """For these. Their own user lowers it: of others it takes a privilege that root may not have."""
    lower = [*ordinary(namespaces=True), sys.executable, "-c", LOWER]
    subprocess.run([*lower, "1", *map(str, pids)], check=True)
    try:
        yield
    finally:
        living = [pid for pid in pids if state_of(pid) not in (None, "Z")]
        subprocess.run([*lower, "0", *map(str, living)], check=True)


def spares(serving: Serving) -> list[int]:
    keeper = serving.keeper
    return [child.pid for child in psutil.Process(keeper).children() if is_spare(child.pid, {keeper})]


def test_a_supervisor_without_memory_goes_on_or_ends_with_one_sentence_and_no_job_is_lost(
    make_service: MakeService,
) -> None:
    service = make_service(types=TYPES)
    service.http = False
    serving = service.altered(*SOON)
    serving.ready()
    large = "x" * 1_000_000
    jobs = [service.client.submit("Echo", 1).id]
    service.all_ended(jobs)

    def is_short_of_it() -> bool:
        """More work, until it can be seen."""
        jobs.append(service.client.submit("Echo", large).id)
        return bool(serving.events("database_unavailable")) or serving.process.poll() is not None

    with limited(serving.pid, resource.RLIMIT_AS, memory(serving.pid)):
        eventually(is_short_of_it, 60.0, 0.1)
    if serving.process.poll() is not None:
        said = serving.log.read_text().splitlines()[-1]
        assert said == "Error: the service cannot go on: there is no memory left; start it again"
        assert serving.process.returncode == 1
        service.serve().ready()
    service.all_ended(jobs, 60.0)
    assert "Traceback" not in service.logs()
    check(service, jobs, LIMITS)
