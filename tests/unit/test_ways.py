"""What the socket's way makes of a server's answers, whatever they are."""

import json
import os
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from supervisor import representation
from supervisor.answers import Cancellation
from supervisor.errors import AmbiguousJob, InvalidKey, UnknownJob, UnknownJobType
from supervisor.settings import Locations
from supervisor.store.records import CancelAnswer
from supervisor.ways import sameness
from supervisor.ways.choice import through_the_socket
from supervisor.ways.exchange import Answer, Exchange, _Connection
from supervisor.ways.through import SocketWay
from supervisor.ways.typesfile import TypesFile
from supervisor.ways.way import Choice, NotThisWay, Submission, WayLost
from tests.support.builders import a_job

JOB = a_job()
DOCUMENT = representation.job(JOB)
WANTED = Submission("EmailJob", '{"a":1}', 3, None, "spare")
ANYTHING = Choice(None, None, 1, 20)


class Scripted(Exchange):
    """Answers from a list; what was asked is kept."""

    def __init__(self, *answers: tuple[int, Any]) -> None:
        super().__init__(Path("nowhere"))
        self.answers = [*answers]
        self.headers: dict[str, str] = {}
        self.asked: list[tuple[str, str, bytes | None, Mapping[str, str] | None]] = []

    def ask(
        self,
        method: str,
        target: str,
        *,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        within: float = 0,
    ) -> Answer:
        self.asked.append((method, target, body, headers))
        status, document = self.answers.pop(0)
        return Answer(
            status,
            self.headers,
            document if isinstance(document, bytes) else json.dumps(document).encode(),
            changes=method != "GET",
        )


def way(*answers: tuple[int, Any]) -> tuple[SocketWay, Scripted]:
    scripted = Scripted(*answers)
    return SocketWay(scripted), scripted


def test_a_submission_is_one_post_with_a_key_of_its_own() -> None:
    asked, scripted = way((202, DOCUMENT))
    assert asked.submit(WANTED) == JOB
    ((method, target, body, headers),) = scripted.asked
    assert (method, target, headers) == (
        "POST",
        "/api/jobs",
        {"Content-Type": "application/json", "Idempotency-Key": "spare"},
    )
    assert json.loads(body or b"") == {"type": "EmailJob", "payload": {"a": 1}, "priority": 3}


def test_a_type_that_the_server_does_not_know_is_answered_with_the_nearest() -> None:
    asked, _ = way((400, {"errors": [{"field": "type"}]}), (200, [{"name": "EmailJobs"}]))
    with pytest.raises(UnknownJobType, match="did you mean EmailJobs"):
        asked.submit(WANTED)


def test_a_refusal_for_a_reason_that_is_not_known_leaves_it_to_the_store() -> None:
    asked, _ = way((400, {"errors": [{"field": "body"}]}), (200, [{"name": "EmailJob"}]))
    with pytest.raises(NotThisWay):
        asked.submit(WANTED)


def test_a_key_that_stands_for_another_job_is_refused() -> None:
    with pytest.raises(InvalidKey, match="asked for differently"):
        way((409, {}))[0].submit(WANTED)


@pytest.mark.parametrize("status", [301, 400, 401, 403, 404, 405, 413, 415, 429, 502, 503])
def test_whatever_else_is_refused_the_store_decides(status: int) -> None:
    with pytest.raises(NotThisWay):
        way((status, {}))[0].page(ANYTHING)


def test_a_server_that_fails_is_not_asked_again() -> None:
    with pytest.raises(WayLost):
        way((500, {}))[0].page(ANYTHING)


@pytest.mark.parametrize("document", [b"<html>", b"", b"[]", b"{}", b"null", b"7", b"\xff"])
def test_an_answer_that_is_not_understood_leaves_it_to_the_store(document: bytes) -> None:
    for question in (SocketWay.has_supervisor, SocketWay.overview, lambda it: it.get(JOB.id)):
        with pytest.raises(NotThisWay):
            question(way((200, document))[0])


@pytest.mark.parametrize("name", [JOB.id, JOB.id.upper()])
def test_a_whole_id_is_asked_for_in_lower_case(name: str) -> None:
    asked, scripted = way((200, DOCUMENT))
    assert asked.get(name) == JOB
    assert scripted.asked[0][1] == f"/api/jobs/{JOB.id}"


def test_the_beginning_of_an_id_is_looked_for_in_the_list() -> None:
    one = {"items": [DOCUMENT], "page": 1, "pageSize": 2, "totalCount": 1, "totalPages": 1}
    asked, scripted = way((200, one), (200, {**one, "items": [DOCUMENT] * 2}), (200, {**one, "items": []}))
    assert asked.get("10B0") == JOB
    assert scripted.asked[0][1] == "/api/jobs?id=10B0&pageSize=2"
    with pytest.raises(AmbiguousJob):
        asked.get("10b0")
    with pytest.raises(UnknownJob):
        asked.get("10b0")


@pytest.mark.parametrize("name", ["", "abc", "%%%%", "../types", "x" * 5000])
def test_what_cannot_be_an_id_is_not_even_asked_for(name: str) -> None:
    asked, scripted = way()
    with pytest.raises(UnknownJob):
        asked.get(name)
    assert scripted.asked == []


@pytest.mark.parametrize(
    "status, answer",
    [
        (200, CancelAnswer.CANCELLED),
        (202, CancelAnswer.REQUESTED),
        (202, CancelAnswer.ALREADY_REQUESTED),
    ],
)
def test_what_a_cancel_came_to_is_what_the_server_says(status: int, answer: CancelAnswer) -> None:
    asked, scripted = way((status, DOCUMENT))
    scripted.headers = {"asyncworker-cancel": answer.value}
    assert asked.cancel(JOB.id) == Cancellation(answer, JOB)


@pytest.mark.parametrize("told", [{}, {"AsyncWorker-Cancel": "perhaps"}])
def test_a_server_that_does_not_say_what_a_cancel_came_to_leaves_it_to_the_store(
    told: dict[str, str],
) -> None:
    asked, scripted = way((202, DOCUMENT))
    scripted.headers = told
    with pytest.raises(NotThisWay):
        asked.cancel(JOB.id)


def test_a_cancel_too_late_says_what_the_job_is() -> None:
    cancellation = way((409, {}), (200, DOCUMENT))[0].cancel(JOB.id)
    assert (cancellation.answer, cancellation.job) == (CancelAnswer.ALREADY_ENDED, JOB)


@contextmanager
def listening(folder: Path, *answers: bytes) -> Iterator[list[bytes]]:
    """A socket that gives each caller one answer and hangs up; what the callers said."""
    heard: list[bytes] = []
    listener = socket.socket(socket.AF_UNIX)
    here = os.open(folder, os.O_RDONLY)
    listener.bind(f"/proc/self/fd/{here}/api.sock")
    os.close(here)
    listener.listen()

    def serve() -> None:
        for answer in answers:
            caller, _ = listener.accept()
            with caller:
                heard.append(caller.recv(65536))
                caller.sendall(answer)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield heard
        thread.join(timeout=10)
    finally:
        listener.close()


OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nA: b\r\n\r\n{}"


@pytest.mark.parametrize(
    "said",
    [
        *(b"", b"HTTP/1.1 200", b"SMTP\r\n\r\n", OK[:-1], b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"),
        *(b"HTTP/1.1 200 OK\r\n\r\n{}", b"HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\n{}"),
        *(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + rest for rest in (b"x", b"2\r\n{}")),
    ],
)
def test_an_answer_that_breaks_off_is_none(tmp_path: Path, said: bytes) -> None:
    with listening(tmp_path, said), pytest.raises(WayLost):
        Exchange(tmp_path / "api.sock").ask("GET", "/")


def in_pieces(*chunks: bytes) -> bytes:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    return head + b"".join(b"%x;a=b\r\n%s\r\n" % (len(each), each) for each in (*chunks, b""))


@pytest.mark.parametrize(
    "said, body",
    [
        (OK, b"{}"),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + OK, b"{}"),
        (b"HTTP/1.1 204\r\ncontent-length:0\r\n\r\n", b""),
        (in_pieces(b"[1,", b" \r\n2", b"]"), b"[1, \r\n2]"),
        (in_pieces(b"0" * 700_000), b"0" * 700_000),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 700000\r\n\r\n" + b"0" * 700_000, b"0" * 700_000),
    ],
    ids=["plain", "continue", "empty", "chunks", "large chunk", "large"],
)
@pytest.mark.parametrize("piece", [1_000_000, 1009, 7])
def test_an_answer_is_understood_in_whatever_pieces_it_comes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: bytes, body: bytes, piece: int
) -> None:
    if piece == 7 and len(said) > 1000:
        said, body = in_pieces(b"0" * 700), b"0" * 700
    monkeypatch.setattr("supervisor.ways.exchange._AT_ONCE", piece)
    exchange = Exchange(tmp_path / "api.sock")
    with listening(tmp_path, said):
        assert exchange.ask("POST", "/", body=b"x").body == body
    exchange.close()


def test_an_answer_that_nobody_waited_for_is_not_taken_for_the_next_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    exchange = Exchange(tmp_path / "api.sock")
    monkeypatch.setattr("supervisor.ways.exchange._KEPT", 1e9)
    with listening(tmp_path, OK.replace(b"{}", b"[]"), OK):
        with monkeypatch.context() as patched:
            patched.setattr(_Connection, "_bytes", interrupted)  # the answer is here, and not yet read
            with pytest.raises(KeyboardInterrupt):
                exchange.ask("GET", "/")
        assert exchange.ask("GET", "/").body == b"{}"
    exchange.close()


def interrupted(*_: object) -> None:
    raise KeyboardInterrupt


def test_a_head_that_never_ends_is_no_answer(tmp_path: Path) -> None:
    said = b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 20_000
    with listening(tmp_path, said), pytest.raises(WayLost, match="without an end"):
        Exchange(tmp_path / "api.sock").ask("GET", "/")


def test_where_the_server_will_close_the_next_question_opens_another_connection(tmp_path: Path) -> None:
    exchange = Exchange(tmp_path / "api.sock")
    with listening(tmp_path, OK.replace(b"A: b", b"connection: close"), OK) as heard:
        for _ in range(2):
            assert exchange.ask("POST", "/", body=b"[]").json == {}
    exchange.close()
    assert [each.endswith(b"\r\nContent-Length: 2\r\n\r\n[]") for each in heard] == [True, True]


def test_a_connection_is_not_used_again_in_another_process_nor_after_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    exchange = Exchange(tmp_path / "api.sock", token="secret")
    with listening(tmp_path, OK, OK, OK) as heard:
        assert exchange.ask("GET", "/1").headers["A"] == "b"
        monkeypatch.setattr("supervisor.ways.exchange.os.getpid", lambda: -1)
        assert exchange.ask("GET", "/2").json == {}
        monkeypatch.setattr("supervisor.ways.exchange._KEPT", -1.0)
        exchange.ask("GET", "/3")
    exchange.close()
    assert all(b"Authorization: Bearer secret" in each and b"Host: localhost" in each for each in heard)


def locations(folder: Path, config: Path | None = None, database: Path | None = None) -> Locations:
    return Locations.resolve(folder, config, None if database is None else str(database), environ={})


def test_nobody_at_the_socket_or_no_socket_at_all_is_no_way(tmp_path: Path) -> None:
    assert through_the_socket(locations(tmp_path / "missing"), {}) is None
    (tmp_path / "api.sock").write_text("a file")
    assert through_the_socket(locations(tmp_path), {}) is None
    (tmp_path / "api.sock").unlink()
    with listening(tmp_path):
        pass
    assert (tmp_path / "api.sock").is_socket()
    assert through_the_socket(locations(tmp_path), {}) is None


def test_a_server_that_does_not_tell_its_files_serves_what_nobody_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert sameness.is_served(locations(tmp_path), {})
    assert not sameness.is_served(locations(tmp_path, config=tmp_path / "mine.yaml"), {})
    assert not sameness.is_served(locations(tmp_path, database=tmp_path / "mine.db"), {})


def test_files_are_the_same_when_they_are_one_file_however_it_is_named(tmp_path: Path) -> None:
    for name in ("jobs.db", "types.yaml", "other.db", "other.yaml"):
        (tmp_path / name).touch()
    (tmp_path / "link.db").symlink_to("jobs.db")
    told = {sameness.HEADER.lower(): sameness.files(locations(tmp_path, config=tmp_path / "types.yaml"))}
    types = tmp_path / "types.yaml"
    assert sameness.is_served(locations(tmp_path, types), told)
    assert sameness.is_served(locations(tmp_path, types, tmp_path / "link.db"), told)
    url = Locations.resolve(tmp_path, types, f"sqlite:///{tmp_path}/jobs.db", environ={})
    assert sameness.is_served(url, told)
    assert not sameness.is_served(locations(tmp_path, types, tmp_path / "other.db"), told)
    assert not sameness.is_served(locations(tmp_path, types, tmp_path / "missing.db"), told)
    assert not sameness.is_served(locations(tmp_path, tmp_path / "other.yaml"), told)
    assert not sameness.is_served(locations(tmp_path, tmp_path / "missing.yaml"), told)


def test_job_types_are_parsed_again_only_when_their_file_has_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "jobtypes.yaml"
    parsed: list[str] = []

    def load(path: Path) -> object:
        parsed.append(path.read_text())
        return object()

    monkeypatch.setattr("supervisor.jobtypes.load.load", load)
    types = TypesFile(path)
    path.write_text("one")
    assert types.read() is types.read()
    path.write_text("other")
    types.read()
    new = tmp_path / "new"
    new.write_text("third")
    os.utime(new, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns))
    new.replace(path)
    types.read()
    path.unlink()
    with pytest.raises(FileNotFoundError):
        types.read()
    assert parsed == ["one", "other", "third"]
