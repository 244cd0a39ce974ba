"""The verb itself: what it prints, what it ends with, and that it changes nothing."""

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from cli.checkup import types
from tests.cli.commandline import Answer, Installation, PlayedService

Command = Callable[..., Answer]


@pytest.fixture(scope="module")
def way() -> str:
    """Nothing here depends on it."""
    return "store"


@pytest.fixture(autouse=True)
def without_imports(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each import is a process; `check` is tested with them, and so is the first of these."""
    if "with_imports" not in request.fixturenames:
        monkeypatch.setattr(types, "judge_handlers", lambda *_: ())


@pytest.fixture
def with_imports() -> None:
    """Handlers are imported."""


def found(answer: Answer) -> dict[str, str]:
    """The worst level of each check."""
    order = ["ok", "warning", "failure"]
    levels: dict[str, list[str]] = {}
    for each in answer.json:
        levels.setdefault(each["check"], []).append(each["level"])
    return {check: max(seen, key=order.index) for check, seen in levels.items()}


@pytest.mark.usefixtures("with_imports")
def test_before_the_first_start_nothing_is_wrong_and_nothing_is_made(
    installation: Installation, asyncworker: Command
) -> None:
    answer = asyncworker("doctor")
    assert answer.code == 0
    assert not installation.state_dir.exists()
    assert "state does not exist; the first start makes it\n" in answer.out
    assert "ok       handlers        2 imported\n" in answer.out
    assert "warning  service         no service is running\n" in answer.out
    assert f"{'':<25}-> Start one: asyncworker serve" in answer.out
    assert answer.err.startswith("0 failures, ")


def test_beside_a_service_its_findings_are_json(
    installation: Installation, asyncworker: Command, service: PlayedService
) -> None:
    os.chmod(installation.state_dir, 0o755)
    answer = asyncworker("doctor", "--json")
    levels = found(answer)
    assert answer.code == 4  # its heartbeat is that of the builders, years ago
    assert [levels[check] for check in ("service", "permissions", "database", "schema")] == [
        "failure",
        "warning",
        "ok",
        "ok",
    ]
    assert all(each["check"] and each["text"] for each in answer.json)
    assert {tuple(each) for each in answer.json} == {("check", "level", "text", "advice")}


@pytest.mark.parametrize(
    "content, complaint",
    [(None, "There is no file"), ("job_types: {A: {handler: 'a:b'}}\n", "max_concurrency")],
)
def test_a_mistake_in_the_configuration_ends_with_2(
    installation: Installation, asyncworker: Command, content: str | None, complaint: str
) -> None:
    installation.config.unlink()
    if content is not None:
        installation.config.write_text(content)
    answer = asyncworker("doctor", "--json")
    assert (answer.code, found(answer)["job types"]) == (2, "failure")
    assert complaint in answer.out


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_a_folder_of_roots_among_the_logs_of_another_user_is_a_failure(
    installation: Installation, asyncworker: Command, service: PlayedService
) -> None:
    removed = service.locations.logs / ".removed"
    removed.mkdir(mode=0o700)
    for folder in (installation.state_dir, service.locations.logs, service.locations.working_directories):
        os.chown(folder, 64999, 64999)
    answer = asyncworker("doctor")
    assert answer.code == 4
    assert f"{removed} belongs to user 0: the service's, 64999, may not write to it" in answer.out
    assert f"-> As root: chown 64999 {removed}\n" in answer.out


def damaged(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[4096:] = os.urandom(len(content) - 4096)
    path.write_bytes(content)


def from_the_future(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
        connection.commit()


def no_database(path: Path) -> None:
    path.write_text("precious\n" * 1000)


@pytest.mark.parametrize(
    "spoil, check", [(damaged, "database"), (no_database, "database"), (from_the_future, "schema")]
)
def test_a_database_that_cannot_be_used_ends_with_4_and_stays_as_it_is(
    installation: Installation, asyncworker: Command, spoil: Callable[[Path], None], check: str
) -> None:
    asyncworker("submit", "EmailJob")
    path = installation.state_dir / "jobs.db"
    spoil(path)
    path.chmod(0o644)
    before, there = path.read_bytes(), sorted(os.listdir(path.parent))
    installation.config.write_text("nonsense: true\n")
    answer = asyncworker("doctor", "--json")
    assert (answer.code, found(answer)[check]) == (4, "failure")
    assert found(answer)["job types"] == "failure"
    assert (path.read_bytes(), sorted(os.listdir(path.parent))) == (before, there)
    assert ("cannot be told" in answer.out) == (check == "database")
    assert (f"chmod 600 {path}" in answer.out) == (spoil is not no_database)


def test_a_database_that_is_none_by_its_name_is_a_finding_like_others(asyncworker: Command) -> None:
    answer = asyncworker("doctor", "--json", "--database", "postgresql://localhost/x")
    assert (answer.code, found(answer)["database"]) == (4, "failure")
    assert "only SQLite databases are supported" in answer.out


def test_a_look_that_fails_is_a_failure_and_the_others_are_taken_all_the_same(
    asyncworker: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise OSError(13, "Permission denied", "/somewhere")

    monkeypatch.setattr("cli.checkup.disk.Disk.of", broken)
    answer = asyncworker("doctor", "--json")
    assert (answer.code, found(answer)["disk"], found(answer)["clock"]) == (4, "failure", "ok")
    assert "PermissionError" in answer.out


def test_the_token_file_is_read_as_serve_does(installation: Installation, asyncworker: Command) -> None:
    file = installation.folder / "token"
    answer = asyncworker("doctor", "--json", "--token-file", str(file))
    assert (answer.code, found(answer)["token file"]) == (2, "failure")
    file.write_text("secret")
    file.chmod(0o644)
    answer = asyncworker("doctor", "--json", "--token-file", str(file))
    assert (found(answer)["token file"], found(answer)["permissions"]) == ("ok", "warning")
    assert "secret" not in answer.out
