"""5. What a service costs that has nothing to do."""

import time
from collections import defaultdict
from contextlib import ExitStack
from functools import partial

from benchmarks.measuring.contender import Contender, Kind
from benchmarks.measuring.extent import Extent
from benchmarks.measuring.field import CELERY_STANDING, HUEY_STANDING, OURS, OURS_WITHOUT_TCP, RQ, Field
from benchmarks.measuring.processes import Idle, look
from benchmarks.measuring.report import Cell, Chart, Report, Table
from benchmarks.measuring.spread import Spread

_SLOTS = 2
_SETTLING = 8.0
_SECONDS = 15.0
"""Of each round."""

_HOW = """
All stand idle at the same time, each with two slots and, where it has one, a broker of its own, which is
counted too. Wake-ups are voluntary context switches of all threads. PSS shares what several processes map
among them; where the kernel shows it to root only, it is not measured.
"""


def run(extent: Extent) -> Report:
    field = Field(OURS, OURS_WITHOUT_TCP, RQ, CELERY_STANDING, HUEY_STANDING)
    costs: dict[Kind, list[list[float | None]]] = defaultdict(list)
    seconds = extent.of(_SECONDS, 5.0)
    with ExitStack() as standing:
        started = [field.attempt(kind, partial(_start, standing, field, kind)) for kind in [*field.present]]
        contenders = [contender for contender in started if contender is not None]
        time.sleep(extent.of(_SETTLING, 3.0))
        for _ in extent.rounds("idle"):
            before, began = [look(each.roots) for each in contenders], time.monotonic()
            time.sleep(seconds)
            after, passed = [look(each.roots) for each in contenders], time.monotonic() - began
            for contender, first, last in zip(contenders, before, after, strict=True):
                costs[contender.kind].append(_cost(first, last, passed))
    return _report(costs, field.absent)


def _start(standing: ExitStack, field: Field, kind: Kind) -> Contender:
    contender = standing.enter_context(field.enter(kind))
    contender.start(_SLOTS)
    return contender


def _cost(before: Idle, after: Idle, seconds: float) -> list[float | None]:
    return [
        (after.cpu_seconds - before.cpu_seconds) / seconds * 60,
        (after.wakeups - before.wakeups) / seconds,
        after.pss_mebibytes,
        after.processes,
    ]


def _report(costs: dict[Kind, list[list[float | None]]], absent: list[str]) -> Report:
    report = Report(
        "5. Idle",
        _HOW,
        left_out=absent,
    )
    columns = ["", "CPU seconds a minute", "wake-ups a second", "PSS, MiB", "processes"]
    spreads: dict[str, list[Spread | None]] = {
        kind.name: [_spread(column) for column in zip(*rounds, strict=True)] for kind, rounds in costs.items()
    }
    rows: list[list[Cell]] = [[name, *cells] for name, cells in spreads.items()]
    report.tables.append(Table("", columns, rows))
    for place, (name, unit) in enumerate(
        [
            ("idle-cpu", "CPU seconds a minute"),
            ("idle-wakeups", "wake-ups a second"),
            ("idle-memory", "PSS, MiB"),
        ]
    ):
        bars = {row: [cells[place]] for row, cells in spreads.items()}
        report.charts.append(Chart(name, f"Idle: {unit}", unit, [""], bars))
    for place, figure in enumerate(["idle CPU", "idle wake-ups", "idle PSS"]):
        cell = spreads[OURS.name][place]
        report.figures[figure] = [] if cell is None else [cell.median]
    return report


def _spread(values: tuple[float | None, ...]) -> Spread | None:
    known = [value for value in values if value is not None]
    return Spread.of(known) if known else None
