"""The words for people: times, spans, how a job ended and what it took."""

import time
from collections.abc import Mapping
from typing import Any

from cli.harmless import one_line
from supervisor.lifecycle import JobStatus
from supervisor.store.records import Attempt, Job

COLOURS = {
    "Pending": "yellow",
    "InProgress": "cyan",
    "Completed": "green",
    "Failed": "red",
    "Cancelled": "magenta",
}


def when(milliseconds: int | None) -> str:
    """Local time, to the second."""
    if milliseconds is None:
        return "-"
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(milliseconds / 1000))


def span(milliseconds: float) -> str:
    """`0.31 s`, `12.3 s`, `5 min 3 s`, `2 h 5 min`, `3 d 4 h`."""
    seconds = max(0.0, milliseconds / 1000)
    if seconds < 60:
        return f"{seconds:.3g} s"
    for unit, length, smaller, part in (
        ("d", 86_400, "h", 3_600),
        ("h", 3_600, "min", 60),
        ("min", 60, "s", 1),
    ):
        if seconds >= length:
            rest = int(seconds % length // part)
            return f"{int(seconds // length)} {unit}" + (f" {rest} {smaller}" if rest else "")
    return ""


def took(job: Job, now: int) -> str:
    """How long it has run, or ran; `-` where it never began."""
    if job.started_at is None:
        return "-"
    return span((job.completed_at or now) - job.started_at)


def progress(job: Job) -> str:
    """`40 %: reading`; empty where the job has said nothing."""
    parts = [] if job.progress_fraction is None else [f"{job.progress_fraction:.0%}"]
    return ": ".join([*parts, *([one_line(job.progress_message)] if job.progress_message else [])])


def remark(job: Job) -> str:
    """The one thing to know about a job beside its status."""
    if job.status is JobStatus.IN_PROGRESS:
        asked = ["cancel requested"] if job.cancel_requested_at else []
        return ", ".join([*asked, *([progress(job)] if progress(job) else [])])
    return why(job) if job.status is JobStatus.FAILED else ""


def why(job: Job | Attempt) -> str:
    """Why it failed: `raised: ValueError: no such file`."""
    return one_line(": ".join(part for part in (job.failure_kind, job.error_message) if part))


def ending(job: Job) -> str:
    """A sentence about a job that has ended."""
    after = f" after {took(job, 0)}" if job.started_at else " before it began"
    reason = f": {why(job)}" if why(job) else ""
    return f"{job.type} {job.id} {job.status}{after}{reason}"


def termination(record: Mapping[str, Any]) -> str:
    """`SIGTERM at once, SIGKILL after 10 s; gone after 10.1 s; 3 processes killed`."""
    signals = ", ".join(
        f"{each['signal']} {_after(each['afterSeconds'])}" for each in record.get("signals") or ()
    )
    killed = record.get("killed") or 0
    counted = (
        f"{killed} process{'' if killed == 1 else 'es'} killed" if killed else "nothing had to be killed"
    )
    gone = f"gone after {span(1000 * (record.get('seconds') or 0))}"
    return one_line("; ".join(part for part in (signals, gone, counted) if part))


def _after(seconds: float) -> str:
    return "at once" if seconds < 0.001 else f"after {span(1000 * seconds)}"
