"""An installation of its own for each test: commands run in it, and a service played by the test itself."""

import json
import os
import pty
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from supervisor.client import Client
from supervisor.lifecycle import JobStatus
from supervisor.liveness import Here
from supervisor.outcome import Outcome
from supervisor.settings import Locations
from supervisor.store import Store, jobs, open_store, supervisors
from supervisor.store.records import Job
from tests.support.builders import a_supervisor, an_identity
from workers.identity import Identity

JOB_TYPES = """\
job_types:
  EmailJob:
    handler: workers.samples:send_email
    max_concurrency: 3
  ReportJob:
    handler: workers.samples:render_report
    max_concurrency: 2
    priority: 7
    description: Renders a report
"""

WITHOUT_THE_STORE = """
import sys
sys.modules.update(dict.fromkeys(("sqlalchemy", "alembic", "yaml", "sqlite3")))  # importing one is an error
import asyncworker
asyncworker.main()
"""

ONLY_THE_STORE = pytest.mark.parametrize("way", ["store"], indirect=True, scope="module")

ME = "5e1f0000-0000-4000-8000-000000000001"


@dataclass(frozen=True)
class Answer:
    """What a command came to."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@dataclass
class Installation:
    """A state folder and a job types file that nobody else uses."""

    folder: Path
    way: str = "store"
    environment: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.state_dir = self.folder / "state"
        self.config = self.folder / "jobtypes.yaml"
        if not self.config.exists() or self.config.read_text() != JOB_TYPES:
            self.config.write_text(JOB_TYPES)
        inherited = {name: text for name, text in os.environ.items() if not name.startswith("ASYNCWORKER_")}
        self.environment = {
            **inherited,
            "ASYNCWORKER_STATE_DIR": str(self.state_dir),
            "ASYNCWORKER_CONFIG": str(self.config),
            "COLUMNS": "200",
            "TZ": "UTC",
        }

    @property
    def locations(self) -> Locations:
        return Locations.resolve(self.state_dir, self.config, str(self.state_dir / "jobs.db"))

    def command(self, *words: str) -> list[str]:
        if self.way == "socket":
            return [sys.executable, "-P", "-c", WITHOUT_THE_STORE, *words]
        return [sys.executable, "-P", "-m", "asyncworker", *words]

    def run(self, *words: str, typed: bytes | None = None, given: Mapping[str, str] | None = None) -> Answer:
        """In a process of its own, as a person would; `given` is added to the environment."""
        done = subprocess.run(
            self.command(*words),
            input=typed,
            stdin=None if typed is not None else subprocess.DEVNULL,
            capture_output=True,
            env={**self.environment, **(given or {})},
            cwd=self.folder,
            timeout=30,
            check=False,
        )
        return Answer(done.returncode, done.stdout.decode(), done.stderr.decode())

    def on_a_terminal(self, *words: str, given: Mapping[str, str] | None = None) -> str:
        """What a terminal gets to see, both streams in one."""
        master, slave = pty.openpty()
        try:
            subprocess.run(
                self.command(*words),
                stdin=subprocess.DEVNULL,
                stdout=slave,
                stderr=slave,
                env={**self.environment, "TERM": "xterm", **(given or {})},
                cwd=self.folder,
                timeout=30,
                check=True,
            )
            return os.read(master, 65536).decode().replace("\r\n", "\n")
        finally:
            os.close(slave)
            os.close(master)

    @contextmanager
    def started(self, *words: str, stderr: int = subprocess.PIPE) -> "Iterator[subprocess.Popen[str]]":
        """A command that runs while the test goes on."""
        child = subprocess.Popen(
            self.command(*words),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=stderr,
            env=self.environment,
            cwd=self.folder,
            text=True,
        )
        try:
            yield child
        finally:
            child.kill()
            child.communicate()


class PlayedService:
    """This test, on record as a supervisor: alive as long as the test runs, moving jobs by hand."""

    def __init__(self, installation: Installation) -> None:
        installation.locations.make_state_dir()
        self.store: Store = open_store(installation.locations.database)
        self.locations = installation.locations
        here = Here.current(self.store.path)
        record = a_supervisor(
            uuid=ME,
            host=here.host,
            boot_id=here.boot_id,
            pid_namespace=here.pid_namespace,
            identity=Identity.of(os.getpid()),
        )
        with self.store.write() as tx:
            supervisors.register(tx, record)

    def start(self, job_id: str) -> None:
        attempt = self.job(job_id).attempt + 1
        with self.store.write() as tx:
            assert jobs.claim(
                tx, job_id=job_id, owner=ME, attempt=attempt, child=an_identity(), now=_milliseconds()
            )

    def end(self, job_id: str, status: JobStatus, **known: Any) -> None:
        outcome = Outcome(status, **known)
        with self.store.write() as tx:
            attempt = jobs.find(tx, job_id).attempt
            now = _milliseconds()
            assert jobs.finish(tx, job_id=job_id, owner=ME, attempt=attempt, outcome=outcome, now=now)

    def try_again(self, job_id: str, run_at: int | None = None, **known: Any) -> None:
        """Its attempt has failed, and another follows: not before `run_at`."""
        outcome = Outcome(JobStatus.FAILED, **known)
        with self.store.write() as tx:
            facts: dict[str, Any] = {"attempt": jobs.find(tx, job_id).attempt, "now": _milliseconds()}
            budget: dict[str, Any] = {"run_at": run_at, "crashed": False, "counted": True}
            assert jobs.try_again(tx, job_id=job_id, owner=ME, outcome=outcome, **facts, **budget)

    def progress(self, job_id: str, fraction: float, message: str | None = None) -> None:
        with self.store.write() as tx:
            attempt = jobs.find(tx, job_id).attempt
            news: dict[str, Any] = {"fraction": fraction, "message": message}
            assert jobs.record_progress(tx, job_id=job_id, owner=ME, attempt=attempt, **news)

    def print(self, job_id: str, text: bytes, attempt: int = 1) -> None:
        log = self.locations.log_of(job_id, attempt)
        log.parent.mkdir(exist_ok=True)
        with log.open("ab") as file:
            file.write(text)

    def leave(self) -> None:
        with self.store.write() as tx:
            supervisors.set_state(tx, uuid=ME, state="stopped", now=_milliseconds())

    def job(self, job_id: str) -> Job:
        with self.store.read() as tx:
            return jobs.find(tx, job_id)

    def jobs(self) -> list[Job]:
        with self.store.read() as tx:
            return jobs.page(tx, limit=100)


def way_of(client: Client) -> object:
    """The way that it goes."""
    client.has_supervisor()
    return client._chosen


def eventually(condition: Callable[[], Any], within: float = 20.0) -> Any:
    """What the condition gives as soon as it gives something; a fact is waited for, not slept for."""
    deadline = time.monotonic() + within
    while not (found := condition()):
        assert time.monotonic() < deadline, "it never came about"
        time.sleep(0.01)
    return found


def _milliseconds() -> int:
    return time.time_ns() // 1_000_000
