"""Following a log over HTTP: everything in time, one end or none, and no cost for those who do not read."""

import http.client
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress

import pytest

from supervisor.addresses import Address
from supervisor.api.following import MOST_FOLLOWERS
from supervisor.api.sockets import listen_tcp
from supervisor.lifecycle import JobStatus
from supervisor.store import jobs
from tests.api.server import HttpServer
from tests.cli.commandline import ME, PlayedService
from tests.support.eventually import eventually
from workers.trimming import trim

MIB = 2**20


@pytest.fixture
def job(server: HttpServer, service: PlayedService) -> str:
    """One that runs."""
    job_id: str = server.submit()["id"]
    service.start(job_id)
    return job_id


@contextmanager
def following(server: HttpServer, job_id: str, more: str = "") -> Iterator[http.client.HTTPResponse]:
    connection = server.connect()
    try:
        connection.request("GET", f"/api/jobs/{job_id}/log?follow=true{more}")
        with connection.getresponse() as answer:  # it holds the socket too
            yield answer
    finally:
        connection.close()


def again(service: PlayedService, job_id: str) -> None:
    """Its attempt comes to nothing, and the next begins."""
    with service.store.write() as tx:
        assert jobs.give_back(tx, job_id=job_id, owner=ME, attempt=1, now=time.time_ns() // 10**6)
    service.start(job_id)


def test_what_is_printed_arrives_and_the_answer_ends_with_the_job(
    server: HttpServer, service: PlayedService, job: str
) -> None:
    with following(server, job) as answer:
        assert answer.status == 200
        assert answer.headers["content-type"] == "text/plain; charset=utf-8"
        assert answer.headers["content-length"] is None
        for line in (b"one\n", b"two\n"):
            service.print(job, line)
            assert answer.readline() == line
        service.print(job, b"the rest")
        service.end(job, JobStatus.COMPLETED)
        assert answer.read() == b"the rest"
    assert server.get(f"/api/jobs/{job}/log?follow=true").body == b"one\ntwo\nthe rest"


def test_one_that_has_not_begun_is_waited_for(server: HttpServer, service: PlayedService) -> None:
    job_id = server.submit()["id"]
    with following(server, job_id) as answer:
        service.start(job_id)
        service.print(job_id, b"begun\n")
        assert answer.readline() == b"begun\n"
        service.end(job_id, JobStatus.COMPLETED)
        assert answer.read() == b""


def test_one_attempt_alone_or_one_after_the_other(
    server: HttpServer, service: PlayedService, job: str
) -> None:
    service.print(job, b"first\n")
    with following(server, job) as all_of_them, following(server, job, "&attempt=1") as alone:
        assert all_of_them.readline() == alone.readline() == b"first\n"
        again(service, job)
        service.print(job, b"second\n", attempt=2)
        assert alone.read() == b""
        assert all_of_them.readline() == b"second\n"
        service.end(job, JobStatus.COMPLETED)
        assert all_of_them.read() == b""


@pytest.mark.parametrize(
    "query, status, fields",
    [
        ("follow=yes", 400, ["follow"]),
        ("follow=", 400, ["follow"]),
        ("follow=true&follow=true", 400, ["follow"]),
        ("follow=true&attempt=0&x=1", 400, ["x", "attempt"]),
        ("follow=true&attempt=2", 404, ["attempt"]),
    ],
)
def test_what_makes_no_sense_is_refused(
    server: HttpServer, job: str, query: str, status: int, fields: list[str]
) -> None:
    reply = server.get(f"/api/jobs/{job}/log?{query}")
    assert (reply.status, reply.fields) == (status, fields)


def test_a_job_that_is_not_there_and_a_log_that_is_none_are_404(
    server: HttpServer, service: PlayedService, job: str
) -> None:
    assert server.get("/api/jobs/00000000-0000-4000-8000-000000000000/log?follow=true").status == 404
    log = service.locations.log_of(job, 1)
    log.parent.mkdir(exist_ok=True)
    log.symlink_to("/etc/passwd")
    assert server.get(f"/api/jobs/{job}/log?follow=true").problem["status"] == 404
    log.unlink()


def test_who_has_lost_the_connection_goes_on_after_what_came(
    server: HttpServer, service: PlayedService, job: str
) -> None:
    service.print(job, b"one\ntwo\n")
    connection = server.connect()
    try:
        connection.request("GET", f"/api/jobs/{job}/log?follow=true", headers={"Range": "bytes=5-"})
        with connection.getresponse() as answer:
            assert (answer.status, answer.headers["content-range"]) == (206, "bytes 5-9007199254740991/*")
            assert answer.readline() == b"wo\n"
            service.print(job, b"three\n")
            assert answer.readline() == b"three\n"
            service.end(job, JobStatus.COMPLETED)
            assert answer.read() == b""
    finally:
        connection.close()
    target = f"/api/jobs/{job}/log?follow=true"
    for asked, status, body in (
        ("bytes=12-9007199254740991", 206, b"e\n"),
        ("bytes=100-", 206, b""),  # nothing came after them
        ("bytes=0-3", 200, b"one\ntwo\nthree\n"),
        ("bytes=-3", 200, b"one\ntwo\nthree\n"),
        ("lines=1-", 200, b"one\ntwo\nthree\n"),
    ):
        found = server.get(target, Range=asked)
        assert (found.status, found.body) == (status, body), asked


def test_head_does_not_wait_for_the_end(server: HttpServer, job: str) -> None:
    assert server.ask("HEAD", f"/api/jobs/{job}/log?follow=true").status == 200


def test_not_following_can_be_asked_for_too(server: HttpServer, service: PlayedService, job: str) -> None:
    service.print(job, b"so far")
    assert server.get(f"/api/jobs/{job}/log?follow=false").body == b"so far"


def test_a_follower_who_does_not_keep_up_is_told_what_it_missed(
    server: HttpServer, service: PlayedService, job: str
) -> None:
    log = service.locations.log_of(job, 1)
    with server.raw() as connection:
        connection.sendall(
            f"GET /api/jobs/{job}/log?follow=true HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n\r\n".encode()
        )
        assert connection.recv(1) == b"H"
        before = server.memory()
        for _ in range(40):
            service.print(job, b"y\n" * MIB)
        trim(log, 2 * MIB, last=True)
        service.end(job, JobStatus.COMPLETED)
        with connection.makefile("rb") as file:
            text = dechunked(file.read)
        assert server.memory() - before < 16 * MIB
    assert text.count(b"bytes left out") == 1
    head, _, rest = text.partition(b"[... ")
    number, _, tail = rest.partition(b" bytes left out ...]\n")
    assert set(head) == set(tail) == set(b"y\n")
    assert len(head) + int(number.replace(b",", b"")) + len(tail) == 80 * MIB


def dechunked(read: Callable[[int], bytes]) -> bytes:
    """All pieces of an answer (RFC 9112, 7.1), read slowly to its proper end."""
    text = b""
    while not text.endswith(b"\r\n\r\n"):
        text += read(1)
    pieces = []
    while True:
        size = b""
        while not size.endswith(b"\r\n"):
            size += read(1)
        pieces.append(read(int(size, 16)))
        assert read(2) == b"\r\n"
        if not pieces[-1]:
            return b"".join(pieces)


def test_too_many_are_turned_away_and_everybody_else_is_served(
    server: HttpServer, service: PlayedService, job: str
) -> None:
    with ExitStack() as stack:
        answers = [stack.enter_context(following(server, job)) for _ in range(MOST_FOLLOWERS)]
        assert server.get(f"/api/jobs/{job}/log?follow=true").problem["status"] == 503
        for _ in range(20):
            assert server.get(f"/api/jobs/{job}").status == 200
        service.print(job, b"to all\n")
        assert {answer.readline() for answer in answers} == {b"to all\n"}
    # Those that have gone make room.
    service.end(job, JobStatus.COMPLETED)
    eventually(lambda: server.get(f"/api/jobs/{job}/log?follow=true").status == 200)


def test_followers_leave_no_descriptor_behind(server: HttpServer, service: PlayedService, job: str) -> None:
    service.print(job, b"text\n")

    def descriptors() -> int:
        """Of logs."""
        number = 0
        for entry in os.scandir(f"/proc/{server.process.pid}/fd"):
            with suppress(FileNotFoundError):  # closed meanwhile
                number += "/logs/" in os.readlink(entry.path)
        return number

    for _ in range(5):
        with following(server, job) as answer:
            assert answer.readline() == b"text\n"
            assert descriptors() > 0
    eventually(lambda: descriptors() == 0)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_when_the_server_stops_the_answer_is_seen_to_be_without_its_end(
    start: Callable[..., HttpServer], played: PlayedService, number: signal.Signals
) -> None:
    server = start()
    job_id = server.submit()["id"]
    played.start(job_id)
    played.print(job_id, b"text\n")
    with following(server, job_id) as answer:
        assert answer.readline() == b"text\n"
        assert server.stop(number) == 0
        with pytest.raises(http.client.IncompleteRead):
            answer.read()


def test_connections_over_tcp_notice_a_client_that_is_lost() -> None:
    (listener,) = listen_tcp(Address("127.0.0.1", 0), with_token=False)
    with listener, socket.create_connection(listener.getsockname()[:2]):
        connection, _ = listener.accept()
        with connection:
            assert connection.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
            assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 60
