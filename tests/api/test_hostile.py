"""Clients that draw things out: each is ended in time, and others are served meanwhile.

All of them at once, because each takes its time.
"""

import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Thread

import pytest
from sqlalchemy import text

from tests.api.server import HttpServer
from tests.cli.commandline import Installation, PlayedService

LONGEST = 16.0
"""Seconds that any of them may last."""
CROWD = 100
POST = b"POST /api/jobs HTTP/1.1\r\nHost: localhost:{port}\r\nContent-Type: application/json\r\n"
BYTES = {
    "half a head": (CROWD, b"GET /healthz HTTP/1.1\r\nHo", b""),
    "a head byte by byte": (CROWD, b"GET /healthz HTTP/1.1\r\n", b"x"),
    "nothing at all": (5, b"", b""),
    "a body without end": (
        3,
        POST + b"Transfer-Encoding: chunked\r\n\r\n",
        b"1\r\n \r\n",
    ),
    "a body that never comes": (
        3,
        POST + b"Content-Length: 100\r\n\r\n",
        b"",
    ),
    "a body that nobody wants": (
        3,
        b"GET /healthz HTTP/1.1\r\nHost: localhost:{port}\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"1\r\n \r\n",
    ),
    "a deaf reader of a log": (2, b"GET {log} HTTP/1.1\r\nHost: localhost:{port}\r\n\r\n", b""),
    "a deaf listener": (2, b"GET /api/events HTTP/1.1\r\nHost: localhost:{port}\r\n\r\n", b""),
}


@dataclass
class Ending:
    """How a connection ended."""

    after: float
    heard: bytes


@dataclass
class Siege:
    """What came of it."""

    endings: dict[str, list[Ending]] = field(default_factory=lambda: {name: [] for name in BYTES})
    answers: list[tuple[int, float]] = field(default_factory=list)
    """Of an ordinary client meanwhile: status and seconds."""
    memory: int = 0


class Client:
    """One that draws out. The deaf ones do not read before the end."""

    def __init__(self, name: str, server: HttpServer, log: str) -> None:
        _, first, self.more = BYTES[name]
        self.name = name
        self.began = time.monotonic()
        self.heard = b""
        self.socket = socket.socket()
        self.is_deaf = "deaf" in name
        if self.is_deaf:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.socket.connect(("127.0.0.1", server.port))
        first = first.replace(b"{port}", str(server.port).encode()).replace(b"{log}", log.encode())
        self.socket.sendall(first)
        self.socket.setblocking(False)

    def is_ended(self) -> bool:
        if self.is_deaf:  # what has been received stays where it is, and holds up the server
            return self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) != 0
        try:
            part = self.socket.recv(65536)
        except BlockingIOError:
            return self.more != b"" and not self._goes_on()
        except OSError:
            return True
        self.heard += part
        return not part

    def _goes_on(self) -> bool:
        try:
            return self.socket.send(self.more) > 0
        except OSError:
            return False


@pytest.fixture(scope="module")
def siege(tmp_path_factory: pytest.TempPathFactory) -> Siege:
    installation = Installation(tmp_path_factory.mktemp("siege"))
    service = PlayedService(installation)
    server = HttpServer(installation)
    found = Siege()
    try:
        besiege(server, service, found)
        found.memory = server.memory()
    finally:
        server.close()
        service.store.close()
    assert " failed: " not in server.log.replace("log became shorter", ""), server.log
    return found


def besiege(server: HttpServer, service: PlayedService, found: Siege) -> None:
    job_id = server.submit()["id"]
    service.start(job_id)
    service.print(job_id, b"x" * (32 << 20))
    clients = [
        Client(name, server, f"/api/jobs/{job_id}/log")
        for name, (many, *_) in BYTES.items()
        for _ in range(many)
    ]
    deadline = time.monotonic() + LONGEST + 4
    ordinary = Thread(target=ask_on, args=(server, found.answers, clients))
    ordinary.start()
    try:
        while clients and time.monotonic() < deadline:
            change(service, job_id)
            for client in [each for each in clients if each.is_ended()]:
                after = time.monotonic() - client.began
                found.endings[client.name].append(Ending(after, client.heard))
                client.socket.close()
                clients.remove(client)
            time.sleep(0.2)
    finally:
        for client in clients:
            client.socket.close()
        clients.clear()
        ordinary.join()


def change(service: PlayedService, job_id: str) -> None:
    """A megabyte of events in a second."""
    with service.store.write() as tx:
        tx.execute(
            text("UPDATE jobs SET progress_message = :text, progress_fraction = :n WHERE id = :id"),
            [{"text": "x" * 1500, "n": n / 150, "id": job_id} for n in range(150)],
        )


def ask_on(server: HttpServer, answers: list[tuple[int, float]], clients: list[Client]) -> None:
    while clients:
        began = time.monotonic()
        status = server.get("/api/jobs?pageSize=5").status
        answers.append((status, time.monotonic() - began))
        time.sleep(0.05)


@pytest.mark.parametrize("name", BYTES)
def test_whoever_draws_it_out_is_ended_in_time(siege: Siege, name: str) -> None:
    endings = siege.endings[name]
    assert len(endings) == BYTES[name][0]
    assert max(each.after for each in endings) < LONGEST


@pytest.mark.parametrize("name", ["half a head", "a body without end", "a body that never comes"])
def test_whoever_is_too_slow_is_told_so(siege: Siege, name: str) -> None:
    for ending in siege.endings[name]:
        assert ending.heard.startswith(b"HTTP/1.1 408 ")
        assert b"application/problem+json" in ending.heard


def test_others_are_served_meanwhile(siege: Siege) -> None:
    assert len(siege.answers) > 50
    assert {status for status, _ in siege.answers} == {200}
    assert sorted(seconds for _, seconds in siege.answers)[-5] < 1.0


def test_it_does_not_cost_much_memory(siege: Siege) -> None:
    assert siege.memory < 250 * 2**20


def test_more_connections_than_there_is_room_for_push_out_the_idle_ones(
    start: Callable[..., HttpServer],
) -> None:
    server = start()
    crowd = [server.raw() for _ in range(400)]
    try:
        assert server.get("/healthz").status == 200
        assert server.ask("GET", "/healthz", socket=True).status == 200
        assert server.connections() < 300
    finally:
        for each in crowd:
            each.close()


def test_300_megabytes_are_refused_without_being_read_into_memory(start: Callable[..., HttpServer]) -> None:
    server = start()
    before = server.memory()
    head = f"POST /api/jobs HTTP/1.1\r\nHost: localhost:{server.port}\r\nContent-Type: application/json\r\n"
    with server.raw() as connection:
        connection.sendall(f"{head}Transfer-Encoding: chunked\r\n\r\n".encode())
        chunk = b"100000\r\n" + b" " * 0x100000 + b"\r\n"
        answer = b""
        for _ in range(300):
            connection.sendall(chunk)
        connection.sendall(b"0\r\n\r\n")
        while b"payload may have" not in answer:
            answer += connection.recv(65536)
        assert answer.startswith(b"HTTP/1.1 413 ")
        connection.sendall(f"GET /healthz HTTP/1.1\r\nHost: localhost:{server.port}\r\n\r\n".encode())
        assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")
    assert server.memory() - before < 16 * 2**20
