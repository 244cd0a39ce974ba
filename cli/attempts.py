"""The attempts of a job for people: how each ended, what it took to end it, what it used, what it printed."""

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cli.harmless import TerminalFilter, harmless, one_line
from cli.wording import period, signal_name, span, terminated, usage, when, why
from supervisor.errors import UnreadableLog
from supervisor.lifecycle import JobStatus
from supervisor.logfile import LogFile

if TYPE_CHECKING:
    from supervisor.settings import Locations
    from supervisor.store.records import Attempt

_LINES = 10
_BYTES = 4096
"""What is shown of a log: so many lines at most, and of so many bytes."""


def attempt_lines(attempts: "Sequence[Attempt]", at: "Locations") -> Iterator[str]:
    """A block for each; of the last also what it printed, and one traceback: that of the last that failed."""
    traces = [each.number for each in attempts if each.traceback]
    now = time.time_ns() // 1_000_000
    for each in attempts:
        yield ""
        yield f"Attempt {each.number}: {_how(each)}"
        for name, fact in _facts(each, now).items():
            if fact:
                yield f"  {name + ':':<12}{one_line(fact)}"
        if traces and each.number == traces[-1]:
            yield from (f"  | {line}" for line in harmless(each.traceback or "").splitlines())
    if attempts:
        yield from _printed(attempts[-1], at)
    if len(traces) > 1:
        yield ""
        yield f"Tracebacks of all attempts: asyncworker status {attempts[0].job_id} --json"


def _how(attempt: "Attempt") -> str:
    if attempt.status is None:
        return "runs"
    if attempt.status is JobStatus.PENDING:
        return "given back before it began"
    return ", ".join(part for part in (str(attempt.status), why(attempt)) if part)


def _facts(attempt: "Attempt", now: int) -> dict[str, str]:
    began, ended = attempt.started_at, attempt.ended_at
    exited = attempt.exit_code is not None and (attempt.exit_code or attempt.failure_kind)
    return {
        "ran": f"since {when(began)}, {span(now - began)} so far"
        if ended is None
        else f"{period(began, ended)}, {span(ended - began)}",
        "process": f"{attempt.child.pid}, of supervisor {attempt.owner}",
        "exit code": str(attempt.exit_code) if exited else "",
        "signal": "" if attempt.signal is None else signal_name(attempt.signal),
        "terminated": terminated(attempt.termination) if attempt.termination else "",
        "used": usage(attempt),
        "held by": str(attempt.isolation or ""),
    }


def _printed(attempt: "Attempt", at: "Locations") -> Iterator[str]:
    """The end of its log, without the traceback that stands above already."""
    traceback = (attempt.traceback or "").rstrip()
    log = at.log_of(attempt.job_id, attempt.number)
    try:
        text, whole = _end_of(at.state_dir, log, _BYTES + len(traceback.encode()))
    except UnreadableLog as error:
        yield f"  printed:    {one_line(str(error))}"
        return
    lines = text.rstrip().removesuffix(traceback).rstrip().splitlines()
    if lines:
        more = "" if whole and len(lines) <= _LINES else f"all of it: asyncworker logs {attempt.job_id}"
        yield f"  printed:    {more}".rstrip()
        yield from (f"  > {harmless(line)}" for line in lines[-_LINES:])


def _end_of(state_dir: Path, log: Path, length: int) -> tuple[str, bool]:
    """The last bytes of a log, fit for a terminal, and whether that is all; nothing where there is no log."""
    try:
        with LogFile(state_dir, log) as file:
            size = file.size
            text = file.read(max(0, size - length), size)
            return TerminalFilter().feed(text, last=True), size <= length
    except FileNotFoundError:  # it has printed nothing
        return "", True
