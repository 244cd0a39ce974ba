"""2. From the submit to the first line of user code, on a service that has nothing else to do."""

import random
import time
from collections import defaultdict
from functools import partial

from benchmarks.measuring.contender import Contender, Kind
from benchmarks.measuring.extent import Extent
from benchmarks.measuring.field import (
    CELERY_STANDING,
    EXECUTOR,
    HUEY_STANDING,
    OURS,
    RQ,
    Field,
)
from benchmarks.measuring.report import Cell, Chart, Report, Table
from benchmarks.measuring.spread import Spread, percentile

_SLOTS = 2
_PAUSES = (0.02, 0.05)
"""Seconds from one job to the next: long enough for everything to be idle again."""
_SUBMITS = 100
_SHARES = (0.50, 0.95, 0.99)
WAYS = {"client": "Client", "http": "HTTP", "command": "command line"}

Delays = dict[str, list[list[float]]]
"""By the name of the row: the milliseconds of each round."""

_HOW = """
One job at a time on an idle service with two slots, 20 to 50 ms after the one before it has begun. From
before the call to the job's first line, by one monotonic clock. Celery and Huey with standing processes,
which run one job after the other: with a process for each job they take far longer.
"""


def run(extent: Extent) -> Report:
    field = Field(OURS, EXECUTOR, RQ, CELERY_STANDING, HUEY_STANDING)
    delays: Delays = defaultdict(list)
    for turn in extent.rounds("latency"):
        for kind in extent.interleaved(field.present, turn):
            found = field.attempt(kind, partial(_by_row, field, kind, extent.of(_SUBMITS, 20)))
            for row, each in (found or {}).items():
                delays[row].append(each)
    return _report(delays, field.absent)


def _by_row(field: Field, kind: Kind, number: int) -> dict[str, list[float]]:
    with field.enter(kind) as contender:
        contender.start(_SLOTS)
        return {row: delays_of(contender, _number(way, number), way) for row, way in _rows(kind)}


def _number(way: str, number: int) -> int:
    """A command takes its time."""
    return number // 3 if way == "command" else number


def delays_of(contender: Contender, number: int, way: str) -> list[float]:
    """Milliseconds of so many jobs, one after the other."""
    stamps = contender.stamps()
    submitted = []
    for done in range(number):
        time.sleep(random.uniform(*_PAUSES))
        before, _ = contender.call("one", str(stamps.path), way)
        submitted.append(before)
        stamps.wait(done + 1, 30)
    began = [nanoseconds for nanoseconds, _ in stamps.read()]
    return [(start - submit) / 1e6 for start, submit in zip(began, submitted, strict=True)]


def _rows(kind: Kind) -> list[tuple[str, str]]:
    if kind is OURS:
        return [(f"AsyncWorker, {name}", way) for way, name in WAYS.items()]
    return [(kind.name, "")]


def _report(delays: Delays, absent: list[str]) -> Report:
    spreads = {
        row: [Spread.of(percentile(each, share) for each in rounds) for share in _SHARES]
        for row, rounds in delays.items()
    }
    report = Report(
        "2. Submit to the first line of user code",
        _HOW,
        left_out=[
            *absent,
            "task-spooler and Procrastinate (the one is no Python package, the other needs PostgreSQL)",
        ],
    )
    names = [f"p{share:.0%}".rstrip("%") for share in _SHARES]
    rows: list[list[Cell]] = [[row, *each] for row, each in spreads.items()]
    report.tables.append(Table("Milliseconds", ["", *names], rows))
    bars = {row: list(each) for row, each in spreads.items()}
    report.charts.append(
        Chart(
            "latency", "Submit to the first line of user code", "milliseconds", names, bars, logarithmic=True
        )
    )
    client, http = spreads["AsyncWorker, Client"], spreads["AsyncWorker, HTTP"]
    report.figures["latency p50 through Client"] = [client[0].median]
    report.figures["latency p99 through Client"] = [client[2].median]
    report.figures["latency p50 through HTTP"] = [http[0].median]
    peers = [
        each[0].median for row, each in spreads.items() if not row.startswith(("AsyncWorker", "Process"))
    ]
    report.figures["latency p50 against each peer"] = [client[0].median / peer for peer in peers]
    return report
