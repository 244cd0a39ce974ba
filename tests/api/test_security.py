"""Who may ask, from where, under which name; on every route that there is."""

import os
import socket
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.api.server import JSON, HttpServer, read_all, unix_socket
from tests.cli.commandline import Installation

TOKEN = "s3cret-enough"
ID = "00000000-0000-4000-8000-000000000000"
ROUTES = [
    ("GET", "/"),
    ("GET", "/docs"),
    ("GET", "/openapi.json"),
    ("GET", "/healthz"),
    ("GET", "/readyz"),
    ("GET", "/metrics"),
    ("GET", "/api/events"),
    ("GET", "/api/types"),
    ("GET", "/api/status"),
    ("GET", "/api/status/process"),
    ("GET", "/api/status/concurrency"),
    ("GET", "/api/status/summary"),
    ("GET", "/api/jobs"),
    ("POST", "/api/jobs"),
    ("GET", f"/api/jobs/{ID}"),
    ("GET", f"/api/jobs/{ID}/attempts"),
    ("GET", f"/api/jobs/{ID}/log"),
    ("DELETE", f"/api/jobs/{ID}/cancel"),
    ("POST", f"/api/jobs/{ID}/retry"),
    ("GET", "/nope"),
    ("PUT", "/api/jobs"),
]
HEADERS = {
    "x-content-type-options": "nosniff",
    "cache-control": "no-store",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
}


def test_the_list_of_routes_here_is_that_of_the_reference(server: HttpServer) -> None:
    paths = server.get("/openapi.json").json["paths"]
    documented = {
        (method.upper(), path.replace("{id}", ID)) for path, methods in paths.items() for method in methods
    }
    assert documented <= set(ROUTES)
    assert len(documented) == len(ROUTES) - 6  # pages, stream and what there is not


@pytest.mark.parametrize("method, target", ROUTES)
@pytest.mark.parametrize("host", ["evil.example", "localhost", "localhost:1", "evil.localhost:{port}", ""])
def test_a_foreign_host_is_refused_on_every_route(
    server: HttpServer, method: str, target: str, host: str
) -> None:
    headers = {**JSON, "Host": host.replace("{port}", str(server.port))}
    reply = server.ask(method, target, headers=headers)
    assert (reply.status, reply.fields) == (400, ["Host"])


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST", "127.0.0.1"])
def test_our_own_names_are_ours(server: HttpServer, host: str) -> None:
    assert server.get("/healthz", Host=f"{host}:{server.port}").status == 200


@pytest.mark.parametrize(
    "host", ["localhost:{port}:80", "localhost:{port}@x", "a@localhost:{port}", "[::1", "é"]
)
def test_what_only_looks_like_our_name_is_not(server: HttpServer, host: str) -> None:
    assert server.get("/healthz", Host=host.replace("{port}", str(server.port))).status == 400


@pytest.mark.parametrize(
    "target, host, status",
    [
        ("http://localhost:{port}/healthz", "localhost:{port}", 200),
        ("HTTP://127.0.0.1:{port}/health%7A?", "evil.example", 200),
        ("http://localhost:{port}/api/jobs?pageSize=1", "localhost:{port}", 200),
        ("http://localhost:{port}", "localhost:{port}", 307),  # as "/"
        ("http://localhost:{port}/nowhere", "localhost:{port}", 404),
        ("http://evil.example/healthz", "localhost:{port}", 400),
        ("http://localhost/healthz", "localhost:{port}", 400),
        ("http://a@localhost:{port}/healthz", "localhost:{port}", 400),
        ("http:///healthz", "localhost:{port}", 400),
    ],
)
def test_a_target_that_is_a_whole_url_is_judged_by_its_own_host(
    server: HttpServer, target: str, host: str, status: int
) -> None:
    request = f"GET {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
    answer = server.exchange(request.replace("{port}", str(server.port)).encode())
    assert answer.startswith(f"HTTP/1.1 {status} ".encode())


def test_on_the_socket_a_target_may_be_a_whole_url(server: HttpServer) -> None:
    for host, status in (("localhost", b"200"), ("evil.example", b"400")):
        with unix_socket(str(server.installation.state_dir)) as connection:
            head = f"GET http://{host}/healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
            connection.sendall(head.encode())
            assert read_all(connection).split()[1] == status


def test_a_token_is_wanted_whatever_form_the_target_has(
    start: Callable[..., HttpServer], installation: Installation
) -> None:
    file = installation.folder / "token"
    file.write_text(TOKEN)
    server = start(environment={"ASYNCWORKER_TOKEN_FILE": str(file)})
    at = f"localhost:{server.port}"
    for path, status in (("/api/jobs", b"401"), ("/healthz", b"200")):
        request = f"GET http://{at}{path} HTTP/1.1\r\nHost: {at}\r\nConnection: close\r\n\r\n"
        assert server.exchange(request.encode()).split()[1] == status


def test_old_http_without_a_host_is_refused(server: HttpServer) -> None:
    assert server.exchange(b"GET /healthz HTTP/1.0\r\n\r\n").startswith(b"HTTP/1.1 400 ")


def test_on_the_socket_the_name_is_localhost_and_the_port_does_not_matter(server: HttpServer) -> None:
    for host, status in (("localhost", 200), ("localhost:5000", 200), ("evil.example", 400)):
        assert server.ask("GET", "/healthz", headers={"Host": host}, socket=True).status == status


@pytest.mark.parametrize("method, target", ROUTES)
def test_every_answer_has_the_headers_that_keep_browsers_in_check(
    server: HttpServer, method: str, target: str
) -> None:
    if target == "/api/events":
        method = "HEAD"
    reply = server.ask(method, target, headers={**JSON, "Origin": "http://evil.example"})
    assert {name: reply.headers[name] for name in HEADERS} == HEADERS
    assert reply.headers["content-security-policy"].startswith("default-src 'none'")
    assert "access-control-allow-origin" not in reply.headers
    assert "server" not in reply.headers


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost"},
        {"Origin": "file://"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "same-origin", "Origin": "http://evil.example"},
    ],
)
def test_a_page_of_another_site_changes_nothing(server: HttpServer, headers: dict[str, str]) -> None:
    before = server.get("/api/jobs").json["totalCount"]
    assert server.ask("POST", "/api/jobs", {"type": "EmailJob"}, headers).problem["status"] == 403
    assert server.ask("DELETE", f"/api/jobs/{ID}/cancel", headers=headers).problem["status"] == 403
    assert server.get("/api/jobs").json["totalCount"] == before


def test_a_page_of_our_own_may(server: HttpServer) -> None:
    headers = {"Origin": f"http://127.0.0.1:{server.port}", "Sec-Fetch-Site": "same-origin"}
    assert server.ask("POST", "/api/jobs", {"type": "EmailJob"}, headers).status == 202


def test_the_socket_is_the_owners_alone_and_always_was(server: HttpServer) -> None:
    path = server.installation.state_dir / "api.sock"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [name for name in os.listdir(path.parent) if name.startswith(".api.sock")] == []


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HttpServer]:
    """It wants a token."""
    installation = Installation(tmp_path_factory.mktemp("guarded"))
    file = installation.folder / "token"
    file.write_text(f"{TOKEN}\n")
    file.chmod(0o600)
    started = HttpServer(installation, environment={"ASYNCWORKER_TOKEN_FILE": str(file)})
    yield started
    started.close()
    assert TOKEN not in started.log


@pytest.mark.parametrize("method, target", ROUTES)
@pytest.mark.parametrize(
    "authorization", [None, "Bearer", "Bearer wrong", f"Basic {TOKEN}", f"Bearer {TOKEN}x", "Bearer é"]
)
@pytest.mark.parametrize("socket", [False, True], ids=["tcp", "socket"])
def test_without_the_token_nothing_is_answered_but_health(
    guarded: HttpServer, method: str, target: str, authorization: str | None, *, socket: bool
) -> None:
    headers = {} if authorization is None else {"Authorization": authorization}
    reply = guarded.ask(method, target, headers=headers, socket=socket)
    if target == "/healthz":
        assert reply.status == 200
        return
    assert reply.problem["status"] == 401
    assert reply.headers["www-authenticate"].startswith("Bearer ")


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "Bearer  "])
def test_with_the_token_it_is(guarded: HttpServer, scheme: str) -> None:
    assert guarded.get("/docs", Authorization=f"{scheme} {TOKEN}").status == 200


def test_a_token_file_that_others_may_read_is_warned_of(
    installation: Installation, start: Callable[..., HttpServer], tmp_path: Path
) -> None:
    file = tmp_path / "token"
    file.write_text(TOKEN)
    file.chmod(0o644)
    server = start(environment={"ASYNCWORKER_TOKEN_FILE": str(file)})
    assert "http_token_exposed" in server.log
    assert server.get("/api/jobs").status == 401


def test_another_address_is_served_under_its_own_name_and_by_token(
    installation: Installation, start: Callable[..., HttpServer], tmp_path: Path
) -> None:
    """All addresses of the machine, of which this test uses loopback only."""
    file = tmp_path / "token"
    file.write_text(TOKEN)
    server = start("0.0.0.0:0", environment={"ASYNCWORKER_TOKEN_FILE": str(file)})
    bearer = {"Authorization": f"Bearer {TOKEN}"}
    name = f"{socket.gethostname()}:{server.port}"
    assert server.ask("GET", "/api/jobs", headers={**bearer, "Host": name}).status == 200
    assert (
        server.ask("GET", "/api/jobs", headers={**bearer, "Host": f"evil.example:{server.port}"}).status
        == 400
    )
    with socket.create_connection(("127.0.0.9", server.port), 5) as connection:
        connection.sendall(f"GET /healthz HTTP/1.1\r\nHost: 127.0.0.9:{server.port}\r\n\r\n".encode())
        assert connection.recv(100).startswith(b"HTTP/1.1 200 ")


def test_two_requests_in_one_packet_are_both_judged(server: HttpServer) -> None:
    good = f"GET /healthz HTTP/1.1\r\nHost: localhost:{server.port}\r\n\r\n"
    bad = "GET /healthz HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n"
    answer = server.exchange((good + bad).encode())
    assert answer.count(b"HTTP/1.1 200 ") == 1
    assert answer.count(b"HTTP/1.1 400 ") == 1


def test_the_socket_takes_bytes_that_are_no_request_as_calmly(server: HttpServer) -> None:
    with unix_socket(str(server.installation.state_dir)) as connection:
        connection.sendall(b"\x00\x01\x02\r\n\r\n")
        assert read_all(connection).startswith(b"HTTP/1.1 400 ")
