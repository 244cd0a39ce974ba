"""How the server starts and ends, and what it says when it cannot."""

import os
import signal
import socket
import stat
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.api.server import HttpServer, command
from tests.cli.commandline import Installation, PlayedService
from tests.support.eventually import eventually

SOON = 2.0


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


def test_what_stands_in_the_place_of_the_socket_is_replaced_or_told(
    installation: Installation, start: Callable[..., HttpServer]
) -> None:
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
        os.write(server._lifeline, b"\n")
        eventually(path.is_socket)
    for over_the_socket in (True, False):
        assert server.ask("GET", "/healthz", socket=over_the_socket).status == 200
    connected.request("GET", "/healthz")
    assert connected.getresponse().status == 200
    connected.close()
    eventually(lambda: server.connections() == open_before)
    assert server.log.count("http_socket_renewed") == 3
    assert server.stop() == 0


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
def test_a_signal_ends_it_soon_whoever_listens_or_is_half_way(
    start: Callable[..., HttpServer], number: signal.Signals
) -> None:
    server = start()
    opened = listeners(server, 5)
    half = server.raw()
    half.sendall(b"POST /api/jobs HTTP/1.1\r\nHost: x\r\nContent-")
    idle = server.raw()
    began = time.monotonic()
    assert server.stop(number, within=SOON + 1) == 0
    assert time.monotonic() - began < SOON
    assert "http_stopped" in server.log
    for connection in [*opened, half, idle]:
        connection.close()


def test_it_ends_at_once_when_the_supervisor_is_gone(start: Callable[..., HttpServer]) -> None:
    server = start()
    opened = listeners(server, 2)
    server.cut_lifeline()
    assert server.wait(within=SOON) == 0
    for connection in opened:
        connection.close()


def test_it_ends_soon_though_the_database_is_locked_and_a_submit_waits_for_it(
    start: Callable[..., HttpServer], played: PlayedService
) -> None:
    server = start()
    before = len(played.jobs())
    with played.store.write():
        connection = server.connect()
        connection.request("POST", "/api/jobs", b'{"type":"EmailJob"}', {"Content-Type": "application/json"})
        eventually(lambda: threads(server) > 1)
        assert server.stop(within=SOON + 1) == 0
        connection.close()
    assert len(played.jobs()) == before


def threads(server: HttpServer) -> int:
    return len(os.listdir(f"/proc/{server.process.pid}/task"))


def test_an_answer_does_not_wait_for_the_acknowledgement_of_its_head(
    start: Callable[..., HttpServer],
) -> None:
    """Nagle's algorithm and a delayed acknowledgement make 40 ms of it."""
    server = start()
    connection = server.connect()
    seconds = []
    for _ in range(10):
        began = time.monotonic()
        connection.request("GET", "/healthz")
        connection.getresponse().read()
        seconds.append(time.monotonic() - began)
    connection.close()
    assert min(seconds[1:]) < 0.02
