"""A service of its own for a series of strikes, and the law that must hold after each of them."""

import contextlib
import os
import shutil
import signal
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

from supervisor.errors import AsyncWorkerError
from supervisor.store.records import Job
from tests.inject.zygote import Started, Zygote
from tests.support import aside
from tests.support.history import check
from tests.support.service import LIMITS, TYPES, Service, Serving

_OF_THE_INTERPRETER = "Exception ignored when trying to write to the signal wakeup fd:\nTraceback"
DEADLINE = 40.0
"""Seconds in which everything must have ended, however unlucky."""


class Forked(Serving):
    """A supervisor that was forked from the zygote."""

    def __init__(self, process: Started, log: Path) -> None:
        self.log, self.pid = log, process.pid
        self.process = cast("subprocess.Popen[bytes]", process)


class Ground(Service):
    """State folder, job types, and whoever is started on them."""

    def __init__(self, folder: Path, zygote: Zygote) -> None:
        # Nothing is imported beforehand: that takes longer than all else in a strike, and is not struck.
        super().__init__(folder, {name: {**each, "preload": False} for name, each in TYPES.items()})
        self.zygote = zygote
        self.folder = folder
        self.acknowledged: list[str] = []
        self._number = 0
        self._aside = aside.program(folder)

    def environment(self, **more: str) -> dict[str, str]:
        return super().environment(ASYNCWORKER_HTTP="", **more)

    def output(self) -> Path:
        self._number += 1
        return self.folder / f"{self._number}.out"

    def stopped(self, *, http: bool = False) -> Forked:
        """A supervisor before its first step."""
        out = self.output()
        what = "serve" if http else "serve without http"
        process = self.zygote.start(what, [str(self._aside)], self.environment(), out)
        serving = Forked(process, Path(f"{out}.err"))
        self.supervisors.append(serving)
        return serving

    def serving(self, *, http: bool = False) -> Forked:
        """One that is ready."""
        serving = self.stopped(http=http)
        os.kill(serving.pid, signal.SIGCONT)
        serving.said("supervisor_ready", 2 * DEADLINE)
        if http:
            serving.said("http_listening", 2 * DEADLINE)
        return serving

    def command(self, *arguments: str) -> tuple[Started, Path]:
        """One of the command line, before its first step, and where its output goes."""
        out = self.output()
        return self.zygote.start("command", [*arguments], self.environment(), out), out

    def submit(self, kind: str, payload: Any = None) -> Job:
        job = self.client.submit(kind, payload)
        self.acknowledged.append(job.id)
        return job

    def tried(self, kind: str, payload: Any = None) -> Job | None:
        """As an application would: what is refused is not acknowledged."""
        with contextlib.suppress(AsyncWorkerError):
            return self.submit(kind, payload)
        return None

    def jobs(self) -> int:
        """How many are on record."""
        with contextlib.suppress(sqlite3.OperationalError), self.sql("mode=rw") as database:
            return int(database.execute("SELECT count(*) FROM jobs").fetchone()[0])
        return 0

    def ended(self, serving: Serving) -> bool:
        """True once all that was acknowledged has ended; False where the supervisor ended before."""
        deadline = time.monotonic() + DEADLINE
        while not self._all_have_ended():
            if serving.process.poll() is not None:
                return False
            if time.monotonic() > deadline:
                left = [job for job_id in self.acknowledged if not (job := self.job(job_id)).ended]
                raise AssertionError(f"not ended: {left}\n{self.logs()}")
            time.sleep(0.01)
        return True

    def _all_have_ended(self) -> bool:
        """By SQL: it is asked a hundred times a second. That none is missing is looked at in the end."""
        waiting = "SELECT id FROM jobs WHERE status IN ('Pending', 'InProgress')"
        with contextlib.suppress(sqlite3.OperationalError), self.sql("mode=rw") as database:
            # Whoever was struck may hold a lock for a while.
            return {*self.acknowledged}.isdisjoint(job_id for (job_id,) in database.execute(waiting))
        return False

    def lawful(self, serving: Serving) -> None:
        """Everything that was acknowledged has ended, nothing of it is left, and the database is sound.

        And nobody, supervisor, keeper or http server, has said more than a sentence.
        """
        assert self.ended(serving), f"the next one ended, too:\n{self.logs()}"
        for each in self.supervisors:
            without_traceback(each.log.read_text())
        check(self, self.acknowledged, LIMITS)
        with self.sql() as database:
            assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            assert database.execute("PRAGMA foreign_key_check").fetchall() == []
            _counts_are_right(database.execute)

    def forget(self) -> None:
        """Begin anew: nothing is on record, nobody runs."""
        for serving in self.supervisors:
            if serving.process.poll() is None:
                serving.kill()
        self.supervisors.clear()
        self.acknowledged.clear()
        self.client.close()
        self.runs.unlink(missing_ok=True)
        shutil.rmtree(self.state_dir, ignore_errors=True)


def without_traceback(said: str) -> str:
    """What a process has said, once it is seen to be none.

    Only a strike can have a signal fail to write into its own pipe; the kernel never answers it so.
    """
    assert "Traceback" not in said.replace(_OF_THE_INTERPRETER, ""), f"a traceback: {said}"
    return said


def _counts_are_right(execute: Any) -> None:
    """What triggers have counted is what is there."""
    counted = dict(execute("SELECT type || ' ' || status, number FROM job_counts WHERE number != 0"))
    there = dict(execute("SELECT type || ' ' || status, count(*) FROM jobs GROUP BY 1"))
    assert counted == there, f"counted {counted}, and there are {there}"


@contextlib.contextmanager
def ground(folder: Path, zygote: Zygote) -> Iterator[Ground]:
    folder.mkdir(parents=True)
    made = Ground(folder, zygote)
    try:
        yield made
    finally:
        made.end()
