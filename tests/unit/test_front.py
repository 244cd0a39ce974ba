"""The watch over the http server's process, with a scripted clock and process."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from supervisor.front import Front
from supervisor.jobtypes.records import JobType
from tests.support.scripted import Scripted, scripted


class ScriptedProcess:
    pid = 1

    def __init__(self) -> None:
        self.code: int | None = None
        self.ready = False
        self.stopped = False
        self.asked_for_a_socket = 0
        self.asked_to_let_go = 0
        self.pings = 0

    def heard(self) -> bool:
        return self.ready

    def ping(self) -> None:
        self.pings += 1

    def kill(self) -> None:
        self.code = -9

    def exit_code(self) -> int | None:
        return self.code

    def renew_socket(self) -> None:
        self.asked_for_a_socket += 1

    def let_go(self) -> None:
        self.asked_to_let_go += 1

    def stop(self) -> None:
        self.stopped = True

    def close(self) -> None: ...


class Watched:
    """A front, its processes, and the time."""

    def __init__(self, it: Scripted) -> None:
        self.it = it
        self.processes: list[ScriptedProcess] = []
        self.failures = 0
        self.front = Front(self._start)

    def _start(self) -> Any:
        if self.failures:
            self.failures -= 1
            raise OSError(11, "Resource temporarily unavailable")
        self.processes.append(ScriptedProcess())
        return self.processes[-1]

    def after(self, seconds: float) -> None:
        self.it.clock.advance(seconds)
        self.front.tend(self.it.s)


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    with scripted(tmp_path, JobType(name="Mail", handler="a:b", max_concurrency=1)) as it:
        yield Watched(it)


def test_it_is_started_at_once_and_ready_when_it_says_so(watched: Watched) -> None:
    watched.after(0)
    assert len(watched.processes) == 1
    said = [watched.front.ready]
    watched.processes[0].ready = True
    watched.after(1)
    said.append(watched.front.ready)
    watched.processes[0].code = 1
    watched.after(1)
    said.append(watched.front.ready)
    assert said == [False, True, False]


def test_one_that_ends_again_and_again_is_started_with_a_growing_pause(watched: Watched) -> None:
    pauses = []
    watched.after(0)
    for _ in range(9):
        watched.processes[-1].code = 1
        watched.after(0)
        pauses.append(watched.front.due() - watched.it.clock.monotonic())
        watched.after(pauses[-1])
    assert pauses == sorted(pauses)
    assert pauses[0] < 1
    assert pauses[-1] == 30


def test_one_that_ran_well_is_started_again_soon(watched: Watched) -> None:
    watched.after(0)
    for _ in range(8):
        watched.processes[-1].code = 1
        watched.after(0)
        watched.after(30)
    watched.processes[-1].ready = True
    watched.after(1)
    watched.after(100)
    watched.processes[-1].code = -9
    watched.after(0)
    watched.after(0.5)
    assert watched.processes[-1].code is None


def test_where_no_process_can_be_made_it_is_tried_again(watched: Watched) -> None:
    watched.failures = 2
    watched.after(0)
    assert watched.processes == []
    for _ in range(3):
        watched.after(5)
    assert len(watched.processes) == 1


def test_a_stop_ends_it(watched: Watched) -> None:
    watched.after(0)
    watched.front.stop()
    assert watched.processes[0].stopped


def test_a_socket_that_is_gone_is_asked_for_once_a_second_from_one_that_listens(watched: Watched) -> None:
    watched.after(0)
    (process,) = watched.processes
    asked = [process.asked_for_a_socket]
    process.ready = True
    for seconds in (1, 0.5, 0.5, 1):
        watched.after(seconds)
        asked.append(process.asked_for_a_socket)
    socket = watched.it.s.settings.locations.api_socket
    socket.parent.mkdir(exist_ok=True)
    socket.touch()
    watched.after(1)
    asked.append(process.asked_for_a_socket)
    assert asked == [0, 1, 1, 2, 3, 3]


def test_where_the_database_is_locked_it_is_asked_to_let_go_of_its_connections(watched: Watched) -> None:
    it = watched.it
    it.get_ready()
    it.s.front = watched.front
    watched.after(0)
    watched.processes[0].ready = True
    it.tick(1)
    before = watched.processes[0].asked_to_let_go
    with it.store.write():
        it.tick(10)
    assert (before, watched.processes[0].asked_to_let_go) == (0, 1)


def test_one_that_answers_is_asked_again_and_again_and_one_that_does_not_is_replaced(
    watched: Watched,
) -> None:
    watched.after(0)
    (process,) = watched.processes
    process.ready = True
    for _ in range(6):
        watched.after(10)
    assert (process.pings, process.code) == (6, None)
    process.ready = False
    codes = []
    for _ in range(3):
        watched.after(10)
        codes.append(process.code)
    assert codes == [None, None, -9]
    assert "http_slow: the http server has not answered for 30 s" in watched.it.log.getvalue()
    watched.after(0)
    watched.after(0.5)
    assert len(watched.processes) == 2


def test_one_that_never_comes_to_listen_is_replaced(watched: Watched) -> None:
    watched.after(0)
    watched.after(89)
    codes = [watched.processes[0].code]
    watched.after(2)
    codes.append(watched.processes[0].code)
    assert codes == [None, -9]


def test_a_long_sleep_of_the_whole_service_is_not_held_against_it(watched: Watched) -> None:
    watched.after(0)
    watched.processes[0].ready = True
    watched.after(1)
    watched.processes[0].ready = False
    watched.after(10_000)
    assert watched.processes[0].code is None
