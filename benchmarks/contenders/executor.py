"""`ProcessPoolExecutor(max_tasks_per_child=1)`, with the fork server: its default, spawn, is far slower."""

import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from benchmarks.contenders.driving import NotOffered
from benchmarks.jobs.chores import stamp


class Executor:
    """In memory: nothing is on record."""

    def __init__(self) -> None:
        self._pool: ProcessPoolExecutor | None = None

    def start(self, concurrency: int) -> list[int]:
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["benchmarks.jobs.chores"])
        self._pool = ProcessPoolExecutor(concurrency, mp_context=context, max_tasks_per_child=1)
        return [os.getpid()]

    def stop(self) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def address(self) -> str:
        raise NotOffered

    def join(self, address: str) -> None:
        raise NotOffered

    def bulk(self, number: int, path: str) -> None:
        assert self._pool is not None
        for _ in range(number):
            self._pool.submit(stamp, path)

    def many(self, number: int, path: str) -> None:
        raise NotOffered

    def one(self, path: str, way: str) -> None:
        self.bulk(1, path)

    def begin(self, chore: str, path: str) -> str:
        raise NotOffered

    def cancel(self, handle: str, way: str) -> None:
        raise NotOffered


def contender(_folder: Path) -> Executor:
    return Executor()
