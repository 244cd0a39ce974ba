"""Blocking work, in a few threads: what waits too long for one is turned away before it begins."""

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from supervisor.api.problems import unavailable

T = TypeVar("T")

PATIENCE = 5.0
"""Seconds that a request waits in all: for a thread, and then for the lock of the database."""

_here = threading.local()


def time_left() -> float:
    """Seconds that the work of this thread may still wait for something."""
    deadline: float | None = getattr(_here, "deadline", None)
    return PATIENCE if deadline is None else max(0.0, deadline - time.monotonic())


class Threads:
    """Some threads that one kind of work shares."""

    def __init__(self, name: str, size: int) -> None:
        self._executor = ThreadPoolExecutor(size, thread_name_prefix=name)
        self._free = asyncio.Semaphore(size)
        self._lock = threading.Lock()
        self.busy = 0
        """How many are at work, whether or not anybody waits for what they do."""

    async def run(self, task: Callable[[], T]) -> T:
        """What the task gives. A Problem, 503, where no thread is free for too long: it has not begun then.

        Once begun it is waited for, however long it takes: an answer that says "nothing was done" is true.
        """
        deadline = time.monotonic() + PATIENCE

        def work() -> T:
            _here.deadline = deadline
            self._count(1)
            try:
                return task()
            finally:
                self._count(-1)

        try:
            async with asyncio.timeout(PATIENCE):
                await self._free.acquire()
        except TimeoutError:
            raise unavailable("The server is busy; nothing was done.") from None
        try:
            return await asyncio.get_running_loop().run_in_executor(self._executor, work)
        finally:
            self._free.release()

    def _count(self, more: int) -> None:
        with self._lock:
            self.busy += more
