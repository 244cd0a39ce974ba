"""An installation of its own for a test: state folder, job types, supervisors; and nothing left after it."""

import contextlib
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Self

from asyncworker import Client
from supervisor.store.records import Job
from tests.support.eventually import eventually
from tests.support.observer import carriers, is_spare, workers_of
from workers import subtree
from workers.identity import Identity, state_of

HERE = Path(__file__).resolve().parent
COMMAND = Path(sys.executable).with_name("asyncworker")
"""The installed command."""
PROJECT = HERE.parent / "system" / "project"
"""Where the handlers of these tests lie."""

RETRIES: dict[str, Any] = {"max_attempts": 3, "initial": "50ms", "max": "200ms", "jitter": False}

TYPES: dict[str, dict[str, Any]] = {
    "Nap": {"handler": "chores:nap", "max_concurrency": 3},
    "Single": {"handler": "chores:nap", "max_concurrency": 1},
    "Until": {"handler": "chores:until", "max_concurrency": 3},
    "Echo": {"handler": "chores:echo", "max_concurrency": 1},
    "Brief": {"handler": "chores:brief", "max_concurrency": 10},
    "Litter": {"handler": "chores:litter", "max_concurrency": 2},
    "Daemon": {"handler": "chores:daemonise", "max_concurrency": 2},
    "Cookie": {
        "handler": "chores:daemonise",
        "max_concurrency": 2,
        "options": {"without_environment": False},
    },
    "Stubborn": {"handler": "chores:stubborn", "max_concurrency": 2, "grace": "200ms"},
    "Tidy": {"handler": "chores:tidy", "max_concurrency": 2, "grace": "20s"},
    "Witness": {"handler": "chores:witness", "max_concurrency": 5},
    "Hostile": {"handler": "chores:hostile", "max_concurrency": 2, "grace": "200ms"},
    "Hasty": {"handler": "chores:stubborn", "max_concurrency": 5, "timeout": "300ms", "grace": "200ms"},
    "Timed": {"handler": "chores:daemonise", "max_concurrency": 1, "timeout": "1s", "grace": "200ms"},
    "Stumble": {"handler": "again:stumble", "max_concurrency": 3, "retries": RETRIES},
    "Steadfast": {
        "handler": "again:stumble",
        "max_concurrency": 2,
        "retries": RETRIES,
        "on_owner_death": "retry",
    },
    "Fall": {"handler": "again:fall", "max_concurrency": 2, "retries": RETRIES | {"max_attempts": 9}},
    "FallOnce": {"handler": "again:fall", "max_concurrency": 1},
    "Linger": {"handler": "again:linger", "max_concurrency": 2, "on_owner_death": "retry"},
    "LingerOnce": {"handler": "again:linger", "max_concurrency": 2},
    "Persistent": {
        "handler": "chores:nap",
        "max_concurrency": 2,
        "on_owner_death": "retry",
        "max_crashes": 1000,
    },
    "Nowhere": {"handler": "nowhere:at_all", "max_concurrency": 1},
}
LIMITS = {name: int(settings["max_concurrency"]) for name, settings in TYPES.items()}
"""How many of each may run at a time."""

RETRIED = {name for name, settings in TYPES.items() if {"retries", "on_owner_death"} & settings.keys()}
"""Those whose jobs may be executed more than once."""

_SERVE = ("-P", "-m", "supervisor")
_CRASH = ("-P", str(HERE / "crash_at.py"))
_WITHOUT_HTTP = ("-P", str(HERE / "without_http.py"))
_OURS = ("ASYNCWORKER_", "STATE_DIRECTORY", "XDG_STATE_HOME")
_UUID = re.compile(r'"uuid": "([0-9a-f-]{36})"')


class Serving:
    """One supervisor process, and what it says in its log."""

    def __init__(self, arguments: Iterable[str], environment: Mapping[str, str], log: Path) -> None:
        self.log = log
        with log.open("ab") as stream:
            self.process = subprocess.Popen(
                [sys.executable, *arguments],
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=stream,
                start_new_session=True,
            )
        self.pid = self.process.pid

    def events(self, name: str) -> list[dict[str, Any]]:
        """What it logged under this name so far."""
        said = []
        for line in self.log.read_text(errors="replace").splitlines(keepends=True):
            if line.startswith("{") and line.endswith("}\n"):
                event = json.loads(line)
                if event["event"] == name:
                    said.append(event)
        return said

    def said(self, name: str, within: float = 20.0, times: int = 1) -> dict[str, Any]:
        """The latest event of this name, once there are so many."""

        def fact() -> bool:
            if len(self.events(name)) >= times:
                return True
            if self.process.poll() is not None:
                raise AssertionError(
                    f"ended ({self.process.returncode}) without {name}:\n{self.log.read_text()}"
                )
            return False

        try:
            eventually(fact, within)
        except AssertionError as error:
            raise AssertionError(f"no {name} (x{times}): {error}\n{self.log.read_text()}") from None
        return self.events(name)[-1]

    def ready(self) -> Self:
        self.said("supervisor_ready")
        return self

    @property
    def uuid(self) -> str:
        return str(self.said("supervisor_started")["uuid"])

    @property
    def keeper(self) -> int:
        """Pid of its newest keeper."""
        return int(self.said("keeper_started")["pid"])

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def kill(self) -> None:
        """SIGKILL, and collect it."""
        self.process.kill()
        self.process.wait(20)

    def kill_keeper(self) -> None:
        """SIGKILL, and wait until it cannot execute another instruction."""
        pid = self.keeper
        keeper = Identity.of(pid)
        if keeper is not None:
            keeper.send(signal.SIGKILL)
            eventually(lambda: not keeper.is_running())

    def stop(self, within: float = 30.0) -> int:
        """SIGTERM, and its exit code."""
        if self.process.poll() is None:
            self.signal(signal.SIGTERM)
        return self.ended(within)

    def ended(self, within: float = 30.0) -> int:
        try:
            return self.process.wait(within)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still running after {within:g} seconds:\n{self.log.read_text()}") from None


class Service:
    """A state folder with its job types; any number of supervisors, one after the other or at once."""

    def __init__(
        self,
        folder: Path,
        types: Mapping[str, Mapping[str, Any]],
        *,
        state_dir: Path | None = None,
        database: Path | None = None,
        runs: Path | None = None,
        code: Iterable[Path] = (PROJECT,),
    ) -> None:
        """`code`: where handlers lie."""
        self.state_dir = state_dir or folder / "state"
        self.database = database or self.state_dir / "jobs.db"
        self.config = folder / "jobtypes.yaml"
        self.runs = runs or folder / "runs.jsonl"
        """What the jobs write down themselves."""
        self._code = [str(each) for each in code]
        self.http = True
        """Whether its supervisors have their http servers."""
        self._given_database = database
        self._folder = folder
        self.supervisors: list[Serving] = []
        self._clients: list[Client] = []
        self.configure(types)

    def configure(self, types: Mapping[str, Mapping[str, Any]]) -> None:
        """JSON is YAML. Every type is told where to write down its runs."""
        whole = {
            name: {
                "max_concurrency": 1,
                **settings,
                "options": {"runs": str(self.runs), **settings.get("options", {})},
            }
            for name, settings in types.items()
        }
        self.config.write_text(json.dumps({"import_paths": self._code, "job_types": whole}, indent=1))

    def environment(self, **more: str) -> dict[str, str]:
        ours = {
            "ASYNCWORKER_STATE_DIR": str(self.state_dir),
            "ASYNCWORKER_CONFIG": str(self.config),
            "ASYNCWORKER_LOG_FORMAT": "json",
        }
        if self._given_database is not None:
            ours["ASYNCWORKER_DATABASE"] = str(self.database)
        theirs = {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}
        return theirs | ours | more

    def serve(self, *arguments: str, **environment: str) -> Serving:
        """Start a supervisor, as systemd would."""
        return self._start(arguments or (_SERVE if self.http else _WITHOUT_HTTP), environment)

    def altered(self, *changes: str, **environment: str) -> Serving:
        """Start a supervisor with other constants: `module:NAME=value` each."""
        return self._start(("-P", str(HERE / "altered.py"), *changes), environment)

    def crash(self, point: str, role: str, marker: Path | None = None, **environment: str) -> Serving:
        """Start a supervisor that strikes `role` with SIGKILL when it comes to `point`."""
        crash = _CRASH if self.http else (*_WITHOUT_HTTP, "crash_at.py")
        return self._start((*crash, point, role, str(marker or self.struck)), environment)

    def _start(self, arguments: Iterable[str], environment: Mapping[str, str]) -> Serving:
        log = self._folder / f"{self.config.parent.name}-{self.state_dir.name}-{len(self.supervisors)}.log"
        serving = Serving(arguments, self.environment(**environment), log)
        self.supervisors.append(serving)
        return serving

    @property
    def struck(self) -> Path:
        """Exists once `crash` has come to its point."""
        return self._folder / "struck"

    @property
    def client(self) -> Client:
        if not self._clients:
            self._clients.append(
                Client(self.state_dir, self.config, self._given_database and str(self.database))
            )
        return self._clients[0]

    def run(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """The installed command, as a user types it."""
        return subprocess.run(
            [str(COMMAND), *arguments],
            env=self.environment(**environment),
            capture_output=True,
            text=True,
            timeout=50,
            check=False,
        )

    def asked(self, *arguments: str) -> Any:
        """What the installed command answers with --json."""
        done = self.run(*arguments, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def job(self, job_id: str) -> Job:
        return self.client.get(job_id)

    def began(self, job_id: str, event: str = "start", within: float = 20.0) -> dict[str, Any]:
        """What the job wrote down itself at this event, once it has."""
        wanted = (job_id, event)
        found = eventually(
            lambda: [note for note in self.notes() if (note["job"], note["event"]) == wanted], within
        )
        return found[-1]

    def notes(self) -> list[dict[str, Any]]:
        """Everything that the jobs wrote down themselves, in order."""
        text = self.runs.read_text() if self.runs.exists() else ""
        return [json.loads(line) for line in text.splitlines()]

    def freeze(self, serving: Serving) -> None:
        """SIGSTOP, but not in the middle of a transaction, where it would keep everybody from writing."""

        def frozen() -> bool:
            serving.signal(signal.SIGSTOP)
            eventually(lambda: state_of(serving.pid) == "T")
            with self.sql() as database:
                database.execute("PRAGMA busy_timeout = 100")
                try:
                    database.execute("BEGIN IMMEDIATE")
                except sqlite3.OperationalError:
                    serving.signal(signal.SIGCONT)
                    return False
                return True

        eventually(frozen)

    def all_ended(self, jobs: Iterable[Job | str], within: float = 30.0) -> list[Job]:
        """Them, once all have ended; that nothing of them is running is true from then on."""
        ended = self.all_ended_on_record(jobs, within)
        ids = {job.id for job in ended}
        alive = [note for note in self.notes() if note["job"] in ids and runs(note)]
        assert not alive, f"on record as ended, and still running: {alive}\n{self.logs()}"
        return ended

    def all_ended_on_record(self, jobs: Iterable[Job | str], within: float = 30.0) -> list[Job]:
        """Them, once that is what the database says."""
        ids = [job if isinstance(job, str) else job.id for job in jobs]

        def fact() -> bool:
            return all(self.job(job_id).ended for job_id in ids)

        try:
            eventually(fact, within, 0.02)
        except AssertionError:
            left = [self.job(job_id) for job_id in ids]
            raise AssertionError(
                f"not ended: {[job for job in left if not job.ended]}\n{self.logs()}"
            ) from None
        return [self.job(job_id) for job_id in ids]

    def logs(self) -> str:
        return "\n".join(f"--- {serving.log.name}\n{serving.log.read_text()}" for serving in self.supervisors)

    @contextlib.contextmanager
    def sql(self, how: str = "mode=rwc") -> Iterator[sqlite3.Connection]:
        """The database as an outsider sees it."""
        with contextlib.closing(
            sqlite3.connect(f"file:{self.database}?{how}", uri=True, timeout=20, isolation_level=None)
        ) as connection:
            yield connection

    def owners(self) -> set[str]:
        """UUIDs of every supervisor that ran here: those that came to register, and those that did not."""
        logs = (serving.log.read_text(errors="replace") for serving in self.supervisors)
        return {uuid for text in logs for uuid in _UUID.findall(text)}

    def alive(self) -> list[Identity]:
        """Every process of a job, spare or keeper of this service, by marks that are not the database's."""
        found = set(carriers(*self.owners()))
        found |= set(workers_of(self.state_dir))
        known = {(who.pid, who.start_ticks) for who in found}
        noted = {(note["pid"], note["ticks"]) for note in self.notes()} - known
        return [*found, *(who for each in noted if (who := Identity(*each)).is_running())]

    def strays(self) -> list[Identity]:
        """What should not be alive while no job runs: all but the keepers of the living, and their spares."""
        living = [serving for serving in self.supervisors if serving.process.poll() is None]
        keepers = {int(event["pid"]) for serving in living for event in serving.events("keeper_started")[-1:]}
        noted = {(note["pid"], note["ticks"]) for note in self.notes()}
        return [
            who
            for who in self.alive()
            if who.pid not in keepers
            and ((who.pid, who.start_ticks) in noted or not is_spare(who.pid, keepers))
        ]

    def end(self) -> None:
        """Nothing that this service started is running afterwards, whatever the test did."""
        for serving in self.supervisors:
            if serving.process.poll() is None:
                serving.kill()
        for client in self._clients:
            client.close()

        def gone() -> bool:
            left = self.alive()
            for process in left:
                with contextlib.suppress(PermissionError):
                    process.send(signal.SIGKILL)
            return not [process for process in left if state_of(process.pid) not in (None, "Z", "X")]

        eventually(gone, 20.0)
        eventually(lambda: not [folder for owner in self.owners() for folder in _left_of(owner)], 20.0)


def _left_of(owner: str) -> list[Path]:
    """Its control groups: one that died with its keeper leaves them to its successor, and here is none."""
    subtree.end(owner)
    return subtree.left_of(owner)


def runs(note: Mapping[str, Any]) -> bool:
    """Whether the process that wrote this down, or that it is about, is running."""
    return Identity(note["pid"], note["ticks"]).is_running()
