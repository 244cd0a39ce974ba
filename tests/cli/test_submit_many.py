"""Many jobs in one transaction, from Python: all of them or none, whether or not a service answers."""

import os
import socket
from collections.abc import Iterator
from typing import Any

import pytest

import asyncworker
from asyncworker import NewJob
from supervisor import client as client_module
from supervisor.client import Client
from supervisor.errors import InvalidKey, InvalidPayload, UnknownJobType
from supervisor.lifecycle import JobStatus
from tests.cli.commandline import Installation, PlayedService


@pytest.fixture
def client(installation: Installation, monkeypatch: pytest.MonkeyPatch) -> Iterator[Client]:
    monkeypatch.chdir(installation.folder)
    with Client(installation.state_dir, installation.config) as opened:
        yield opened


def test_the_public_module_has_the_word_for_one_of_them() -> None:
    assert asyncworker.NewJob is client_module.NewJob


def test_they_are_there_for_everybody_in_the_order_of_the_list(
    installation: Installation, client: Client
) -> None:
    jobs = client.submit_many(
        [
            NewJob("EmailJob", {"to": "ä"}),
            NewJob("ReportJob"),
            NewJob("ReportJob", [1], priority=3),
            *(NewJob("EmailJob", number) for number in range(50)),
        ]
    )
    with Client(installation.state_dir, installation.config) as another:
        assert [another.get(job.id) for job in jobs[:4]] == jobs[:4]
        assert list(another.list(page_size=100).items) == jobs[::-1]
    assert {job.status for job in jobs} == {JobStatus.PENDING}
    assert [(job.type, job.payload, job.priority) for job in jobs[:4]] == [
        ("EmailJob", '{"to":"ä"}', 0),
        ("ReportJob", "null", 7),  # what its type says
        ("ReportJob", "[1]", 3),
        ("EmailJob", "0", 0),
    ]


def test_a_job_submitted_like_this_is_one_like_any_other(client: Client, service: PlayedService) -> None:
    one = client.submit("ReportJob", {"a": 1})
    (other,) = client.submit_many([NewJob("ReportJob", {"a": 1})])
    differing = {name for name in one.__slots__ if getattr(one, name) != getattr(other, name)}
    assert differing <= {"seq", "id", "created_at"}
    service.start(other.id)
    service.end(other.id, JobStatus.COMPLETED)
    assert client.get(other.id).status is JobStatus.COMPLETED


@pytest.mark.parametrize(
    "wrong, error, sentence",
    [
        (NewJob("EmailJob", {1, 2}), InvalidPayload, "job 3 of the list: the payload is not JSON"),
        (NewJob("EmailJob", priority=2**31), InvalidPayload, "job 3 of the list: the priority"),
        (NewJob("EmailJob", idempotency_key=""), InvalidKey, "job 3 of the list: the idempotency key"),
        (NewJob("EmialJob"), UnknownJobType, "no job type 'EmialJob'; did you mean EmailJob"),
        (NewJob("EmailJob", 2, idempotency_key="a"), InvalidKey, "'a' stands for a job that was asked for"),
        (NewJob("EmailJob", 2, idempotency_key="b"), InvalidKey, "'b' stands for a job that was asked for"),
    ],
    ids=["payload", "priority", "key", "type", "known key", "key twice"],
)
def test_where_one_cannot_be_submitted_none_is(
    client: Client, wrong: NewJob, error: type[Exception], sentence: str
) -> None:
    before = client.submit("EmailJob", 1, idempotency_key="a")
    with pytest.raises(error, match=sentence):
        client.submit_many([NewJob("EmailJob"), NewJob("EmailJob", 1, idempotency_key="b"), wrong])
    assert client.list().items == (before,)


def test_a_key_gives_the_job_that_it_stands_for(client: Client) -> None:
    known = client.submit("EmailJob", 1, idempotency_key="known")
    wanted = [
        NewJob("EmailJob", 2, idempotency_key="new"),
        NewJob("EmailJob", 1, idempotency_key="known"),
        NewJob("EmailJob"),
        NewJob("EmailJob", 2, idempotency_key="new"),
    ]
    first = client.submit_many(wanted)
    assert (first[1], first[3]) == (known, first[0])
    assert client.list().total_count == 3
    again = client.submit_many(wanted)
    assert [again[place] == first[place] for place in range(4)] == [True, True, False, True]
    assert client.submit("EmailJob", 2, idempotency_key="new") == first[0]
    assert client.list().total_count == 4


def test_more_keys_than_one_statement_takes_are_known_again(client: Client) -> None:
    wanted = [NewJob("EmailJob", number, idempotency_key=f"key-{number}") for number in range(1200)]
    assert client.submit_many(wanted) == client.submit_many(wanted)
    assert client.list().total_count == 1200


def test_too_many_are_refused_and_none_is_nothing(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "MOST_AT_ONCE", 3)
    with pytest.raises(ValueError, match="at most 3 jobs"):
        client.submit_many([NewJob("EmailJob")] * 4)
    assert client.submit_many([]) == []
    assert len(client.submit_many([NewJob("EmailJob")] * 3)) == client.list().total_count == 3


def test_the_service_is_woken_where_there_is_something_new(client: Client, service: PlayedService) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as wake:
        folder = os.open(service.locations.state_dir, os.O_RDONLY)
        wake.bind(f"/proc/self/fd/{folder}/wake.sock")
        os.close(folder)
        for wakes in (True, False):
            client.submit_many([NewJob("EmailJob", idempotency_key="a")])
            assert (heard(wake) == b"") is wakes


def heard(wake: socket.socket) -> Any:
    try:
        return wake.recv(1)
    except BlockingIOError:
        return None
