"""Whatever becomes of the http server, jobs start and end; and a dead one is replaced."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPException

import pytest

from supervisor.clock import SystemClock
from supervisor.settings import Locations
from supervisor.ways.straight import StoreWay
from supervisor.ways.typesfile import TypesFile
from supervisor.ways.way import Submission
from tests.api.server import UnixConnection
from tests.support import processes
from tests.support.eventually import eventually
from tests.support.history import check
from tests.support.service import LIMITS, Service, Serving
from workers.identity import Identity, state_of

ENOUGH = 20
"""Jobs that begin and end while nobody answers HTTP."""


class Load:
    """Jobs, submitted straight to the store one after the other, a few more than run at a time."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._over = threading.Event()
        self.acknowledged: list[str] = []

    def submit(self) -> None:
        at = Locations.resolve(self._service.state_dir, self._service.config)
        way = StoreWay(at, TypesFile(at.config), SystemClock(), create=False)
        try:
            while not self._over.wait(0.01):
                wanted = Submission("Nap", "0.01", priority=None, key=None, spare_key="")
                self.acknowledged.append(way.submit(wanted).id)
        finally:
            way.close()

    def stop(self) -> None:
        self._over.set()

    def goes_through(self) -> None:
        """Wait until enough of what is submitted from now on has begun, and has ended."""
        earlier = len(self.acknowledged)

        def fact() -> bool:
            ended = {note["job"] for note in self._service.notes() if note["event"] == "end"}
            return len(ended.intersection(self.acknowledged[earlier:])) >= ENOUGH

        eventually(fact)


@contextmanager
def load_on(service: Service) -> Iterator[Load]:
    load = Load(service)
    thread = threading.Thread(target=load.submit)
    thread.start()
    try:
        yield load
    finally:
        load.stop()
        thread.join()


def http_server(serving: Serving) -> Identity | None:
    """The one that this supervisor has now."""
    pid = processes.http_server(serving.pid)
    return None if pid is None else Identity.of(pid)


def kill_http(serving: Serving) -> None:
    """SIGKILL, and wait until it cannot execute another instruction."""
    victim = eventually(lambda: http_server(serving))
    assert victim is not None
    assert victim.send(signal.SIGKILL)
    eventually(lambda: not victim.is_running())


def answers(service: Service, within: float = 0.2) -> bool:
    connection = UnixConnection(str(service.state_dir), within)
    try:
        connection.request("GET", "/api/status/summary")
        return connection.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


@pytest.fixture
def serving(service: Service) -> Serving:
    """Ready for jobs, and its http server answers."""
    started = service.serve().ready()
    eventually(lambda: answers(service))
    return started


def test_killed_again_and_again_it_holds_up_no_job_and_then_answers_again(
    service: Service, serving: Serving
) -> None:
    first = http_server(serving)
    assert first is not None
    with load_on(service) as load:
        load.goes_through()
        kills = 0
        for _ in range(3):
            kill_http(serving)
            kills += 1
            assert not answers(service)
            load.goes_through()
        eventually(lambda: answers(service))
        load.goes_through()
    assert len(serving.events("http_ended")) == kills
    assert http_server(serving) not in (None, first)
    assert len(serving.events("keeper_started")) == 1
    jobs = service.all_ended(load.acknowledged)
    assert {job.status for job in jobs} == {"Completed"}
    check(service, load.acknowledged, LIMITS)


def test_stopped_it_holds_up_no_job_and_goes_on_where_it_was(service: Service, serving: Serving) -> None:
    server = http_server(serving)
    assert server is not None
    with load_on(service) as load:
        load.goes_through()
        assert server.send(signal.SIGSTOP)
        eventually(lambda: state_of(server.pid) == "T")
        waiting = UnixConnection(str(service.state_dir), 20.0)
        try:
            waiting.request("GET", "/healthz")  # the kernel takes it: the server cannot
            load.goes_through()
            assert not answers(service)
            assert state_of(server.pid) == "T"
            assert server.send(signal.SIGCONT)
            assert waiting.getresponse().status == 200
        finally:
            waiting.close()
    assert serving.events("http_ended") == []
    assert http_server(serving) == server
    jobs = service.all_ended(load.acknowledged)
    assert {job.status for job in jobs} == {"Completed"}
    check(service, load.acknowledged, LIMITS)


def test_one_that_hangs_for_too_long_is_replaced_and_no_job_notices(service: Service) -> None:
    serving = service.altered("supervisor.pings:_EVERY=2.0").ready()
    server = eventually(lambda: answers(service) and http_server(serving))
    assert isinstance(server, Identity)
    with load_on(service) as load:
        assert server.send(signal.SIGSTOP)
        serving.said("http_slow")
        load.goes_through()
    eventually(lambda: answers(service))
    assert not server.exists()
    service.all_ended(load.acknowledged)
    check(service, load.acknowledged, LIMITS)


def test_stopped_it_does_not_hold_up_the_end_of_the_service(service: Service, serving: Serving) -> None:
    server = http_server(serving)
    assert server is not None
    job = service.client.submit("Nap", 0.3).id
    service.began(job)
    assert server.send(signal.SIGSTOP)
    eventually(lambda: state_of(server.pid) == "T")
    assert serving.stop() == 0
    assert not server.exists()
    assert serving.events("http_stopped")  # it was not killed: it heard the signal
    assert service.job(job).status == "Completed"
