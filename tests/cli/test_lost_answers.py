"""The server dies, or its answer does not arrive: what was asked is asked again, and done once."""

from pathlib import Path

import pytest

from supervisor.client import Client
from supervisor.lifecycle import JobStatus
from supervisor.store.records import CancelAnswer
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
