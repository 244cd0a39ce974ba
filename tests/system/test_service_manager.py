"""What a whole service says to whoever manages it, and that it is true when it is said."""

import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from supervisor.lifecycle import JobStatus
from tests.api.server import UnixConnection
from tests.support.eventually import eventually
from tests.support.service import HERE, Service
from tests.support.servicemanager import Listener

A_LONG_TIME = 60.0


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Listener]:
    with Listener(tmp_path, abstract=request.param == "abstract") as one:
        yield one


def answers(service: Service) -> int:
    """Status code of /readyz, asked once."""
    connection = UnixConnection(str(service.state_dir), timeout=20)
    try:
        connection.request("GET", "/readyz", headers={"Host": "localhost"})
        return connection.getresponse().status
    finally:
        connection.close()


def test_at_ready_http_answers_jobs_are_claimed_and_orphans_have_ended(
    service: Service, manager: Listener
) -> None:
    first = service.serve().ready()
    orphan = service.client.submit("Nap", A_LONG_TIME)
    service.began(orphan.id)
    first.kill()
    waiting = service.client.submit("Echo", 1)
    second = service.serve(NOTIFY_SOCKET=manager.address)
    manager.hears("READY=1")
    assert answers(service) == 200
    assert service.job(orphan.id).status is JobStatus.FAILED
    assert second.events("supervisor_ready")
    service.all_ended([waiting])
    manager.hears("STATUS=0 Pending, 0 InProgress, 1 Completed, 1 Failed, 0 Cancelled")


def test_a_stop_is_said_with_its_request_for_time_and_nobody_else_could_say_it(
    service: Service, manager: Listener, tmp_path: Path
) -> None:
    serving = service.serve(NOTIFY_SOCKET=manager.address)
    manager.hears("READY=1")
    job = service.client.submit("Until", str(tmp_path / "enough"))
    service.began(job.id)
    below = psutil.Process(serving.pid).children(recursive=True)
    assert len(below) >= 3  # keeper, http server, the job
    for process in below:
        with suppress(psutil.NoSuchProcess):
            assert "NOTIFY_SOCKET" not in process.environ()
    serving.signal(signal.SIGTERM)
    manager.hears("STATUS=Stopping: 1 running jobs left")
    (tmp_path / "enough").touch()
    assert serving.ended() == 0
    manager.lines()
    end = manager.all[manager.all.index("STOPPING=1") :]
    assert "EXTEND_TIMEOUT_USEC=30000000" in end
    assert "READY=1" not in end


def test_a_loop_that_turns_feeds_the_watchdog_and_one_that_is_stuck_does_not(
    service: Service, tmp_path: Path
) -> None:
    with Listener(tmp_path) as manager:
        serving = service.serve(
            "-P",
            str(HERE / "stuck.py"),
            str(tmp_path / "stuck"),
            NOTIFY_SOCKET=manager.address,
            WATCHDOG_USEC="600000",
        )
        manager.hears("READY=1")
        job = service.client.submit("Nap", A_LONG_TIME)
        service.began(job.id)
        for _ in range(3):
            manager.all.clear()
            manager.hears("WATCHDOG=1")
        (tmp_path / "stuck").touch()
        eventually(lambda: silent(manager))
        serving.signal(signal.SIGABRT)
        assert serving.ended() == -signal.SIGABRT
        assert "keep_spares" in serving.log.read_text()
    (tmp_path / "stuck").unlink()
    service.serve()
    assert service.all_ended([job])[0].failure_kind == "owner_died"


def silent(manager: Listener, seconds: float = 1.8) -> bool:
    """Whether three times the watchdog's interval pass without a word."""
    manager.lines()
    time.sleep(seconds)
    return not manager.lines()
