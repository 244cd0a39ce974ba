from collections.abc import Sequence
from dataclasses import replace

import pytest

from supervisor.errors import NoSupervisor
from supervisor.lifecycle import JobStatus
from supervisor.store.records import Job
from supervisor.waiting import LONGEST_PAUSE, PATIENCE, SHORTEST_PAUSE, WINDOW, WaitTimedOut, changes
from tests.support.builders import NOW, a_job

PENDING = a_job(id="a")
RUNNING = replace(PENDING, status=JobStatus.IN_PROGRESS, started_at=NOW)
DONE = replace(RUNNING, status=JobStatus.COMPLETED, completed_at=NOW)


class Played:
    """A database that goes through prepared looks, and a clock that only a pause moves."""

    def __init__(self, *looks: tuple[Job, bool]) -> None:
        self.looks = list(looks)
        self.now = 100.0
        self.pauses: list[float] = []

    def look(self, ids: Sequence[str]) -> tuple[list[Job], bool]:
        assert list(ids) == ["a"]
        job, served = self.looks.pop(0) if len(self.looks) > 1 else self.looks[0]
        return [job], served

    def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds

    def changes(self, timeout: float | None = None) -> list[list[Job]]:
        return list(changes(self.look, ["a"], timeout, monotonic=lambda: self.now, pause=self.pause))


def test_it_ends_when_the_job_has_ended_and_tells_each_change_once() -> None:
    played = Played((PENDING, True), (PENDING, True), (RUNNING, True), (DONE, True))
    assert played.changes() == [[PENDING], [], [RUNNING], [DONE]]


def test_a_job_that_had_ended_is_not_waited_for_even_without_a_supervisor() -> None:
    played = Played((DONE, False))
    assert played.changes() == [[DONE]]
    assert played.pauses == []


def test_pauses_grow_from_the_shortest_to_the_longest() -> None:
    played = Played(*[(RUNNING, True)] * 20, (DONE, True))
    played.changes()
    assert played.pauses[0] == SHORTEST_PAUSE
    assert played.pauses == sorted(played.pauses)
    assert played.pauses[-1] == LONGEST_PAUSE


@pytest.mark.parametrize("job", [PENDING, RUNNING])
def test_without_a_supervisor_it_gives_up_at_once(job: Job) -> None:
    played = Played((job, False))
    with pytest.raises(NoSupervisor, match="no service is running"):
        played.changes()
    assert played.pauses == []


def test_an_outcome_written_just_before_the_supervisor_left_is_not_missed() -> None:
    assert Played((RUNNING, True), (RUNNING, False), (DONE, False)).changes()[-1] == [DONE]


@pytest.mark.parametrize("job", [PENDING, RUNNING])
def test_a_supervisor_that_was_there_is_waited_for_while_it_is_restarted(job: Job) -> None:
    gone = [(job, False)] * int(PATIENCE / LONGEST_PAUSE - 2)
    played = Played((PENDING, True), *gone, (job, True), *gone, (job, True), (DONE, True))
    assert played.changes()[-1] == [DONE]


@pytest.mark.parametrize("job", [PENDING, RUNNING])
def test_a_supervisor_that_does_not_come_back_is_not_waited_for_for_ever(job: Job) -> None:
    played = Played((job, True), (job, False))
    with pytest.raises(NoSupervisor, match="no service is running"):
        played.changes()
    assert PATIENCE <= played.now - 100.0 <= PATIENCE + 2 * LONGEST_PAUSE
    assert min(played.pauses) >= SHORTEST_PAUSE


def test_a_timeout_is_kept_also_while_the_supervisor_is_away() -> None:
    with pytest.raises(WaitTimedOut):
        Played((PENDING, True), (PENDING, False)).changes(timeout=PATIENCE / 2)


def test_a_supervisor_that_appears_between_two_looks_is_waited_for() -> None:
    assert Played((RUNNING, False), (RUNNING, True), (DONE, True)).changes()[-1] == [DONE]


def test_after_the_timeout_it_says_which_job_has_not_ended() -> None:
    played = Played((RUNNING, True))
    with pytest.raises(WaitTimedOut, match=r"job a has not ended after 1\.5 seconds") as caught:
        played.changes(timeout=1.5)
    assert played.now == pytest.approx(101.5)
    assert isinstance(caught.value, TimeoutError)


def test_a_timeout_of_nothing_looks_once() -> None:
    assert Played((DONE, True)).changes(timeout=0) == [[DONE]]
    with pytest.raises(WaitTimedOut):
        Played((RUNNING, True)).changes(timeout=0)


def test_many_jobs_are_looked_at_a_window_at_a_time() -> None:
    sizes: list[int] = []

    def look(ids: Sequence[str]) -> tuple[list[Job], bool]:
        sizes.append(len(ids))
        return [replace(DONE, id=each) for each in ids], True

    def never(_: float) -> None:
        pytest.fail("there is nothing to wait for")

    told = list(changes(look, [str(n) for n in range(2 * WINDOW + 1)], pause=never))
    assert sizes == [WINDOW, WINDOW, 1]
    assert sum(map(len, told)) == 2 * WINDOW + 1
