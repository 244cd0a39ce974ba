"""Who does the steps: each lane is a thread with a short queue, so that a slow lane slows the plan."""

import queue
import threading
import time
import traceback
from collections.abc import Callable, Iterable

from tests.torture.book import Book
from tests.torture.clients import Clients
from tests.torture.faults import Faults
from tests.torture.ground import Ground
from tests.torture.plan import WAYS, Step
from tests.torture.seats import Seats

_LONGEST_QUEUE = 16

Do = Callable[[Step], None]


class Lanes:
    def __init__(self, ground: Ground, book: Book, seats: Seats) -> None:
        self._book = book
        self._clients = [Clients(ground.services, book) for _ in range(len(WAYS) + 1)]
        does: dict[str, Do] = {"seats": seats.do, "faults": Faults(ground, book).do}
        for lane, clients in zip((*WAYS, "command"), self._clients, strict=True):
            does[lane] = clients.do
        self._queues: dict[str, queue.Queue[Step | None]] = {
            lane: queue.Queue(_LONGEST_QUEUE) for lane in does
        }
        self._threads = [
            threading.Thread(target=self._run, args=(self._queues[lane], do), name=lane)
            for lane, do in does.items()
        ]
        for thread in self._threads:
            thread.start()

    def through(self, steps: Iterable[Step], until: float) -> int:
        """Do them all, or those that fit until this moment of the monotonic clock; how many were begun."""
        begun = 0
        for step in steps:
            if time.monotonic() > until:
                break
            time.sleep(step.pause)
            self._queues[step.lane].put(step)
            begun += 1
        for each in self._queues.values():
            each.join()
        return begun

    def close(self) -> None:
        for each in self._queues.values():
            each.put(None)
        for thread in self._threads:
            thread.join()
        for clients in self._clients:
            clients.close()

    def _run(self, steps: "queue.Queue[Step | None]", do: Do) -> None:
        while (step := steps.get()) is not None:
            try:
                do(step)
            except Exception:  # noqa: BLE001  (whatever it is: it is told, and the other steps follow)
                self._book.complain(f"the harness itself failed in {step}: {traceback.format_exc()}")
            finally:
                steps.task_done()
