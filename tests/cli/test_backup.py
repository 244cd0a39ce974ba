import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from supervisor.lifecycle import JobStatus
from supervisor.store import jobs
from tests.cli.commandline import Answer, Installation, PlayedService, eventually

Command = Callable[..., Answer]


@pytest.fixture(scope="module")
def way() -> str:
    """Nothing here depends on it: the file is copied, whoever serves it."""
    return "store"


@pytest.fixture
def copy(installation: Installation) -> Path:
    folder = installation.folder / "backups"
    folder.mkdir()
    return folder / "copy.db"


def test_it_says_what_it_has_written(asyncworker: Command, service: PlayedService, copy: Path) -> None:
    job = asyncworker("submit", "-q", "EmailJob").out.strip()
    service.start(job)
    answer = asyncworker("backup", str(copy))
    assert (answer.code, answer.out) == (0, f"Backed up 1 job to {copy} (135.2 kB), verified.\n")
    assert answer.err == ""
    service.end(job, JobStatus.COMPLETED)
    assert asyncworker("backup", str(copy), "--force", "--json").json == {
        "file": str(copy),
        "bytes": copy.stat().st_size,
        "schema": "0006",
        "jobs": {"pending": 0, "inProgress": 0, "completed": 1, "failed": 0, "cancelled": 0, "total": 1},
        "attempts": 1,
        "supervisors": 1,
    }


def test_a_relative_name_is_one_of_the_current_folder(
    installation: Installation, asyncworker: Command, service: PlayedService
) -> None:
    assert asyncworker("backup", "here.db").code == 0
    assert (installation.folder / "here.db").exists()


def test_what_cannot_be_is_one_sentence_with_its_exit_code(
    installation: Installation, asyncworker: Command, copy: Path
) -> None:
    missing = asyncworker("backup", str(copy))
    assert (missing.code, missing.out, missing.err) == (
        4,
        "",
        f"Error: the database {installation.state_dir / 'jobs.db'} does not exist\n",
    )
    assert not installation.state_dir.exists()
    asyncworker("submit", "EmailJob")
    asyncworker("backup", str(copy))
    refused = asyncworker("backup", str(copy))
    assert (refused.code, refused.out, refused.err) == (
        2,
        "",
        f"Error: {copy} exists; name another file, or replace it with --force\n",
    )
    assert asyncworker("backup").code == 2
    assert "not standard output" in asyncworker("backup", "-").err


def test_on_a_terminal_there_is_a_bar_and_then_the_sentence(
    installation: Installation, service: PlayedService, copy: Path
) -> None:
    seen = installation.on_a_terminal("backup", str(copy))
    assert "━ 100% 135.2 kB of 135.2 kB, verifying" in seen
    assert seen.endswith(f"\x1b[1A\r\x1b[JBacked up 0 jobs to {copy} (135.2 kB), verified.\n")


@contextmanager
def listened_to(number: signal.Signals) -> Iterator[None]:
    """Also where these tests were started by nohup, say: what is ignored is inherited, and stays so."""
    before = signal.signal(number, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(number, before)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_whatever_stops_it_leaves_nothing(
    installation: Installation, service: PlayedService, copy: Path, number: signal.Signals
) -> None:
    with service.store.write() as tx:
        for job in range(30):
            jobs.insert(
                tx,
                id=f"job-{job}",
                type="EmailJob",
                payload='"' + "x" * 1_000_000 + '"',
                priority=0,
                max_attempts=1,
                created_at=1,
            )
    with listened_to(number), installation.started("backup", str(copy)) as child:
        partial = copy.with_name(".copy.db.partial")
        eventually(lambda: partial.exists() and partial.stat().st_size > 2_000_000)
        os.kill(child.pid, number)
        out, err = child.communicate(timeout=20)
    assert (child.returncode, out, err) == (128 + number, "", "Stopped.\n")
    assert os.listdir(copy.parent) == []
