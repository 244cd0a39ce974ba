"""Through the socket or straight to the store: which way is gone when, and that it makes no difference."""

import json
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from supervisor.client import Client, NewJob
from supervisor.errors import AsyncWorkerError, InvalidKey, StoreUnavailable
from supervisor.lifecycle import FailureKind, JobStatus
from supervisor.outcome import Usage
from supervisor.store.records import CancelAnswer
from supervisor.ways.straight import StoreWay
from supervisor.ways.through import SocketWay
from tests.cli.commandline import Installation, PlayedService, eventually, way_of
from tests.cli.httpserver import HttpServer, serving

NOBODY = "ffffffff-0000-4000-8000-000000000000"


@pytest.fixture(scope="module")
def way() -> str:
    return "socket"


@pytest.fixture(autouse=True)
def here(installation: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(installation.folder)


def test_both_ways_give_the_same_records(through: Client, straight: Client, service: PlayedService) -> None:
    submitted = through.submit("EmailJob", {"ü": [1, 2.5, None, "\ud83d\ude00"]}, priority=-3)
    for client in (straight, through):
        assert client.get(submitted.id) == submitted
    failed, command, waiting = (straight.submit("EmailJob", each).id for each in ("text", 1e300, None))
    for job in (failed, command):
        service.start(job)
    service.end(
        failed,
        JobStatus.FAILED,
        failure_kind=FailureKind.TIMED_OUT,
        error_message="it took \x1b[31mtoo long",
        traceback="Traceback:\n",
        signal=9,
        usage=Usage(0.25, 1.5, 4096),
        termination={"reason": "timeout", "signals": [{"signal": "SIGTERM", "afterSeconds": 0.0}]},
    )
    service.end(command, JobStatus.COMPLETED)  # a command has no result
    for question in questions(failed, command, waiting):
        assert question(through) == question(straight)
    assert isinstance(way_of(through), SocketWay)


def questions(*jobs: str) -> Iterator[Callable[[Client], Any]]:
    yield lambda client: [client.get(job) for job in jobs]
    yield lambda client: client.get(jobs[0][:9].upper())
    yield lambda client: [client.attempts(job) for job in jobs]
    yield lambda client: client.list(page=2, page_size=3)
    yield lambda client: client.list(status=JobStatus.FAILED, type="EmailJob")
    yield lambda client: client.overview()
    yield lambda client: client.has_supervisor()
    yield lambda client: client.log_path(jobs[0], 1)
    yield lambda client: client.wait(jobs[:2])
    yield lambda client: client.cancel(jobs[0])
    yield lambda client: client.job_types()


@pytest.mark.parametrize(
    "question",
    [
        lambda client: client.get(NOBODY),
        lambda client: client.get("ffffffff"),
        lambda client: client.get("f"),
        lambda client: client.get("' OR 1=1"),
        lambda client: client.attempts(NOBODY),
        lambda client: client.cancel(NOBODY),
        lambda client: client.wait([NOBODY]),
        lambda client: client.log_path(NOBODY),
        lambda client: client.submit("EmialJob"),
        lambda client: client.submit("\ud800"),
        lambda client: client.submit("zzz", "x"),
        lambda client: client.submit("EmailJob", {1, 2}),
        lambda client: client.submit("EmailJob", "x" * 2**20),
        lambda client: client.submit("EmailJob", "\ud800"),
        lambda client: client.submit("EmailJob", nested(201)),
        lambda client: client.submit("EmailJob", priority=2**31),
        lambda client: client.submit("EmailJob", idempotency_key="a space"),
        lambda client: client.retry("99999999-9999-4999-8999-999999999999"),
    ],
)
def test_both_ways_refuse_with_the_same_sentence(
    through: Client, straight: Client, question: Callable[[Client], Any]
) -> None:
    errors = []
    for client in (through, straight):
        with pytest.raises(AsyncWorkerError) as caught:
            question(client)
        errors.append((type(caught.value), str(caught.value), caught.value.exit_code))
    assert errors[0] == errors[1]


def test_the_deepest_payload_goes_both_ways(through: Client, straight: Client) -> None:
    jobs = [client.submit("EmailJob", nested(200)) for client in (through, straight)]
    assert jobs[0].payload == jobs[1].payload
    assert through.get(jobs[1].id) == jobs[1]
    assert isinstance(way_of(through), SocketWay)


def nested(levels: int) -> Any:
    payload: Any = None
    for _ in range(levels):
        payload = [payload]
    return payload


def test_cancelling_tells_the_one_who_asked_first(
    through: Client, straight: Client, service: PlayedService
) -> None:
    pending, running = through.submit("EmailJob").id, through.submit("EmailJob").id
    service.start(running)
    assert through.cancel(pending).answer is CancelAnswer.CANCELLED
    assert through.cancel(pending).answer is CancelAnswer.ALREADY_ENDED
    assert through.cancel(running).answer is CancelAnswer.REQUESTED
    for client in (through, straight):
        assert client.cancel(running).answer is CancelAnswer.ALREADY_REQUESTED


def test_a_retry_is_the_same_both_ways(through: Client, straight: Client) -> None:
    one, other = through.submit("EmailJob").id, through.submit("EmailJob").id
    for job in (one, other):
        through.cancel(job)
    assert through.retry(one) == straight.get(one)
    assert straight.retry(other) == through.get(other)


def test_of_many_who_cancel_at_one_instant_one_is_told_that_it_was_the_one(
    installation: Installation, through: Client, service: PlayedService
) -> None:
    for _ in range(5):
        running = through.submit("EmailJob").id
        service.start(running)
        together = threading.Barrier(8)

        def cancel(job: str = running, together: threading.Barrier = together) -> CancelAnswer:
            with Client(installation.state_dir, installation.config) as client:
                assert isinstance(way_of(client), SocketWay)
                together.wait(20)
                return client.cancel(job).answer

        with ThreadPoolExecutor(8) as threads:
            answers = Counter(each.result() for each in [threads.submit(cancel) for _ in range(8)])
        assert answers == {CancelAnswer.REQUESTED: 1, CancelAnswer.ALREADY_REQUESTED: 7}


def test_a_key_is_good_both_ways(through: Client, straight: Client) -> None:
    first = through.submit("EmailJob", {"a": 1}, idempotency_key="order-1")
    second = straight.submit("EmailJob", {"b": 1}, priority=2, idempotency_key="order-2")
    assert straight.submit("EmailJob", {"a": 1}, idempotency_key="order-1") == first
    assert through.submit("EmailJob", {"b": 1}, priority=2, idempotency_key="order-2") == second
    for client in (through, straight):
        with pytest.raises(InvalidKey, match="asked for differently"):
            client.submit("EmailJob", {"a": 2}, idempotency_key="order-1")
    assert straight.list().total_count == 2


def test_a_submit_through_the_socket_imports_no_database_and_nothing_else_that_takes_long(
    installation: Installation,
) -> None:
    program = (
        "import atexit, json, sys\n"
        "atexit.register(lambda: print(json.dumps(sorted(sys.modules)), file=sys.stderr))\n"
        "import asyncworker\n"
        "asyncworker.main()"
    )
    installation.command = lambda *words: [sys.executable, "-P", "-c", program, *words]  # type: ignore[method-assign]
    answer = installation.run("submit", "-q", "EmailJob", "{}")
    assert answer.code == 0
    imported = set(json.loads(answer.err))
    assert not {"sqlalchemy", "sqlite3", "alembic", "yaml", "rich"} & imported
    assert not {"http.client", "email.message", "ssl", "shutil", "logging"} & imported
    assert not {"cli.serve", "cli.status", "cli.following", "cli.live"} & imported


def test_without_a_server_or_with_a_dead_ones_socket_it_is_straight(installation: Installation) -> None:
    with Client(installation.folder / "elsewhere", installation.config) as client:
        assert isinstance(way_of(client), StoreWay)
    elsewhere = Installation(installation.folder / "elsewhere")
    with serving(elsewhere) as started:
        started.die()
        assert (elsewhere.state_dir / "api.sock").exists()
        with Client(elsewhere.state_dir) as client:
            assert client.submit("EmailJob").status is JobStatus.PENDING
            assert isinstance(way_of(client), StoreWay)


def test_a_server_that_accepts_and_says_nothing_is_given_a_second(
    installation: Installation, server: HttpServer
) -> None:
    with server.stopped(), Client(installation.state_dir, installation.config) as client:
        before = time.monotonic()
        assert client.list().total_count == 0
        assert time.monotonic() - before < 3
        assert isinstance(way_of(client), StoreWay)


def test_another_database_or_other_job_types_than_the_servers_are_what_was_asked_for(
    installation: Installation, tmp_path: Path
) -> None:
    state_dir, types = installation.state_dir, tmp_path / "jobtypes.yaml"
    types.write_text("job_types:\n  Another: {handler: 'a:b', max_concurrency: 1}\n")
    same = (tmp_path / "same.yaml", tmp_path / "same.db")
    for link, target in zip(same, (installation.config, state_dir / "jobs.db"), strict=True):
        link.symlink_to(target)
    with Client(state_dir, *same) as client:
        assert isinstance(way_of(client), SocketWay)
    with Client(state_dir, types) as client:
        assert client.submit("Another").type == "Another"
        assert isinstance(way_of(client), StoreWay)
    with Client(state_dir, database=tmp_path / "other.db") as client:
        assert client.list().total_count == 0
        assert isinstance(way_of(client), StoreWay)


def test_job_types_that_nobody_named_are_the_servers(
    installation: Installation, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)  # where there are none
    with Client(installation.state_dir) as client:
        assert client.submit("ReportJob").priority == 7
        assert client.submit_many([NewJob("ReportJob")])[0].priority == 7  # though straight to the store
        assert isinstance(way_of(client), SocketWay)


def test_a_state_folder_with_a_long_name_is_reached(tmp_path: Path) -> None:
    deep = Installation(tmp_path.joinpath(*["a_folder_with_a_long_name"] * 5) / "x")
    assert len(str(deep.state_dir)) > 108
    with serving(deep), Client(deep.state_dir, deep.config) as client:
        client.submit("EmailJob")
        assert isinstance(way_of(client), SocketWay)


def test_a_server_that_wants_a_token_is_shown_the_one_there_is_or_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    guarded, token = Installation(tmp_path / "guarded"), tmp_path / "token"
    token.touch(0o600)
    token.write_text("very-secret\n")
    monkeypatch.chdir(guarded.folder)
    with serving(guarded, {"ASYNCWORKER_TOKEN_FILE": str(token)}):
        with Client(guarded.state_dir) as client:
            job = client.submit("EmailJob")
        monkeypatch.setenv("ASYNCWORKER_TOKEN_FILE", str(token))
        with Client(guarded.state_dir) as client:
            assert client.get(job.id) == job
            assert isinstance(way_of(client), SocketWay)
        monkeypatch.setattr("supervisor.client.Client._straight", lambda *_, **__: pytest.fail("not needed"))
        with Client(guarded.state_dir) as client:
            assert client.get(job.id) == job


def test_a_database_that_went_away_under_the_server_is_not_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = Installation(tmp_path / "mine")
    monkeypatch.chdir(mine.folder)
    with serving(mine), Client(mine.state_dir) as client:
        assert isinstance(way_of(client), SocketWay)
        for path in mine.state_dir.glob("jobs.db*"):
            path.rename(tmp_path / path.name)
        with pytest.raises(StoreUnavailable, match="does not exist") as caught:
            client.submit("EmailJob")
        assert caught.value.exit_code == 4
        assert not (mine.state_dir / "jobs.db").exists()
        for path in tmp_path.glob("jobs.db*"):
            path.rename(mine.state_dir / path.name)
        assert client.submit("EmailJob").status is JobStatus.PENDING


def test_waiting_is_interrupted_as_it_is_without_a_server(
    installation: Installation, service: PlayedService
) -> None:
    with installation.started("submit", "EmailJob", "--wait") as waiting:
        (job,) = eventually(service.jobs)
        eventually(lambda: waiting.stdout and waiting.stdout.readline())
        waiting.send_signal(signal.SIGINT)
        _, err = waiting.communicate(timeout=20)
    assert (waiting.returncode, f"job {job.id} goes on" in err) == (130, True)


def test_debugging_tells_which_way_was_gone(installation: Installation) -> None:
    given = {"ASYNCWORKER_DEBUG": "1", "ASYNCWORKER_DATABASE": str(installation.folder / "other.db")}
    installation.way = "store"
    assert "api.sock serves another database" in installation.run("list", given=given).err
    assert "api.sock" not in installation.run("list", given={**given, "ASYNCWORKER_DEBUG": ""}).err
