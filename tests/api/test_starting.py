"""How the server starts and ends, and what it says when it cannot."""

import asyncio
import os
import signal
import socket
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from supervisor.addresses import Address
from supervisor.api.sockets import listen_tcp
from supervisor.asking import ANEW
from tests.api.server import HttpServer, command
from tests.cli.commandline import Installation, PlayedService
from tests.support.eventually import eventually

A_LONG_TIME = 60.0
"""For what would never come by itself: listeners stay, and whoever is half way is waited for."""


def refused(installation: Installation, *arguments: str, **environment: str) -> tuple[int, str]:
    done = subprocess.run(
        [*command(), *arguments],
        env={**installation.environment, **environment},
        cwd=installation.folder,
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert done.stdout == ""
    return done.returncode, done.stderr


@pytest.mark.parametrize("address", ["0.0.0.0:0", "[::]:0", "192.0.2.1:5000"])
def test_an_address_that_others_reach_is_refused_without_a_token(
    installation: Installation, address: str
) -> None:
    code, said = refused(installation, ASYNCWORKER_HTTP=address)
    assert code == 2
    assert (
        said
        == f"Error: {address} can be reached from other machines, so it needs a token: --token-file FILE\n"
    )
    assert not (installation.state_dir / "api.sock").exists()


@pytest.mark.parametrize(
    "address",
    ["5000", ":5000", "localhost", "localhost:", "localhost:x", "::1:5000", "a b:1", "a:70000", "[::1]"],
)
def test_an_address_that_is_none_is_refused(installation: Installation, address: str) -> None:
    code, said = refused(installation, ASYNCWORKER_HTTP=address)
    assert code == 2
    assert said.count("\n") == 1
    assert "is not HOST:PORT" in said


def test_a_host_that_nobody_knows_is_refused(installation: Installation) -> None:
    code, said = refused(installation, ASYNCWORKER_HTTP="no-such-host.invalid:5000")
    assert (code, said.count("\n")) == (2, 1)


def test_a_port_in_use_is_said_in_one_sentence(installation: Installation) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        code, said = refused(installation, ASYNCWORKER_HTTP=f"127.0.0.1:{port}")
    assert (code, said) == (1, f"Error: http cannot listen on 127.0.0.1:{port}: Address already in use\n")


@pytest.mark.parametrize("content", [None, "", "two words", "\x00", "é"])
def test_a_token_file_without_a_token_is_refused(installation: Installation, content: str | None) -> None:
    file = installation.folder / "token"
    if content is not None:
        file.write_text(content)
    code, said = refused(installation, ASYNCWORKER_TOKEN_FILE=str(file))
    assert (code, said.splitlines()[-1][:22]) == (2, "Error: the token file ")


def test_a_descriptor_that_is_not_open_is_refused(installation: Installation) -> None:
    code, said = refused(installation, "--parent-fd", "77")
    assert code == 2
    assert "77 is not an open descriptor" in said


def test_with_an_empty_address_only_the_socket_answers(start: Callable[..., HttpServer]) -> None:
    server = start("")
    assert server.urls == []
    assert server.ask("GET", "/healthz", socket=True).status == 200
    with open(f"/proc/{server.process.pid}/net/tcp") as table:
        inodes = {line.split()[9] for line in table.readlines()[1:]}
    links = [
        os.readlink(entry) for entry in Path(f"/proc/{server.process.pid}/fd").iterdir() if entry.is_symlink()
    ]
    assert not {link[8:-1] for link in links if link.startswith("socket:[")} & inodes


def test_localhost_is_every_address_that_it_stands_for_on_one_port(start: Callable[..., HttpServer]) -> None:
    server = start("localhost:0")
    assert {url.rpartition(":")[2] for url in server.urls} == {str(server.port)}
    for url in server.urls:
        host = url.removeprefix("http://").rpartition(":")[0]
        with socket.create_connection((host.strip("[]"), server.port), 5) as connection:
            connection.sendall(f"GET /healthz HTTP/1.1\r\nHost: {host}:{server.port}\r\n\r\n".encode())
            assert connection.recv(100).startswith(b"HTTP/1.1 200 ")


def test_the_socket_of_a_dead_server_is_replaced(start: Callable[..., HttpServer]) -> None:
    first = start()
    first.process.kill()
    first.wait()
    assert (first.installation.state_dir / "api.sock").exists()
    assert start().ask("GET", "/healthz", socket=True).status == 200


def test_a_socket_that_was_removed_is_made_anew_where_the_supervisor_asks_and_nobody_is_disturbed(
    start: Callable[..., HttpServer],
) -> None:
    server = start()
    path, open_before = server.installation.state_dir / "api.sock", server.connections()
    connected = server.connect_unix()
    connected.request("GET", "/healthz")
    assert connected.getresponse().read()
    for _ in range(3):
        path.unlink()
        os.write(server._lifeline, ANEW)
        eventually(path.is_socket)
    for over_the_socket in (True, False):
        assert server.ask("GET", "/healthz", socket=over_the_socket).status == 200
    connected.request("GET", "/healthz")
    assert connected.getresponse().status == 200
    connected.close()
    eventually(lambda: server.connections() == open_before)
    assert server.log.count("http_socket_renewed") == 3
    assert server.stop() == 0


def test_what_stands_in_the_place_of_the_socket_is_replaced_or_told(
    installation: Installation, start: Callable[..., HttpServer]
) -> None:
    path = installation.state_dir / "api.sock"
    path.mkdir()
    (path / "x").touch()
    code, said = refused(installation, ASYNCWORKER_HTTP="")
    assert (code, said.count("\n")) == (4, 1)
    (path / "x").unlink()
    path.rmdir()
    path.write_text("")
    assert start("").ask("GET", "/healthz", socket=True).status == 200
    assert stat.S_ISSOCK(path.stat().st_mode)


def test_a_state_folder_with_a_path_longer_than_a_sockets_works(tmp_path: Path) -> None:
    folder = tmp_path / ("x" * 150)
    folder.mkdir()
    installation = Installation(folder)
    server = HttpServer(installation, "")
    try:
        assert server.ask("GET", "/healthz", socket=True).status == 200
    finally:
        server.close()


def listeners(server: HttpServer, number: int) -> list[socket.socket]:
    opened = []
    for _ in range(number):
        connection = server.raw()
        opened.append(connection)
        connection.sendall(f"GET /api/events HTTP/1.1\r\nHost: localhost:{server.port}\r\n\r\n".encode())
        assert connection.recv(100)
    return opened


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_whoever_listens_or_is_half_way(
    start: Callable[..., HttpServer], number: signal.Signals
) -> None:
    server = start()
    opened = listeners(server, 5)
    half = server.raw()
    half.sendall(b"POST /api/jobs HTTP/1.1\r\nHost: x\r\nContent-")
    idle = server.raw()
    assert server.stop(number, within=A_LONG_TIME) == 0
    assert "http_stopped" in server.log
    for connection in [*opened, half, idle]:
        connection.close()


def test_it_ends_at_once_when_the_supervisor_is_gone(start: Callable[..., HttpServer]) -> None:
    server = start()
    opened = listeners(server, 2)
    server.cut_lifeline()
    assert server.wait(within=A_LONG_TIME) == 0
    for connection in opened:
        connection.close()


def test_it_ends_while_a_submit_waits_for_a_lock(
    start: Callable[..., HttpServer], played: PlayedService
) -> None:
    """One that waited until the submit had waited long enough would answer it with 503."""
    server = start()
    before = len(played.jobs())
    with played.store.write():
        connection = server.connect()
        connection.request("POST", "/api/jobs", b'{"type":"EmailJob"}', {"Content-Type": "application/json"})
        eventually(lambda: threads(server) > 1)
        assert server.stop(within=A_LONG_TIME) == 0
        assert connection.getresponse().status != 503
        connection.close()
    assert len(played.jobs()) == before


def threads(server: HttpServer) -> int:
    return len(os.listdir(f"/proc/{server.process.pid}/task"))


def test_an_answer_does_not_wait_for_the_acknowledgement_of_its_head() -> None:
    """Nagle's algorithm and that make 40 ms together; asyncio turns the one off where it sees TCP."""
    (listener,) = listen_tcp(Address.parse("127.0.0.1:0"), with_token=False)
    delays: list[bool] = []

    class Accepted(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            accepted = transport.get_extra_info("socket")
            delays.append(not accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))

    async def accept_one() -> None:
        server = await asyncio.get_running_loop().create_server(Accepted, sock=listener)
        async with server:
            with socket.create_connection(listener.getsockname()):
                while not delays:  # noqa: ASYNC110  (pytest's time limit is the deadline)
                    await asyncio.sleep(0.01)

    asyncio.run(accept_one())
    assert delays == [False]
