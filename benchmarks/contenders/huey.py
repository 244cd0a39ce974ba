"""Huey on SQLite with worker processes, which its health check replaces after one job, or which stay."""

import importlib
import os
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.contenders.driving import IMPORTABLE, NotOffered, Started


class Huey:
    """SQLite as Huey sets it up: a write-ahead log, synchronous as it is by default."""

    def __init__(self, folder: Path, *, recycled: bool) -> None:
        self._started = Started(folder)
        self._options = ["-M", "1", "-c", "1"] if recycled else []
        self._app: Any = None

    def start(self, concurrency: int) -> list[int]:
        self.join(str(self._started.folder / "huey.db"))
        program = str(Path(sys.executable).with_name("huey_consumer"))
        consumer = [program, "benchmarks.contenders.hueyapp.queue", "-k", "process", "-w", str(concurrency)]
        pid = self._started.run("huey", [*consumer, *self._options, "-q"], **IMPORTABLE)
        time.sleep(2)  # it says nowhere that it is ready; it takes half of that
        return [pid]

    def stop(self) -> None:
        self._started.end()

    def address(self) -> str:
        return os.environ["BENCHMARK_HUEY"]

    def join(self, address: str) -> None:
        os.environ["BENCHMARK_HUEY"] = address
        self._app = importlib.import_module("benchmarks.contenders.hueyapp")

    def bulk(self, number: int, path: str) -> None:
        for _ in range(number):
            self.one(path, "")

    def many(self, number: int, path: str) -> None:
        raise NotOffered

    def one(self, path: str, way: str) -> None:
        self._app.stamp(path)

    def begin(self, chore: str, path: str) -> str:
        raise NotOffered

    def cancel(self, handle: str, way: str) -> None:
        raise NotOffered


def contender(folder: Path, variant: str = "") -> Huey:
    return Huey(folder, recycled=variant == "recycled")
