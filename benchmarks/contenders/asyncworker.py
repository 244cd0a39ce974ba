"""AsyncWorker as it is shipped: `asyncworker serve`, with HTTP, its durability and its spares as they are."""

import http.client
import json
import os
import subprocess
import sys
from pathlib import Path

from asyncworker import Client, NewJob
from benchmarks.contenders import filling
from benchmarks.contenders.driving import Started, until
from benchmarks.contenders.redisserver import free_port
from supervisor.nudge import nudge

_COMMAND = str(Path(sys.executable).with_name("asyncworker"))
_JOBS = Path(__file__).resolve().parent.parent / "jobs"
_READY = "supervisor_ready"
"""Logged once HTTP answers: a client that asked earlier would stay with the store."""


class AsyncWorker:
    """One installation in a folder of its own."""

    def __init__(self, folder: Path, *, http_too: bool) -> None:
        self._started = Started(folder)
        self._port = free_port() if http_too else None
        self._settle(folder / "state", folder / "jobtypes.yaml")
        self._connection: http.client.HTTPConnection | None = None

    def _settle(self, state: Path, config: Path) -> None:
        self._state, self._config = state, config
        self._client = Client(state, config)

    def start(self, concurrency: int) -> list[int]:
        self.configure(concurrency)
        return self.serve()

    def configure(self, concurrency: int, deep: int = 1) -> None:
        types = {
            "Empty": {"handler": "chores:stamp", "max_concurrency": concurrency},
            "Deep": {"handler": "chores:stamp_or_stay", "max_concurrency": deep},
            "Stay": {"handler": "chores:stay", "max_concurrency": 2},
            "Deaf": {"handler": "chores:stay_deaf", "max_concurrency": 2, "grace": "300ms"},
        }
        self._config.write_text(json.dumps({"import_paths": [str(_JOBS)], "job_types": types}))

    def serve(self) -> list[int]:
        log = self._started.folder / "service.log"
        log.write_text("")
        listen = ["--no-http"] if self._port is None else ["--http", f"127.0.0.1:{self._port}"]
        command = [_COMMAND, "serve", *listen, "--drain-timeout", "1s"]
        pid = self._started.run("service", command, **self._places())
        until(lambda: _READY in log.read_text(errors="replace"), "the service")
        if self._port is not None:
            self._connection = http.client.HTTPConnection("127.0.0.1", self._port)
        return [pid]

    def address(self) -> str:
        return f"{self._state}\n{self._config}"

    def join(self, address: str) -> None:
        state, config = address.split("\n")
        self._settle(Path(state), Path(config))

    def stop(self) -> None:
        self._client.close()
        self._started.end()

    def bulk(self, number: int, path: str) -> None:
        filling.pending(self._state / "jobs.db", "Empty", path, number)
        nudge(self._state)

    def many(self, number: int, path: str) -> None:
        self._client.submit_many(NewJob("Empty", path) for _ in range(number))

    def one(self, path: str, way: str) -> None:
        if way == "http":
            self._post(path)
        elif way == "command":
            command = [_COMMAND, "submit", "Empty", json.dumps(path), "-q"]
            environment = os.environ | self._places()
            subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=True)
        else:
            self._client.submit("Empty", path)

    def begin(self, chore: str, path: str) -> str:
        return self._client.submit({"stay": "Stay", "stay_deaf": "Deaf"}[chore], path).id

    def cancel(self, handle: str, way: str) -> None:
        self._client.cancel(handle)

    def deepen(self, pending: int, ended: int, path: str) -> None:
        """Have so many jobs of the type Deep on record, or more. No service runs here meanwhile."""
        self.configure(1)
        self._client.overview()  # makes the database where there is none
        self._client.close()
        database = self._state / "jobs.db"
        filling.ended(database, "Deep", path, ended - filling.count(database, "Deep", "Completed"))
        missing = pending - filling.count(database, "Deep", "Pending")
        filling.pending(database, "Deep", path, missing, alone=True)

    def block(self, path: str) -> None:
        """The only slot for jobs of the type Deep goes to one that stays."""
        self._client.submit("Deep", f"{path}.stay", priority=1)
        self._client.close()

    def _post(self, path: str) -> None:
        """Over TCP, on a connection that stays open."""
        assert self._connection is not None
        body = json.dumps({"type": "Empty", "payload": path})
        self._connection.request("POST", "/api/jobs", body, {"Content-Type": "application/json"})
        answer = self._connection.getresponse()
        said = answer.read()
        if answer.status != http.client.ACCEPTED:
            raise RuntimeError(said.decode(errors="replace"))

    def _places(self) -> dict[str, str]:
        return {"ASYNCWORKER_STATE_DIR": str(self._state), "ASYNCWORKER_CONFIG": str(self._config)}


def contender(folder: Path, variant: str = "") -> AsyncWorker:
    return AsyncWorker(folder, http_too=variant != "no http")
