"""The bare loop: `multiprocessing.Process` of the fork context from a light parent, no bookkeeping at all."""

import multiprocessing
import os
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import cast

from benchmarks.contenders.driving import NotOffered
from benchmarks.jobs.chores import stamp

_FORK = multiprocessing.get_context("fork")


class Bare:
    """This process is the parent."""

    def __init__(self) -> None:
        self._concurrency = 1

    def start(self, concurrency: int) -> list[int]:
        self._concurrency = concurrency
        return [os.getpid()]

    def stop(self) -> None:
        """There is nothing."""

    def address(self) -> str:
        raise NotOffered

    def join(self, address: str) -> None:
        raise NotOffered

    def bulk(self, number: int, path: str) -> None:
        running: dict[int, BaseProcess] = {}
        while number or running:
            while number and len(running) < self._concurrency:
                process = _FORK.Process(target=stamp, args=(path,))
                process.start()
                running[process.sentinel] = process
                number -= 1
            for sentinel in wait([*running]):
                running.pop(cast(int, sentinel)).join()

    def many(self, number: int, path: str) -> None:
        raise NotOffered

    def one(self, path: str, way: str) -> None:
        self.bulk(1, path)

    def begin(self, chore: str, path: str) -> str:
        raise NotOffered

    def cancel(self, handle: str, way: str) -> None:
        raise NotOffered


def contender(_folder: Path) -> Bare:
    return Bare()
