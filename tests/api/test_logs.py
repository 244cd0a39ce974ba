"""What a job printed, over HTTP: whole, in part, and never anything else."""

import os
from pathlib import Path

import pytest

from supervisor.api.logs import part_of
from supervisor.api.problems import Problem
from tests.api.server import HttpServer
from tests.cli.commandline import PlayedService
from workers.trimming import trim

MIB = 2**20
TEXT = b"first line\nsecond \x1b]0;line\xff\n"


@pytest.fixture
def printed(server: HttpServer, service: PlayedService) -> str:
    job_id: str = server.submit()["id"]
    service.start(job_id)
    service.print(job_id, TEXT)
    return f"/api/jobs/{job_id}/log"


def log_of(service: PlayedService, target: str) -> Path:
    return service.locations.log_of(target.split("/")[3], 1)


def test_a_log_is_plain_text_byte_by_byte_and_grows(
    server: HttpServer, service: PlayedService, printed: str
) -> None:
    reply = server.get(printed)
    assert (reply.status, reply.body) == (200, TEXT)
    assert reply.headers["content-type"] == "text/plain; charset=utf-8"
    assert reply.headers["accept-ranges"] == "bytes"
    assert reply.headers["x-content-type-options"] == "nosniff"
    service.print(printed.split("/")[3], b"more")
    assert server.get(printed).body == TEXT + b"more"
    assert server.get(f"{printed}?attempt=1").body == TEXT + b"more"


def test_a_part_of_a_log_can_be_asked_for(server: HttpServer, printed: str) -> None:
    reply = server.get(printed, Range="bytes=6-9")
    assert (reply.status, reply.body) == (206, TEXT[6:10])
    assert reply.headers["content-range"] == f"bytes 6-9/{len(TEXT)}"
    beyond = server.get(printed, Range=f"bytes={len(TEXT)}-")
    assert beyond.problem["status"] == 416
    assert beyond.headers["content-range"] == f"bytes */{len(TEXT)}"
    assert server.get(printed, Range="bytes=0-1", If_Range='"x"').status == 200


@pytest.mark.parametrize(
    "header, expected",
    [
        (None, (0, 100)),
        ("bytes=0-", (0, 100)),
        ("bytes=10-19", (10, 20)),
        ("bytes=90-1000", (90, 100)),
        ("bytes=-10", (90, 100)),
        ("bytes=-1000", (0, 100)),
        ("bytes=99-99", (99, 100)),
        ("bytes=100-", None),
        ("bytes=-0", None),
        ("bytes=20-10", (0, 100)),
        ("bytes=0-1,5-6", (0, 100)),
        ("lines=0-1", (0, 100)),
        ("bytes=-", (0, 100)),
        ("bytes=a-b", (0, 100)),
        ("bytes=" + "9" * 40 + "-", (0, 100)),
    ],
)
def test_a_range_is_what_rfc_9110_says(header: str | None, expected: tuple[int, int] | None) -> None:
    if expected is None:
        with pytest.raises(Problem):
            part_of(100, header)
        return
    part = part_of(100, header)
    assert (part.start, part.stop) == expected


def test_what_has_not_printed_has_an_empty_log(server: HttpServer) -> None:
    reply = server.get(f"/api/jobs/{server.submit()['id']}/log")
    assert (reply.status, reply.body) == (200, b"")


@pytest.fixture
def cut(service: PlayedService, printed: str) -> str:
    """A log of three megabytes of which one is kept."""
    log = log_of(service, printed)
    log.write_bytes(b"y\n" * (3 * MIB // 2))
    trim(log, MIB, last=True)
    return printed


CUT = b"y\n" * (MIB // 4) + b"[... 2,097,152 bytes left out ...]\n" + b"y\n" * (MIB // 4)


def test_of_a_log_over_its_limit_both_ends_are_shown_and_counted(server: HttpServer, cut: str) -> None:
    reply = server.get(cut)
    assert (reply.status, reply.body) == (200, CUT)
    assert reply.headers["content-length"] == str(len(CUT))


@pytest.mark.parametrize(
    "header, start, stop",
    [
        ("bytes=0-9", 0, 10),
        ("bytes=524280-524400", 524280, 524401),
        ("bytes=524290-524300", 524290, 524301),
        ("bytes=600000-", 600000, len(CUT)),
        ("bytes=-524290", len(CUT) - 524290, len(CUT)),
    ],
)
def test_ranges_count_in_what_is_shown(
    server: HttpServer, cut: str, header: str, start: int, stop: int
) -> None:
    reply = server.get(cut, Range=header)
    assert (reply.status, reply.body) == (206, CUT[start:stop])
    assert reply.headers["content-range"] == f"bytes {start}-{stop - 1}/{len(CUT)}"
    beyond = server.get(cut, Range=f"bytes={len(CUT)}-")
    assert (beyond.status, beyond.headers["content-range"]) == (416, f"bytes */{len(CUT)}")


@pytest.mark.parametrize("attempt, status", [("2", 404), ("0", 400), ("x", 400), ("..%2f1", 400)])
def test_an_attempt_that_there_was_not_has_no_log(
    server: HttpServer, printed: str, attempt: str, status: int
) -> None:
    reply = server.get(f"{printed}?attempt={attempt}")
    assert (reply.status, reply.fields) == (status, ["attempt"])


def test_a_link_or_a_pipe_in_the_place_of_a_log_is_not_opened(
    server: HttpServer, service: PlayedService, printed: str, tmp_path: Path
) -> None:
    secret = tmp_path / "secret"
    secret.write_text("secret")
    log = log_of(service, printed)
    log.unlink()
    log.symlink_to(secret)
    assert server.get(printed).problem["status"] == 404
    log.unlink()
    os.mkfifo(log)
    assert server.get(printed).problem["status"] == 404
    log.unlink()
    log.parent.rmdir()
    (tmp_path / "1.log").write_text("secret")
    log.parent.symlink_to(tmp_path)
    assert server.get(printed).problem["status"] == 404
    log.parent.unlink()


def test_a_log_that_is_cut_off_while_it_is_sent_does_not_look_whole(
    server: HttpServer, service: PlayedService, printed: str
) -> None:
    log = log_of(service, printed)
    log.write_bytes(b"x" * (64 * 2**20))
    with server.raw() as connection:
        connection.sendall(f"GET {printed} HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n\r\n".encode())
        received = len(connection.recv(65536))
        os.truncate(log, 0)
        while part := connection.recv(1 << 20):
            received += len(part)
    assert received < 64 * 2**20
    assert "Traceback" not in server.log
    log.unlink()
