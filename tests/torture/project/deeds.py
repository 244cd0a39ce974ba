"""The jobs of the torture: each does what its payload names, and writes down that it is alive while it is."""

import contextlib
import os
import signal
import sqlite3
import sys
import time
from collections.abc import Callable
from typing import Any

from chores import DEEDS as HOSTILE  # type: ignore[import-not-found]  # on the path, when a job runs
from chores import note

from asyncworker import Discard, JobCancelled, JobContext, Retry

_PULSE = 0.05
"""Seconds between two notes of a process that is alive."""
_FOREVER = 300.0

Payload = dict[str, Any]


def act(payload: Payload, job: JobContext) -> Any:
    """Do the deed; give back what was asked for, and in which attempt."""
    deed = payload["deed"]
    note(job, "start", **_seen(job))
    answer = HOSTILE[deed](job) if deed in HOSTILE else _DEEDS.get(deed, _nap)(payload, job)
    if answer is not None:
        return answer
    note(job, "end")
    return f"{payload['token']}.{job.attempt}"


def _seen(job: JobContext) -> dict[str, int | None]:
    """The attempt that the database has for this process; nothing where it cannot be read just now."""
    try:
        where = f"file:{job.options['database']}?mode=ro"  # so that no job makes a checkpoint when it closes
        with contextlib.closing(sqlite3.connect(where, uri=True, timeout=0)) as database:
            found = database.execute(
                "SELECT attempts.number FROM jobs JOIN attempts ON job_seq = seq"
                " WHERE id = ? AND jobs.status = 'InProgress' AND number = attempt AND attempts.pid = ?",
                (job.id, os.getpid()),
            ).fetchone()
    except sqlite3.Error:
        return {}
    return {"seen": None if found is None else int(found[0])}


def _nap(payload: Payload, job: JobContext, event: str = "alive") -> None:
    """Be alive for so many seconds, and say so."""
    over = time.monotonic() + payload["seconds"]
    while (left := over - time.monotonic()) > 0:
        time.sleep(min(left, _PULSE))
        note(job, event)


def _witness(payload: Payload, job: JobContext) -> None:
    for _ in range(3):
        time.sleep(_PULSE)
        note(job, "alive", **_seen(job))


def _exit(payload: Payload, job: JobContext) -> None:
    sys.exit(7)


def _discard(payload: Payload, job: JobContext) -> None:
    raise Discard("of no use")


def _stumble(payload: Payload, job: JobContext) -> None:
    if job.attempt <= payload["times"]:
        raise LookupError(f"no luck in attempt {job.attempt}")


def _ask_again(payload: Payload, job: JobContext) -> None:
    if job.attempt <= payload["times"]:
        raise Retry("once more", after=0.05)


def _fall(payload: Payload, job: JobContext) -> None:
    if job.attempt <= payload["times"]:
        os.kill(os.getpid(), signal.SIGKILL)


def _quit(payload: Payload, job: JobContext) -> None:
    os._exit(0)


def _stop_itself(payload: Payload, job: JobContext) -> None:
    os.kill(os.getpid(), signal.SIGSTOP)
    _nap({"seconds": _FOREVER}, job)


def _deaf(payload: Payload, job: JobContext) -> None:
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    _nap(payload, job)


def _swallow(payload: Payload, job: JobContext) -> None:
    """Take a cancel for nothing, and go on for as long again."""
    try:
        _nap(payload, job)
    except JobCancelled:
        _nap(payload, job)


def _tidy(payload: Payload, job: JobContext) -> None:
    try:
        _nap({"seconds": 2.0}, job)
    except JobCancelled:
        _nap(payload, job, "cleaning")
        raise


def _leave(job: JobContext, *, detached: bool) -> None:
    """Leave a process that is alive for as long as it is let. It is about to write when it is left."""
    told, tell = os.pipe()
    if os.fork() == 0:
        if detached:
            os.setsid()
            if os.fork():
                os._exit(0)
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)
        os.write(tell, b"x")
        with contextlib.suppress(BaseException):
            _nap({"seconds": _FOREVER}, job, "left")
        os._exit(0)
    os.close(tell)
    os.read(told, 1)
    os.close(told)


def _daemons(payload: Payload, job: JobContext) -> None:
    for _ in range(2):
        _leave(job, detached=True)
    _nap(payload, job)


def _children(payload: Payload, job: JobContext) -> None:
    for _ in range(5):
        _leave(job, detached=False)
    _nap(payload, job)


def _flood(payload: Payload, job: JobContext) -> None:
    for _ in range(2000):
        sys.stdout.write("x" * 1000 + "\n")
    sys.stdout.flush()


def _chatter(payload: Payload, job: JobContext) -> None:
    over, step = time.monotonic() + payload["seconds"], 0
    while time.monotonic() < over:
        step += 1
        job.progress(step % 1000 / 1000, f"step {step}")


_DEEDS: dict[str, Callable[[Payload, JobContext], None]] = {
    "witness": _witness,
    "exit": _exit,
    "quit": _quit,
    "discard": _discard,
    "stumble": _stumble,
    "ask again": _ask_again,
    "fall": _fall,
    "stop itself": _stop_itself,
    "deaf": _deaf,
    "deaf too long": _deaf,
    "swallow": _swallow,
    "tidy": _tidy,
    "daemons": _daemons,
    "children": _children,
    "flood": _flood,
    "chatter": _chatter,
}
