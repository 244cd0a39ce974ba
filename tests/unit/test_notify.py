"""What a service manager hears, with a scripted clock and a real socket."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from supervisor.jobtypes.records import JobType
from supervisor.notify import Notify, send
from supervisor.store import jobs
from tests.support.scripted import HELD, Scripted, scripted
from tests.support.servicemanager import Listener


@pytest.fixture(params=["path", "abstract"])
def listener(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Listener]:
    with Listener(tmp_path, abstract=request.param == "abstract") as one:
        yield one


@pytest.fixture
def it(tmp_path: Path) -> Iterator[Scripted]:
    with scripted(tmp_path, JobType(name="Mail", handler="a:b", max_concurrency=2)) as one:
        yield one


class Front:
    """An http server that answers when the test wants it to."""

    ready = False
    process = None

    def tend(self, s: object) -> None: ...
    def stop(self) -> None: ...
    def due(self) -> float:
        return float("inf")


def heard(listener: Listener) -> list[str]:
    """Everything sent so far, the requests for time left out."""
    return [line for line in listener.lines() if not line.startswith("EXTEND_TIMEOUT_USEC=")]


def test_ready_is_said_once_when_jobs_can_be_claimed_and_http_answers(
    it: Scripted, listener: Listener
) -> None:
    it.s.notify, it.s.front = Notify(listener.address), (front := Front())  # type: ignore[assignment]
    it.get_ready()
    assert it.s.ready
    assert heard(listener) == [
        "STATUS=Starting: the keeper gets ready",
        "STATUS=Waiting for the http server",
    ]
    front.ready = True
    it.tick()
    it.tick()
    counts = "STATUS=0 Pending, 0 InProgress, 0 Completed, 0 Failed, 0 Cancelled"
    assert heard(listener) == ["READY=1", counts]
    front.ready = False
    it.tick()
    assert heard(listener) == ["STATUS=Waiting for the http server"]


def test_the_status_counts_jobs(it: Scripted, listener: Listener) -> None:
    it.s.notify = Notify(listener.address)
    it.get_ready()
    with it.store.write() as tx:
        for number in range(3):
            jobs.insert(
                tx, id=f"job-{number}", type="Mail", payload="1", priority=0, max_attempts=1, created_at=1
            )
    heard(listener)
    it.tick()
    it.start_children()
    it.tick()
    assert heard(listener)[-1] == "STATUS=1 Pending, 2 InProgress, 0 Completed, 0 Failed, 0 Cancelled"


def test_stopping_is_said_once_and_time_is_asked_for_again_and_again(
    it: Scripted, listener: Listener
) -> None:
    it.s.notify = Notify(listener.address)
    it.get_ready()
    with it.store.write() as tx:
        jobs.insert(tx, id="one", type="Mail", payload="1", priority=0, max_attempts=1, created_at=1)
    it.tick()
    it.start_children()
    listener.lines()
    it.signals.arrived = 1
    it.tick()
    assert listener.lines() == [
        "STOPPING=1",
        "STATUS=Stopping: 1 running jobs left",
        "EXTEND_TIMEOUT_USEC=30000000",
    ]
    it.tick(1)
    assert listener.lines() == []
    for _ in range(3):
        assert it.s.notify.due() <= it.clock.monotonic() + 5
        it.tick(5)
        assert listener.lines() == ["EXTEND_TIMEOUT_USEC=30000000"]


def test_a_stop_asks_for_time_at_once_however_lately_the_start_did(it: Scripted, listener: Listener) -> None:
    it.s.notify = Notify(listener.address)
    it.tick(0.01)
    it.keeper.said(op="ready", pid=it.keeper.pid, preloaded=[], refused={}, **HELD)
    for _ in range(3):
        it.tick(0.01)
    assert "READY=1" in listener.lines()
    it.signals.arrived = 1
    it.tick(0.01)
    assert "EXTEND_TIMEOUT_USEC=30000000" in listener.lines()


def test_time_is_asked_for_until_jobs_can_be_claimed(it: Scripted, listener: Listener) -> None:
    it.s.notify = Notify(listener.address)
    for _ in range(3):
        it.tick(6)
    assert listener.lines().count("EXTEND_TIMEOUT_USEC=30000000") == 3


def test_the_watchdog_is_fed_by_turns_and_no_more_often_than_it_needs(
    it: Scripted, listener: Listener
) -> None:
    it.s.notify = Notify(listener.address, watchdog=30.0)
    it.get_ready()
    listener.lines()
    for seconds, fed in ((10, 1), (3, 0), (3, 0), (5, 1)):
        it.tick(seconds)
        assert listener.lines().count("WATCHDOG=1") == fed
    assert it.s.notify.due() == it.clock.monotonic() + 10


def test_the_loop_does_not_sleep_longer_than_the_watchdog_allows(it: Scripted, listener: Listener) -> None:
    it.s.notify = Notify(listener.address, watchdog=0.6)
    it.get_ready()
    assert it.loop._until_next() == pytest.approx(0.2)


def test_a_turn_that_does_not_come_to_its_end_feeds_no_watchdog(it: Scripted, listener: Listener) -> None:
    it.s.notify = Notify(listener.address, watchdog=3.0)
    it.get_ready()
    listener.lines()

    def stuck(_: object) -> None:
        raise TimeoutError

    it.s.keeping.keep_spares = stuck  # type: ignore[assignment]
    with pytest.raises(TimeoutError):
        it.tick(10)
    assert listener.lines() == []


def test_a_socket_that_takes_nothing_is_said_once_and_tried_again(it: Scripted, tmp_path: Path) -> None:
    it.s.notify = Notify(str(tmp_path / "notify"))
    it.get_ready()
    assert it.log.getvalue().count("notify_failed") == 1
    with Listener(tmp_path) as late:
        it.tick()
        assert "READY=1" in late.lines()


def test_without_a_socket_nothing_is_sent_and_nothing_is_due(it: Scripted) -> None:
    it.get_ready()
    it.tick()
    assert it.s.notify.due() == float("inf")
    assert "notify_failed" not in it.log.getvalue()


def test_a_full_socket_holds_nobody_up(tmp_path: Path) -> None:
    def fill(address: str) -> None:
        for _ in range(100_000):
            send(address, "WATCHDOG=1")

    with Listener(tmp_path) as deaf, pytest.raises(BlockingIOError):
        fill(deaf.address)


def test_the_variables_are_taken_out_of_the_environment() -> None:
    environ = {
        "NOTIFY_SOCKET": "@here",
        "WATCHDOG_USEC": "3000000",
        "WATCHDOG_PID": str(os.getpid()),
        "PATH": "/bin",
    }
    notify = Notify.from_environment(environ)
    assert environ == {"PATH": "/bin"}
    assert notify._feed_every == 1.0


@pytest.mark.parametrize("more", [{"WATCHDOG_PID": "1"}, {"WATCHDOG_USEC": "soon"}, {"WATCHDOG_USEC": "0"}])
def test_a_watchdog_that_is_not_ours_is_not_fed(more: dict[str, str]) -> None:
    environ = {"NOTIFY_SOCKET": "@here", "WATCHDOG_USEC": "3000000"} | more
    assert Notify.from_environment(environ)._feed_every is None


def test_an_abstract_name_is_no_file(tmp_path: Path) -> None:
    with Listener(tmp_path, abstract=True) as listener:
        send(listener.address, "READY=1")
        assert listener.lines() == ["READY=1"]
        assert not os.path.exists(listener.address)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as probe, pytest.raises(ConnectionRefusedError):
        probe.connect("\0" + listener.address[1:])
