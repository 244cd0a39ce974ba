"""6. From the cancel of a running job to the end of its process."""

import os
import select
import time
from collections import defaultdict
from functools import partial

from benchmarks.measuring.contender import Contender, Kind
from benchmarks.measuring.extent import Extent
from benchmarks.measuring.field import CELERY_STANDING, OURS, RQ, Field
from benchmarks.measuring.report import Cell, Chart, Report, Table
from benchmarks.measuring.spread import Spread, percentile
from benchmarks.measuring.stamps import Stamps

_SLOTS = 2
_JOBS = 12
_PAUSE = 0.1
_SHARES = (0.50, 0.95)
_GRACE_MS = 300.0
"""What contenders/asyncworker.py gives the job that ignores SIGTERM."""
_OBEDIENT, _DEAF = "obedient", "ignores SIGTERM, less the grace"

_HOW = """
From before the call, through the client, until the kernel says that the process of the job has ended. The
obedient job sleeps; the other ignores SIGTERM, so AsyncWorker's figure for it is without the 300 ms of
grace that its type has. RQ stops a job by SIGKILL, and so does Celery here; that Celery leaves running what
the job has started does not show. Huey and the executor cannot cancel a job that runs.
"""

Delays = dict[str, list[list[float]]]


def run(extent: Extent) -> Report:
    field = Field(OURS, RQ, CELERY_STANDING)
    delays: Delays = defaultdict(list)
    for turn in extent.rounds("cancel"):
        for kind in extent.interleaved(field.present, turn):
            found = field.attempt(kind, partial(_by_row, field, kind, extent.of(_JOBS, 5)))
            for row, each in (found or {}).items():
                delays[row].append(each)
    return _report(delays, field.absent)


def _by_row(field: Field, kind: Kind, number: int) -> dict[str, list[float]]:
    with field.enter(kind) as contender:
        contender.start(_SLOTS)
        found = {f"{kind.name}, {_OBEDIENT}": _cancels(contender, "stay", number)}
        if kind is OURS:
            late = _cancels(contender, "stay_deaf", number)
            found[f"{kind.name}, {_DEAF}"] = [each - _GRACE_MS for each in late]
        return found


def _cancels(contender: Contender, chore: str, number: int) -> list[float]:
    """Milliseconds of each."""
    stamps = contender.stamps()
    return [_cancel(contender, chore, stamps, done) for done in range(number)]


def _cancel(contender: Contender, chore: str, stamps: Stamps, done: int) -> float:
    handle = contender.call("begin", chore, str(stamps.path))
    stamps.wait(done + 1, 30)
    (_, pid) = stamps.read()[-1]
    time.sleep(_PAUSE)
    process = os.pidfd_open(pid)
    try:
        contender.tell("cancel", handle, "")
        select.select([process], [], [], 30)
        gone = time.monotonic_ns()
        before, _ = contender.answer()
    finally:
        os.close(process)
    time.sleep(_PAUSE)
    return float(gone - before) / 1e6


def _report(delays: Delays, absent: list[str]) -> Report:
    report = Report("6. Cancel", _HOW, left_out=absent)
    spreads = {
        row: [Spread.of(percentile(each, share) for each in rounds) for share in _SHARES]
        for row, rounds in delays.items()
    }
    names = [f"p{100 * share:.0f}" for share in _SHARES]
    rows: list[list[Cell]] = [[row, *each] for row, each in spreads.items()]
    report.tables.append(Table("Milliseconds", ["", *names], rows))
    bars: dict[str, list[Spread | None]] = {row: [*each] for row, each in spreads.items()}
    report.charts.append(Chart("cancel", "Cancel to the end of the process", "milliseconds", names, bars))
    report.figures["cancel of an obedient job"] = [spreads[f"{OURS.name}, {_OBEDIENT}"][0].median]
    return report
