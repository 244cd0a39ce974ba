"""1. How many empty jobs a second, and what each costs in processor time, at several concurrencies."""

import time
from collections import defaultdict
from dataclasses import dataclass
from functools import partial

from benchmarks.measuring.contender import Contender, Kind
from benchmarks.measuring.extent import Extent
from benchmarks.measuring.field import BARE, CELERY, EXECUTOR, HUEY, OURS, RQ, Field
from benchmarks.measuring.processes import cpu_seconds
from benchmarks.measuring.report import Cell, Chart, Report, Table
from benchmarks.measuring.spread import Spread, ratios
from benchmarks.measuring.stamps import Stamps

CONCURRENCIES = (1, 2, 4, 8)
_LEAD = 0.1
"""The part that is over before anything is measured."""
_SETTLED = 0.2
"""Seconds after the last job began in which it is ended and recorded: what that costs is counted."""
_WITHIN = 90.0

_JOBS = {OURS: 400, BARE: 400, EXECUTOR: 200, RQ: 120}
_SLOW = {CELERY: 7, HUEY: 4}
"""Jobs for each slot: their processes are replaced by a check that comes round about once a second."""
SLOW_ROUNDS = 2


_HOW = """
All jobs are queued at once on an idle service; a job writes one line with time and pid. The rate is that of
their beginnings, without the first tenth. The CPU time is that of all processes of a contender and of all
that they have reaped, a broker included, from the same moment until everything is idle again. The bare
loop, multiprocessing.Process of the fork context in a light parent, and the executor keep no record at all.
"""
Cells = dict[tuple[Kind, int], list["Drained"]]


@dataclass(frozen=True, slots=True)
class Drained:
    """One drain."""

    rate: float
    """Jobs a second, from the first tenth to the last job."""
    cpu_ms: float
    """Milliseconds a job, of all processes together."""
    one_each: bool
    """Whether each job had a process of its own."""


def run(extent: Extent) -> Report:
    field = Field(OURS, BARE, EXECUTOR, RQ, CELERY, HUEY)
    concurrencies = extent.of(CONCURRENCIES, (2,))
    cells: Cells = defaultdict(list)
    for turn in extent.rounds("drain"):
        for concurrency in concurrencies:
            for kind in extent.interleaved(field.present, turn):
                if kind in _SLOW and turn >= SLOW_ROUNDS:
                    continue
                drained = field.attempt(kind, partial(_drained, field, kind, concurrency, extent))
                if drained is not None:
                    cells[kind, concurrency].append(drained)
    return _report(cells, field, concurrencies)


def _drained(field: Field, kind: Kind, concurrency: int, extent: Extent) -> Drained:
    with field.enter(kind) as contender:
        contender.start(concurrency)
        return drain(contender, _number(kind, concurrency, extent))


def drain(contender: Contender, number: int) -> Drained:
    """Have so many jobs run, with nothing else to do."""
    stamps = contender.stamps()
    contender.tell("bulk", number, str(stamps.path))
    drained = window(contender, stamps, number)
    contender.answer()
    return drained


def window(contender: Contender, stamps: Stamps, number: int) -> Drained:
    """The first so many of the jobs that begin now, without the first tenth of them."""
    stamps.wait(max(1, int(_LEAD * number)), _WITHIN)
    first, before = stamps.count(), cpu_seconds(contender.roots)
    stamps.wait(number, _WITHIN)
    time.sleep(_SETTLED)
    last, after = stamps.count(), cpu_seconds(contender.roots)
    began = stamps.read()
    (since, _), (until, _) = began[first - 1], began[number - 1]
    return Drained(
        rate=(number - first) / (until - since) * 1e9,
        cpu_ms=(after - before) / (last - first) * 1e3,
        one_each=len({pid for _, pid in began[:last]}) == last,
    )


def _number(kind: Kind, concurrency: int, extent: Extent) -> int:
    full = _SLOW[kind] * concurrency if kind in _SLOW else _JOBS[kind]
    return extent.of(full, max(2 * concurrency, full // 5))


def _report(cells: Cells, field: Field, concurrencies: tuple[int, ...]) -> Report:
    rates = {key: [each.rate for each in drained] for key, drained in cells.items()}
    costs = {key: [each.cpu_ms for each in drained] for key, drained in cells.items()}
    columns = ["", *(f"at {concurrency}" for concurrency in concurrencies)]

    def rows(values: dict[tuple[Kind, int], list[float]]) -> list[list[Cell]]:
        return [
            [kind.name, *(Spread.of(values[kind, concurrency]) for concurrency in concurrencies)]
            for kind in field.present
        ]

    def against(other: Kind, values: dict[tuple[Kind, int], list[float]]) -> list[Spread]:
        return [ratios(values[OURS, each], values[other, each]) for each in concurrencies]

    report = Report(
        "1. Drain rate of empty jobs",
        _HOW,
        left_out=field.absent,
    )
    report.tables += [
        Table("Jobs a second", columns, rows(rates)),
        Table("CPU milliseconds a job", columns, rows(costs)),
    ]
    if shared := [
        kind.name
        for kind in field.present
        if not all(d.one_each for k, e in cells if k == kind for d in cells[k, e])
    ]:
        report.left_out.append(f"a process for each job, as it turned out, in {', '.join(shared)}")
    compared: list[list[Cell]] = []
    for other in field.present[1:]:
        compared.append([f"rate against {other.name}", *against(other, rates)])
        compared.append([f"CPU a job against {other.name}", *against(other, costs)])
    report.tables.append(Table("AsyncWorker in proportion", columns, compared))
    report.figures["drain against the bare loop"] = [each.median for each in against(BARE, rates)]
    if RQ in field.present:
        report.figures["drain against RQ"] = [each.median for each in against(RQ, rates)]
        report.figures["CPU a job against RQ"] = [each.median for each in against(RQ, costs)]
    groups = [f"{concurrency} at a time" for concurrency in concurrencies]
    for name, title, values in (("drain-rate", "jobs a second", rates), ("drain-cpu", "CPU ms a job", costs)):
        bars = {
            kind.name: [Spread.of(values[kind, each]) for each in concurrencies] for kind in field.present
        }
        report.charts.append(Chart(name, f"Empty jobs: {title}", title, groups, bars, logarithmic=True))
    return report
