"""7. What a command costs from its start to its end: the modules it imports, above all."""

import os
import subprocess
import sys
import time
from collections import defaultdict
from contextlib import ExitStack
from dataclasses import dataclass
from dataclasses import field as by_default
from functools import partial
from pathlib import Path

from benchmarks.measuring.contender import ROOT, Kind
from benchmarks.measuring.extent import Extent
from benchmarks.measuring.field import CELERY_STANDING, OURS, PEERS_PYTHON, PROCRASTINATE, RQ, Field
from benchmarks.measuring.report import Cell, Chart, Report, Table
from benchmarks.measuring.spread import Spread, ratios

_TURNS = 7
"""Commands are short: the spread of three would say little."""
_NOTHING = "python -c pass"
_SUBMIT = "asyncworker submit"

_HOW = """
Wall time of a fresh process, with its files in the page cache and its modules compiled, the service idle
beside it. AsyncWorker's commands go through the service's socket, as they do whenever it runs. The
interpreter without anything to do is that of AsyncWorker's environment.
"""


@dataclass(frozen=True, slots=True)
class Command:
    """What is run, and under which name it is shown."""

    name: str
    words: tuple[str, ...]
    environment: dict[str, str] = by_default(default_factory=dict)


def run(extent: Extent) -> Report:
    field = Field(OURS, RQ, CELERY_STANDING, PROCRASTINATE)
    walls: dict[str, list[float]] = defaultdict(list)
    with ExitStack() as stack:
        commands = [Command(_NOTHING, (sys.executable, "-c", "pass"))]
        if PROCRASTINATE in field.present:
            commands.append(Command("procrastinate --help", (_peer("procrastinate"), "--help")))
        for kind, of in ((OURS, _ours), (RQ, _of_rq), (CELERY_STANDING, _of_celery)):
            if kind in field.present:
                served = field.attempt(kind, partial(_serve, stack, field, kind))
                commands += [] if served is None else of(*served)
        for command in commands:  # compiles what is not compiled yet
            _wall(command)
        for turn in range(extent.of(_TURNS, 2)):
            for command in extent.interleaved(commands, turn):
                walls[command.name].append(_wall(command))
    return _report(walls, field.absent)


def _serve(stack: ExitStack, field: Field, kind: Kind) -> tuple[str, str]:
    """Where it is, and what to tell its jobs."""
    service = stack.enter_context(field.enter(kind))
    service.start(2)
    return service.call("address"), str(service.stamps().path)


def _ours(address: str, stamps: str) -> list[Command]:
    state, config = address.split("\n")
    places = {"ASYNCWORKER_STATE_DIR": state, "ASYNCWORKER_CONFIG": config}
    program = str(Path(sys.executable).with_name("asyncworker"))
    verbs = [("--help",), ("submit", "Empty", f'"{stamps}"'), ("status",), ("list",)]
    return [Command(f"asyncworker {words[0]}", (program, *words), places) for words in verbs]


def _of_rq(address: str, stamps: str) -> list[Command]:
    url = ("--url", address)
    words = [("--help",), ("enqueue", *url, "benchmarks.jobs.chores.stamp", stamps), ("info", *url)]
    return [Command(f"rq {each[0]}", (_peer("rq"), *each), {"PYTHONPATH": str(ROOT)}) for each in words]


def _of_celery(address: str, stamps: str) -> list[Command]:
    app = ("-A", "benchmarks.contenders.celeryapp")
    environment = {"BENCHMARK_REDIS": address, "PYTHONPATH": str(ROOT)}
    words = [("--help",), (*app, "call", "stamp", "--args", f'["{stamps}"]'), (*app, "status")]
    names = ["--help", "call", "status"]
    return [
        Command(f"celery {name}", (_peer("celery"), *each), environment)
        for name, each in zip(names, words, strict=True)
    ]


def _peer(program: str) -> str:
    return str(PEERS_PYTHON.with_name(program))


def _wall(command: Command) -> float:
    """Milliseconds."""
    began = time.perf_counter()
    subprocess.run(command.words, env=os.environ | command.environment, check=True, capture_output=True)
    return (time.perf_counter() - began) * 1e3


def _report(walls: dict[str, list[float]], absent: list[str]) -> Report:
    report = Report("7. The command line, from cold", _HOW, left_out=absent)
    order = sorted(walls, key=lambda name: (not name.startswith(("python", "asyncworker")), name))
    times = {name: ratios(walls[name], walls[_NOTHING]) for name in order}
    rows: list[list[Cell]] = [[f"`{name}`", Spread.of(walls[name]), times[name]] for name in order]
    report.tables.append(Table("", ["", "milliseconds", f"times `{_NOTHING}`"], rows))
    bars = {name: [Spread.of(walls[name])] for name in order}
    report.charts.append(Chart("commands", "Commands from cold", "milliseconds", [""], bars))
    report.figures["cold submit against python"] = [times[_SUBMIT].median]
    return report
