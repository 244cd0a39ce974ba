"""A little of everything that a job does, many times over: what runs for days must not grow by it."""

import subprocess
import sys
from typing import Any

from asyncworker import JobContext


def errand(payload: str, job: JobContext) -> Any:
    """Do what `payload` names."""
    sys.stdout.write(f"attempt {job.attempt}: {payload}\n")
    return _ERRANDS[payload](job)


def _answer(_job: JobContext) -> dict[str, list[int]]:
    return {"numbers": [1, 2, 3]}


def _progress(job: JobContext) -> None:
    for step in range(4):
        job.progress(step / 4, f"step {step}")


def _raise(_job: JobContext) -> None:
    raise LookupError("on purpose")


def _exit(_job: JobContext) -> None:
    sys.exit(3)


def _leave(_job: JobContext) -> None:
    subprocess.Popen(["sleep", "300"], start_new_session=True)


_ERRANDS = {"answer": _answer, "progress": _progress, "raise": _raise, "exit": _exit, "leave": _leave}
