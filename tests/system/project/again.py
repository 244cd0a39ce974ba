"""Jobs that are tried again, by themselves or because somebody asks; and jobs that tell how far they are."""

import asyncio
import os
import signal
import sys
import time
from typing import Any

from chores import note  # type: ignore[import-not-found]  # beside this file, when a job runs

from asyncworker import Discard, JobContext, Retry


def stumble(payload: int, job: JobContext) -> int:
    """Raise in the first `payload` attempts."""
    note(job, "start")
    sys.stdout.write(f"attempt {job.attempt}\n")
    sys.stdout.flush()
    if job.attempt <= payload:
        raise LookupError(f"no luck in attempt {job.attempt}")
    note(job, "end")
    return job.attempt


def fall(payload: int | None, job: JobContext) -> int:
    """Be killed by SIGKILL in the first `payload` attempts, or in all of them."""
    note(job, "start")
    if payload is None or job.attempt <= payload:
        os.kill(os.getpid(), signal.SIGKILL)
    note(job, "end")
    return job.attempt


def linger(payload: float, job: JobContext) -> int:
    """Take a long time in the first attempt, and `payload` seconds in the next."""
    note(job, "start")
    time.sleep(60 if job.attempt == 1 else payload)
    note(job, "end")
    return job.attempt


def wish(payload: dict[str, Any], job: JobContext) -> int:
    """In the first attempt, ask for what `payload` says."""
    note(job, "start")
    if job.attempt == 1:
        _wish(payload)
    note(job, "end")
    return job.attempt


async def awish(payload: dict[str, Any], job: JobContext) -> int:
    """Likewise."""
    note(job, "start")
    await asyncio.sleep(0)
    if job.attempt == 1:
        _wish(payload)
    note(job, "end")
    return job.attempt


def chatter(payload: float, job: JobContext) -> int:
    """Report as often as possible for `payload` seconds; give the number of reports."""
    note(job, "start")
    over, step = time.monotonic() + payload, 0
    while time.monotonic() < over:
        step += 1
        job.progress(step % 1000 / 1000, f"step {step}")
    job.progress(0.875, "the last step")
    note(job, "end")
    return step


def use(payload: dict[str, Any], job: JobContext) -> int:
    """Use so much processor time, in seconds, and memory, in MiB; then stay, fail or return."""
    note(job, "start")
    ballast = bytearray(payload["memory"] * 2**20)
    while sum(os.times()[:2]) < payload["seconds"]:
        sum(range(1000))
    note(job, "used")
    if payload.get("stays"):
        time.sleep(60)
    note(job, "end")
    if payload.get("fails"):
        raise MemoryError("enough")
    return len(ballast)


def _wish(payload: dict[str, Any]) -> None:
    if "discard" in payload:
        raise Discard(payload["discard"])
    raise Retry(payload["reason"], after=payload.get("after"))
