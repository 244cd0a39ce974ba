"""Celery with its prefork pool and Redis; a process for one job, or for many."""

import importlib
import os
import sys
from pathlib import Path
from typing import Any

from benchmarks.contenders import redisserver
from benchmarks.contenders.driving import IMPORTABLE, NotOffered, Started, until


class Celery:
    """The results are kept in Redis, so that the state of a job can be asked for."""

    def __init__(self, folder: Path, *, recycled: bool) -> None:
        self._started = Started(folder)
        self._options = ["--max-tasks-per-child", "1"] if recycled else []
        self._app: Any = None

    def start(self, concurrency: int) -> list[int]:
        broker, url = redisserver.start(self._started)
        self.join(url)
        program = str(Path(sys.executable).with_name("celery"))
        worker = [program, "-A", "benchmarks.contenders.celeryapp", "worker", "--loglevel", "WARNING"]
        pid = self._started.run(
            "celery", [*worker, "--concurrency", str(concurrency), *self._options], **IMPORTABLE
        )
        until(lambda: self._app.app.control.ping(timeout=0.5), "Celery's worker")
        return [pid, broker]

    def stop(self) -> None:
        self._started.end()

    def address(self) -> str:
        return os.environ["BENCHMARK_REDIS"]

    def join(self, address: str) -> None:
        os.environ["BENCHMARK_REDIS"] = address
        self._app = importlib.import_module("benchmarks.contenders.celeryapp")

    def bulk(self, number: int, path: str) -> None:
        for _ in range(number):
            self.one(path, "")

    def many(self, number: int, path: str) -> None:
        raise NotOffered

    def one(self, path: str, way: str) -> None:
        self._app.tasks["stamp"].delay(path)

    def begin(self, chore: str, path: str) -> str:
        return str(self._app.tasks[chore].delay(path).id)

    def cancel(self, handle: str, way: str) -> None:
        self._app.app.control.revoke(handle, terminate=True, signal="SIGKILL")


def contender(folder: Path, variant: str = "") -> Celery:
    return Celery(folder, recycled=variant == "recycled")
