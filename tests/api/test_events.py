"""The stream of changes: each of them, in time, again after an interruption, and whatever listeners do."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import text

from supervisor.lifecycle import JobStatus
from supervisor.store.derived import CHANGES_KEPT
from tests.api.server import HttpServer
from tests.api.stream import listening
from tests.cli.commandline import PlayedService
from tests.support.eventually import eventually

IN_TIME = 0.25


def test_each_change_arrives_as_the_job_was_then(server: HttpServer, service: PlayedService) -> None:
    with listening(server) as stream:
        job_id = server.submit(payload={"secret": 1})["id"]
        service.start(job_id)
        service.end(job_id, JobStatus.COMPLETED, result='{"large": 1}')
        seen = [stream.next() for _ in range(3)]
    assert [(kind, data["status"]) for kind, data in seen] == [
        ("message", "Pending"),
        ("message", "InProgress"),
        ("message", "Completed"),
    ]
    job = server.get(f"/api/jobs/{job_id}").json
    assert seen[2][1] == {name: job[name] for name in job if name not in ("payload", "result")}


def test_a_change_arrives_within_a_quarter_of_a_second(server: HttpServer, service: PlayedService) -> None:
    with listening(server) as stream:
        delays = []
        for _ in range(10):
            server.submit()
            at = time.monotonic()
            stream.next()
            delays.append(time.monotonic() - at)
    assert sorted(delays)[5] < IN_TIME, delays


def test_whoever_was_cut_off_goes_on_where_it_was(server: HttpServer, service: PlayedService) -> None:
    with listening(server) as stream:
        first = server.submit()["id"]
        stream.next()
        last_id = stream.last_id
    second, third = server.submit()["id"], server.submit()["id"]
    with listening(server, last_id) as stream:
        assert stream.statuses(2) == [(second, "Pending"), (third, "Pending")]
        service.start(first)
        assert stream.statuses(1) == [(first, "InProgress")]


def test_whoever_was_cut_off_before_the_first_event_misses_none(server: HttpServer) -> None:
    with listening(server) as stream:
        assert stream.response.readline().startswith(b"id: ")
        stream.response.readline()
        with listening(server) as other:
            server.submit()
            other.next()
            number = str(int(other.last_id) - 1)
    with listening(server, number) as stream:
        assert stream.next()[1]["status"] == "Pending"


def test_two_listeners_hear_the_same(server: HttpServer) -> None:
    with listening(server) as one, listening(server) as two:
        job_id = server.submit()["id"]
        assert one.statuses(1) == two.statuses(1) == [(job_id, "Pending")]


@pytest.mark.parametrize("last_id", ["x", "-1", "1.5", "9" * 30])
def test_an_id_of_no_event_is_refused(server: HttpServer, last_id: str) -> None:
    assert server.get("/api/events", Last_Event_ID=last_id).fields == ["Last-Event-ID"]


def many_changes(played: PlayedService, job_id: str, number: int) -> None:
    with played.store.write() as tx:
        tx.execute(
            text("UPDATE jobs SET progress_message = :text, progress_fraction = :n WHERE id = :id"),
            [{"text": "x" * 1500, "n": n / number, "id": job_id} for n in range(number)],
        )


def test_changes_that_are_kept_no_more_are_said_to_be_lost_and_no_more_than_that_are_kept(
    start: Callable[..., HttpServer], played: PlayedService
) -> None:
    server = start()
    job_id = server.submit()["id"]
    played.start(job_id)
    many_changes(played, job_id, CHANGES_KEPT + 110)
    with played.store.read() as tx:
        number = tx.scalar(text("SELECT count(*) FROM job_changes"))
    assert CHANGES_KEPT <= number < CHANGES_KEPT + 100
    for last_id in ("1", "999999999"):
        with listening(server, last_id) as stream:
            assert stream.next() == ("reset", {})
            other = server.submit()["id"]
            assert stream.statuses(1) == [(other, "Pending")]
    with listening(server, "120") as stream:
        assert stream.next()[0] == "message"


def test_listeners_are_bounded_in_number(start: Callable[..., HttpServer]) -> None:
    server = start()
    connections = []
    try:
        for _ in range(64):
            connection = server.connect()
            connections.append(connection)
            connection.request("GET", "/api/events")
            assert connection.getresponse().status == 200
        refused = server.get("/api/events")
        assert refused.problem["status"] == 503
        assert refused.headers["retry-after"]
        assert server.get("/api/jobs").status == 200
    finally:
        for connection in connections:
            connection.close()
    eventually(lambda: can_listen(server))


def can_listen(server: HttpServer) -> bool:
    connection = server.connect()
    try:
        connection.request("GET", "/api/events")
        return connection.getresponse().status == 200
    finally:
        connection.close()


def test_nobody_looks_at_the_database_while_nobody_listens(start: Callable[..., HttpServer]) -> None:
    server = start()
    with listening(server):
        assert not is_at_rest(server)
    eventually(lambda: is_at_rest(server))


def is_at_rest(server: HttpServer) -> bool:
    """Whether none of its threads wakes for three looks' time."""

    def wakes() -> int:
        found = 0
        for status in Path(f"/proc/{server.process.pid}/task").glob("*/status"):
            (line,) = (line for line in status.read_text().splitlines() if line.startswith("voluntary"))
            found += int(line.split()[1])
        return found

    before = wakes()
    time.sleep(0.4)  # nothing can be waited for where nothing is to happen
    return wakes() == before
