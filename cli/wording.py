"""The words for people: times, spans, how a job ended and what it took."""

import signal
import time
from collections.abc import Mapping, Sequence
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


def period(since: int, until: int) -> str:
    """`2026-01-20 12:00:00 to 12:00:05`: the date once, where it is the same."""
    first, last = when(since), when(until)
    day = len("2026-01-20 ")
    return f"{first} to {last[day:] if first[:day] == last[:day] else last}"


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


def remark(job: Job, now: int) -> str:
    """The one thing to know about a job beside its status."""
    if job.status is JobStatus.FAILED:
        return why(job)
    parts = []
    if job.status is JobStatus.PENDING and job.attempt:
        parts = [f"attempt {following(job)} {turn(job, now)}", one_line(job.error_message or "")]
    elif job.status is JobStatus.IN_PROGRESS:
        asked = "cancel requested" if job.cancel_requested_at else ""
        number = f"attempt {job.attempt} of {job.max_attempts}" if job.attempt > 1 else ""
        parts = [", ".join(part for part in (asked, number) if part), progress(job)]
    return ": ".join(part for part in parts if part)


def turn(job: Job, now: int) -> str:
    """When a Pending job that has had an attempt gets the next: `at 12:00:05 (in 3 s)`."""
    if job.run_at is None or job.run_at <= now:
        return "as soon as it has a slot"
    left = -((now - job.run_at) // 1000)  # rounded up: it is not earlier
    return f"at {soon(job.run_at, now)} (in {span(1000 * left)})"


def following(job: Job) -> str:
    """Which attempt is the next: `2 of 3`."""
    return f"{job.attempt + 1} of {job.max_attempts}"


def soon(at: int, now: int) -> str:
    """The time of day; with the date where it is not today's."""
    text = when(at)
    return text[11:] if text[:11] == when(now)[:11] else text


def why(job: Job | Attempt) -> str:
    """Why it failed: `raised: ValueError: no such file`."""
    return one_line(": ".join(part for part in (job.failure_kind, job.error_message) if part))


def ending(job: Job) -> str:
    """A sentence about a job that has ended."""
    after = f" after {took(job, 0)}" if job.started_at else " before it began"
    again = f", in attempt {job.attempt}" if job.attempt > 1 else ""
    reason = f": {why(job)}" if why(job) else ""
    return f"{job.type} {job.id} {job.status}{after}{again}{reason}"


def termination(record: Mapping[str, Any]) -> str:
    """`SIGTERM at once, SIGKILL after 10 s; gone after 10.1 s; 3 processes killed`."""
    signals = ", ".join(
        f"{each['signal']} {_after(each['afterSeconds'])}" for each in record.get("signals") or ()
    )
    killed = record.get("killed") or 0
    seconds = record.get("seconds")  # of leftovers that were found when the job had ended: none
    gone = f"gone after {span(1000 * seconds)}" if seconds else ""
    if unkillable := record.get("unkillable"):
        return one_line("; ".join(part for part in (signals, cannot_be_killed(unkillable)) if part))
    return one_line("; ".join(part for part in (signals, gone, _killed(killed)) if part))


def cannot_be_killed(pids: Sequence[int]) -> str:
    """`process 123 is there in spite of SIGKILL: it hangs in the kernel`."""
    what, does = ("process", "is") if len(pids) == 1 else ("processes", "are")
    verb = "it hangs" if len(pids) == 1 else "they hang"
    return f"{what} {', '.join(map(str, pids))} {does} there in spite of SIGKILL: {verb} in the kernel"


def terminated(record: Mapping[str, Any]) -> str:
    """The same with its reason: `over its timeout: SIGTERM at once; gone after 0.01 s; ...`."""
    reason = str(record.get("reason") or "")
    return f"{one_line(_REASONS.get(reason, reason))}: {termination(record)}"


def usage(attempt: Attempt) -> str:
    """`0.31 s user, 0.05 s system, 24 MiB at most`; empty where nothing is known."""
    if attempt.user_seconds is None or attempt.system_seconds is None or attempt.max_rss_bytes is None:
        return ""
    user, system = (span(round(1000 * used)) for used in (attempt.user_seconds, attempt.system_seconds))
    most = f"{attempt.max_rss_bytes / 2**20:.0f} MiB at most"
    if attempt.peak_bytes is not None:
        most += f" in one process, {attempt.peak_bytes / 2**20:.0f} MiB in all"
    return f"{user} user, {system} system, {most}"


def size(number: int) -> str:
    """`712 bytes`, `1.5 MB`."""
    for unit, length in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if number >= length:
            return f"{number / length:.1f} {unit}"
    return f"{number} bytes"


def signal_name(number: int) -> str:
    """`SIGKILL (9)`."""
    try:
        return f"{signal.Signals(number).name} ({number})"
    except ValueError:  # a real-time signal has no name
        return str(number)


_REASONS = {
    "cancel": "a cancel was requested",
    "timeout": "it was over its timeout",
    "cpu_time": "it had used all its processor time",
    "shutdown": "the service was stopped",
    "supervisor_gone": "its supervisor was gone",
    "lingered": "its work was over and it did not end",
    "leftovers": "it had left processes behind",
}
"""Why the service ended a job, or what the job left: as on record -> in words."""


def _killed(processes: int) -> str:
    if not processes:
        return "nothing had to be killed"
    return f"{processes} process{'' if processes == 1 else 'es'} killed"


def _after(seconds: float) -> str:
    return "at once" if seconds < 0.001 else f"after {span(1000 * seconds)}"
