"""RQ: a worker pool, each worker forks a work horse for each job; Redis."""

import sys
from pathlib import Path

from redis import Redis
from rq import Queue, Worker
from rq.command import send_stop_job_command

from benchmarks.contenders import redisserver
from benchmarks.contenders.driving import IMPORTABLE, Started, until

_CHORES = "benchmarks.jobs.chores"


class RQ:
    """As its documentation has it: `rq worker-pool`."""

    def __init__(self, folder: Path) -> None:
        self._started = Started(folder)
        self._url = ""
        self._redis: Redis | None = None
        self._queue: Queue | None = None

    def start(self, concurrency: int) -> list[int]:
        broker, url = redisserver.start(self._started)
        self.join(url)
        program = str(Path(sys.executable).with_name("rq"))
        pool = self._started.run(
            "rq",
            [program, "worker-pool", "--url", url, "-n", str(concurrency), "--logging-level", "WARNING"],
            **IMPORTABLE,
        )
        until(lambda: len(Worker.all(connection=self._redis)) == concurrency, "RQ's workers")
        return [pool, broker]

    def stop(self) -> None:
        self._started.end()

    def address(self) -> str:
        return self._url

    def join(self, address: str) -> None:
        self._url = address
        self._redis = Redis.from_url(address)
        self._queue = Queue(connection=self._redis)

    def bulk(self, number: int, path: str) -> None:
        assert self._queue is not None
        prepared = Queue.prepare_data
        self._queue.enqueue_many([prepared(f"{_CHORES}.stamp", args=(path,)) for _ in range(number)])

    def many(self, number: int, path: str) -> None:
        self.bulk(number, path)

    def one(self, path: str, way: str) -> None:
        assert self._queue is not None
        self._queue.enqueue(f"{_CHORES}.stamp", path)

    def begin(self, chore: str, path: str) -> str:
        assert self._queue is not None
        return str(self._queue.enqueue(f"{_CHORES}.{chore}", path, job_timeout=600).id)

    def cancel(self, handle: str, way: str) -> None:
        assert self._redis is not None
        send_stop_job_command(self._redis, handle)


def contender(folder: Path) -> RQ:
    return RQ(folder)
