"""The server dies, or its answer does not arrive: what was asked is asked again, and done once."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from supervisor.client import Client
from supervisor.errors import JobNotEnded
from supervisor.lifecycle import JobStatus
from supervisor.store.records import CancelAnswer
from supervisor.ways.exchange import Answer, Exchange
from supervisor.ways.straight import StoreWay
from supervisor.ways.through import SocketWay
from tests.cli.commandline import Installation, PlayedService, way_of
from tests.cli.httpserver import forgetful, serving


@pytest.fixture(scope="module")
def way() -> str:
    return "socket"


@pytest.fixture(autouse=True)
def here(installation: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(installation.folder)


def test_a_submit_whose_answer_is_lost_is_asked_again_and_done_once(
    installation: Installation, tmp_path: Path
) -> None:
    with forgetful(installation, tmp_path, b"POST") as front, Client(front) as client:
        assert isinstance(way_of(client), SocketWay)
        job = client.submit("EmailJob", {"a": 1})
        assert isinstance(way_of(client), StoreWay)
        assert [each.id for each in client.list().items] == [job.id]


def test_a_cancel_whose_answer_is_lost_is_not_taken_for_somebody_elses(
    installation: Installation, service: PlayedService, straight: Client, tmp_path: Path
) -> None:
    pending, running = straight.submit("EmailJob").id, straight.submit("EmailJob").id
    service.start(running)
    with forgetful(installation, tmp_path, b"DELETE") as front:
        with Client(front) as client:
            assert isinstance(way_of(client), SocketWay)
            assert client.cancel(pending).answer is CancelAnswer.CANCELLED
        with Client(front) as client:
            assert isinstance(way_of(client), SocketWay)
            assert client.cancel(running).answer is CancelAnswer.REQUESTED


def test_a_retry_whose_answer_is_lost_is_not_taken_for_a_job_that_never_ended(
    installation: Installation, straight: Client, tmp_path: Path
) -> None:
    job = straight.submit("EmailJob").id
    straight.cancel(job)
    with forgetful(installation, tmp_path, b"POST") as front, Client(front) as client:
        assert isinstance(way_of(client), SocketWay)
        assert client.retry(job).status is JobStatus.PENDING
        assert isinstance(way_of(client), StoreWay)


@pytest.mark.parametrize("status", [401, 503])
def test_what_the_server_refused_has_not_been_done_and_is_not_taken_for_done(
    service: PlayedService, through: Client, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    running, ended = through.submit("EmailJob").id, through.submit("EmailJob").id
    through.cancel(ended)
    service.start(running)
    monkeypatch.setattr(Exchange, "ask", lambda *_, **__: Answer(status, {}, b"{}"))
    with pytest.raises(JobNotEnded, match="it is InProgress"):
        through.retry(running)
    assert through.retry(ended).status is JobStatus.PENDING
    assert through.cancel(running).answer is CancelAnswer.REQUESTED
    assert through.cancel(running).answer is CancelAnswer.ALREADY_REQUESTED
    through.submit("EmailJob")
    assert len(service.jobs()) == 3


def test_a_refused_retry_stays_refused_where_the_server_is_lost_right_after(
    service: PlayedService, through: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = through.submit("EmailJob").id
    service.start(job)
    ask = Exchange.ask

    def lost_when_looking(exchange: Exchange, method: str, target: str, **more: Any) -> Answer:
        if method == "GET":
            monkeypatch.setattr("supervisor.ways.exchange._Connection", nobody)
            exchange.close()
        return ask(exchange, method, target, **more)

    monkeypatch.setattr(Exchange, "ask", lost_when_looking)
    with pytest.raises(JobNotEnded, match="it is InProgress"):
        through.retry(job)
    assert isinstance(way_of(through), StoreWay)


def nobody(*_: object) -> None:
    raise ConnectionRefusedError


@pytest.mark.parametrize("broken", [b"", b"{}"])
def test_what_the_server_did_is_done_once_where_its_answer_is_not_understood(
    service: PlayedService, through: Client, monkeypatch: pytest.MonkeyPatch, broken: bytes
) -> None:
    ask = Exchange.ask

    def garbled(exchange: Exchange, method: str, target: str, **more: Any) -> Answer:
        return replace(ask(exchange, method, target, **more), body=broken)

    monkeypatch.setattr(Exchange, "ask", garbled)
    job = through.submit("EmailJob").id
    assert [each.id for each in service.jobs()] == [job]
    assert through.cancel(job).answer is CancelAnswer.CANCELLED
    assert through.retry(job).status is JobStatus.PENDING


def test_a_question_whose_answer_is_lost_is_asked_the_other_way(
    installation: Installation, straight: Client, tmp_path: Path
) -> None:
    job = straight.submit("EmailJob")
    with (
        forgetful(installation, tmp_path, f"GET /api/jobs/{job.id}".encode()) as front,
        Client(front) as client,
    ):
        assert isinstance(way_of(client), SocketWay)
        assert client.get(job.id) == job
        assert isinstance(way_of(client), StoreWay)


def test_a_wait_goes_on_when_the_server_dies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = Installation(tmp_path / "mine")
    monkeypatch.chdir(mine.folder)
    with serving(mine) as started, Client(mine.state_dir) as client:
        played = PlayedService(mine)
        job = client.submit("EmailJob").id
        played.start(job)
        seen = iter(client.watch([job]))
        assert [each.status for each in next(seen)] == [JobStatus.IN_PROGRESS]
        started.die()
        assert next(seen) == []
        played.end(job, JobStatus.COMPLETED)
        assert [each.status for look in seen for each in look] == [JobStatus.COMPLETED]
        played.store.close()
