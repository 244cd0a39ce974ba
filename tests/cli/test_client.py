"""The client as Python callers use it."""

import os
import socket
from collections.abc import Iterator
from typing import Any

import pytest

import asyncworker
from supervisor.client import Client
from supervisor.errors import InvalidPayload, NoSupervisor, UnknownJob
from supervisor.lifecycle import JobStatus
from supervisor.store import Transaction, jobs
from supervisor.store.records import CancelAnswer
from supervisor.waiting import WaitTimedOut
from supervisor.ways import straight
from tests.cli.commandline import ONLY_THE_STORE, Installation, PlayedService


@pytest.fixture
def client(installation: Installation, monkeypatch: pytest.MonkeyPatch) -> Iterator[Client]:
    monkeypatch.chdir(installation.folder)
    with Client(installation.state_dir, installation.config) as opened:
        yield opened


def test_it_is_what_the_public_module_gives() -> None:
    assert asyncworker.Client is Client


@ONLY_THE_STORE
def test_making_one_touches_nothing(installation: Installation, client: Client) -> None:
    assert client.job_types().types.keys() == {"EmailJob", "ReportJob"}
    assert not installation.state_dir.exists()


def test_a_submitted_job_is_there_for_everybody(installation: Installation, client: Client) -> None:
    job = client.submit("EmailJob", {"to": ["ä"]}, priority=3)
    with Client(installation.state_dir, installation.config) as another:
        assert another.get(job.id) == job
    assert (job.status, job.payload, job.priority) == (JobStatus.PENDING, '{"to":["ä"]}', 3)


@pytest.mark.parametrize("given", [{"payload": {1, 2}}, {"priority": 2**31}, {"priority": 1.0}])
def test_what_cannot_be_submitted_is_refused_as_a_value_error(client: Client, given: dict[str, Any]) -> None:
    with pytest.raises(InvalidPayload) as caught:
        client.submit("EmailJob", **given)
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize("given", [{"page": 0}, {"page_size": 0}, {"page_size": 101}])
def test_impossible_pages_are_value_errors(client: Client, given: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="1 to 100"):
        client.list(**given)  # type: ignore[arg-type]


def test_the_log_of_the_last_attempt_is_meant_unless_another_is_named(
    client: Client, service: PlayedService
) -> None:
    job = client.submit("EmailJob")
    assert client.log_path(job.id) == service.locations.log_of(job.id, 1)
    with pytest.raises(UnknownJob, match="it has not begun"):
        client.log_path(job.id, 1)
    service.start(job.id)
    assert client.log_path(job.id[:8], 1) == service.locations.log_of(job.id, 1)


def test_cancelling_in_bulk_takes_as_many_batches_as_it_needs(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(straight, "BATCH", 2)
    ids = {client.submit("EmailJob").id for _ in range(5)}
    cancellations = client.cancel_matching("EmailJob", None)
    assert {each.job.id for each in cancellations} == ids
    assert {each.answer for each in cancellations} == {CancelAnswer.CANCELLED}
    assert client.cancel_matching("EmailJob", None) == []


def test_cancelling_in_bulk_goes_on_only_while_somebody_asks_for_more(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(straight, "BATCH", 2)
    ids = [client.submit("EmailJob").id for _ in range(5)]
    steps = iter(client.cancelling("EmailJob"))
    assert [each.job.id for each in next(steps)] == ids[:2]
    assert [client.get(each).ended for each in ids] == [True, True, False, False, False]
    assert [[each.job.id for each in step] for step in steps] == [ids[2:4], ids[4:]]


def test_a_job_that_leaves_the_status_before_its_turn_is_left_alone(
    client: Client, service: PlayedService, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = client.submit("EmailJob").id, client.submit("EmailJob").id
    list_ids = jobs.ids_matching

    def meanwhile(tx: Transaction, **given: Any) -> list[str]:
        found = list_ids(tx, **given)
        service.start(first)
        return found

    monkeypatch.setattr(jobs, "ids_matching", meanwhile)
    assert [each.job.id for each in client.cancel_matching(None, JobStatus.PENDING)] == [second]
    assert service.job(first).cancel_requested_at is None


def test_everything_that_changes_a_job_wakes_the_service(client: Client, service: PlayedService) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as wake:
        folder = os.open(service.locations.state_dir, os.O_RDONLY)
        wake.bind(f"/proc/self/fd/{folder}/wake.sock")
        os.close(folder)
        first = client.submit("EmailJob").id
        assert wake.recv(1) == b""
        client.cancel(first)
        assert wake.recv(1) == b""
        client.submit("EmailJob")
        wake.recv(1)
        client.cancel_matching("EmailJob", None)
        assert wake.recv(1) == b""


def test_cancelling_in_bulk_asks_for_the_end_of_what_runs(client: Client, service: PlayedService) -> None:
    running = client.submit("EmailJob").id
    service.start(running)
    answers = [client.cancel_matching(None, JobStatus.IN_PROGRESS) for _ in "12"]
    assert [each.answer for (each,) in answers] == [CancelAnswer.REQUESTED, CancelAnswer.ALREADY_REQUESTED]


def test_waiting_gives_the_jobs_in_the_order_asked_for(client: Client, service: PlayedService) -> None:
    jobs = [client.submit("EmailJob").id for _ in range(3)]
    for job in reversed(jobs):
        service.start(job)
        service.end(job, JobStatus.COMPLETED)
    assert [job.id for job in client.wait([jobs[2], jobs[0], jobs[2]])] == [jobs[2], jobs[0], jobs[2]]
    assert [job.id for job in client.wait(jobs[1])] == [jobs[1]]


def test_waiting_tells_every_change(client: Client, service: PlayedService) -> None:
    job = client.submit("EmailJob").id
    seen = []

    def play(_: object) -> None:
        seen.append(service.job(job).status)
        if seen == [JobStatus.PENDING]:
            service.start(job)
        elif len(seen) == 2:
            service.end(job, JobStatus.COMPLETED)

    client.wait([job], on_change=play)
    assert seen == [JobStatus.PENDING, JobStatus.IN_PROGRESS, JobStatus.COMPLETED]


def test_waiting_in_vain_is_told_apart_from_waiting_too_long(client: Client, service: PlayedService) -> None:
    job = client.submit("EmailJob").id
    with pytest.raises(WaitTimedOut):
        client.wait([job], timeout=0.1)
    service.leave()
    with pytest.raises(NoSupervisor):
        client.wait([job], timeout=10)


def test_a_closed_client_opens_again_when_it_is_used(client: Client) -> None:
    job = client.submit("EmailJob")
    client.close()
    client.close()
    assert client.get(job.id) == job
