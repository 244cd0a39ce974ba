"""Jobs on a terminal while somebody waits for them: a line for each, with its progress as a bar.

The lines are drawn anew after every look at the jobs, several times a second, in place of those before.
"""

import os
import shutil
import signal
import sys
import time
import unicodedata
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import click

from cli.harmless import one_line
from cli.wording import following, soon, span
from supervisor.lifecycle import JobStatus

if TYPE_CHECKING:
    from supervisor.client import Client
    from supervisor.store.records import Job

_MOST = 10
"""Lines of jobs at a time; those that run come first."""
_BAR = 24
_ROUND = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
_TURN = 100
"""Milliseconds."""
_ASCII = str.maketrans({"━": "#", "─": "-", "…": ".", **dict.fromkeys(_ROUND, "*")})


def watch_live(
    client: "Client",
    ids: Sequence[str],
    timeout: float | None = None,
    tell: "Callable[[Job], None] | None" = None,
) -> "list[Job]":
    """Wait until all have ended, and give them as they are then; on a terminal, show how far they are.

    `tell` is called with each that has ended, and may print. Raises as `Client.watch` does.
    """
    jobs: dict[str, Job] = {}
    screen = Screen()
    try:
        for changed in client.watch(ids, timeout):
            jobs.update((job.id, job) for job in changed)
            if tell and any(job.ended for job in changed):
                screen.clear()
                for job in changed:
                    if job.ended:
                        tell(job)
            screen.draw(lines_of(list(jobs.values()), len(set(ids)), time.time_ns() // 1_000_000))
    finally:
        screen.clear()
    return [jobs[job_id] for job_id in ids]


class Screen:
    """The last lines of standard error; nothing is drawn where that is no terminal."""

    def __init__(self) -> None:
        self._drawn = 0
        self._live = sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
        self._ascii = not (sys.stderr.encoding or "").lower().startswith("utf")

    def draw(self, lines: Sequence[str]) -> None:
        """These instead of those before. What is too long is cut: a terminal would make two lines of it."""
        if not self._live:
            return
        columns = shutil.get_terminal_size().columns - 1
        fitting = [cut(line, columns) for line in lines]
        if self._ascii:
            fitting = [line.translate(_ASCII) for line in fitting]
        self._put("".join(f"{line}\n" for line in fitting), len(fitting))

    def clear(self) -> None:
        if self._drawn:
            self._put("", 0)

    def _put(self, text: str, number: int) -> None:
        back = f"\x1b[{self._drawn}A" if self._drawn else ""
        # A Ctrl-C between these two would leave lines on the screen of which we do not know.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
        try:
            click.echo(f"{back}\r\x1b[J{text}", nl=False, err=True, color=True)
            self._drawn = number
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


def lines_of(jobs: "Sequence[Job]", number: int, now: int) -> list[str]:
    """What is to be seen of these, the first so far of `number`, at this time in milliseconds."""
    left = [job for job in jobs if not job.ended]
    shown = sorted(left, key=lambda job: job.status is not JobStatus.IN_PROGRESS)[:_MOST]
    lines = [_line(job, now, named=number > 1) for job in shown]
    if number > 1:
        ended = len(jobs) - len(left)
        lines.append(f"  {bar(ended / number)} {ended} of {number} have ended")
    return lines


def cut(text: str, columns: int) -> str:
    """Text that takes up no more columns than these."""
    taken = fits = 0
    for position, character in enumerate(text):
        wide = unicodedata.east_asian_width(character) in "WF"
        taken += 0 if unicodedata.combining(character) else 1 + wide
        if taken > columns:
            return f"{text[:fits]}…"
        if taken < columns:
            fits = position + 1
    return text


def _line(job: "Job", now: int, *, named: bool) -> str:
    """`⠋ ━━━━━━──────  40% Report InProgress for 12 s, attempt 2 of 3: page 3 of 8`."""
    turning = _ROUND[now // _TURN % len(_ROUND)] if job.status is JobStatus.IN_PROGRESS else " "
    return f"{turning} {bar(job.progress_fraction)} {_state(job, now, named=named)}"


def _state(job: "Job", now: int, *, named: bool) -> str:
    parts = [f"{job.type} {job.id[:8]} {job.status}" if named else f"{job.type} {job.status}"]
    if job.status is JobStatus.IN_PROGRESS and job.started_at is not None:
        parts[0] += f" for {span(max(0, now - job.started_at) // 1000 * 1000)}"
        if job.max_attempts > 1:
            parts.append(f"attempt {job.attempt} of {job.max_attempts}")
    elif job.attempt:
        parts.append(f"attempt {following(job)}")
    if job.status is JobStatus.PENDING:
        later = job.run_at is not None and job.run_at > now
        parts.append(f"waits until {soon(job.run_at or 0, now)}" if later else "waits for a slot")
    if job.cancel_requested_at is not None:
        parts.append("cancel requested")
    message = f": {one_line(job.progress_message)}" if job.progress_message else ""
    return ", ".join(parts) + message


def bar(fraction: float | None) -> str:
    full = int((fraction or 0.0) * _BAR)
    share = "" if fraction is None else f"{fraction:.0%}"
    return f"{'━' * full}{'─' * (_BAR - full)} {share:>4}"
