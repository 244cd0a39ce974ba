"""What the project wants to reach, and how far it does: the figures of a run against the aims."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmarks.measuring.report import Table
from benchmarks.measuring.spread import number


@dataclass(frozen=True, slots=True)
class Aim:
    """A bound for a figure, which may consist of several: then each has to keep it."""

    what: str
    figure: str
    bound: float
    at_least: bool
    unit: str = ""
    obstacle: str = ""
    """Why it is not met, where it is not."""

    def met(self, figures: Sequence[float]) -> bool:
        if self.at_least:
            return all(figure >= self.bound for figure in figures)
        return all(figure <= self.bound for figure in figures)

    def __str__(self) -> str:
        return f"{'at least' if self.at_least else 'at most'} {number(self.bound)}{self.unit}"


_RECORD = (
    "beside its process a job has a durable record of two transitions and an attempt, a control group, "
    "a folder, a log, and an interpreter that is told what to run"
)

AIMS = (
    Aim(
        "drain rate against the bare loop, at each concurrency",
        "drain against the bare loop",
        0.8,
        at_least=True,
        obstacle=_RECORD,
    ),
    Aim("drain rate against RQ's", "drain against RQ", 3, at_least=True, obstacle=_RECORD),
    Aim(
        "CPU a job against RQ's",
        "CPU a job against RQ",
        0.25,
        at_least=False,
        obstacle="the bare process alone is most of that, and what comes beside it more than the rest",
    ),
    Aim(
        "submit to user code, p50, through Client",
        "latency p50 through Client",
        3,
        at_least=False,
        unit=" ms",
        obstacle="two commits, and client, http server, supervisor, keeper and child after one another",
    ),
    Aim(
        "submit to user code, p99, through Client",
        "latency p99 through Client",
        10,
        at_least=False,
        unit=" ms",
        obstacle="five processes after one another on two processors: each waits for its turn",
    ),
    Aim(
        "the same against each peer's p50",
        "latency p50 against each peer",
        1,
        at_least=False,
        obstacle="a standing pool runs the job in a process that has run others, and keeps it in memory",
    ),
    Aim(
        "submit to user code, p50, through HTTP",
        "latency p50 through HTTP",
        6,
        at_least=False,
        unit=" ms",
        obstacle="as through Client, by TCP and http.client, which sends head and body one after the other",
    ),
    Aim(
        "submits a second, one by one, against RQ's",
        "submits one by one against RQ",
        1,
        at_least=True,
        obstacle="each goes through the http server and is on the disk when answered; RQ's is in memory",
    ),
    Aim(
        "submits a second, 1000 at once",
        "submits in bulk",
        20_000,
        at_least=True,
        obstacle="half of the time is SQLite's own, with the triggers that count and note changes",
    ),
    Aim(
        "claim rate with 1 million Pending against 1 thousand", "claim rate against depth", 0.9, at_least=True
    ),
    Aim("idle: CPU a minute", "idle CPU", 0.1, at_least=False, unit=" s"),
    Aim(
        "idle: wake-ups a second",
        "idle wake-ups",
        2,
        at_least=False,
        obstacle="a turn of the supervisor each second, its heartbeat's way to the disk, and questions to the"
        " processes that it watches",
    ),
    Aim("idle: memory of all processes", "idle PSS", 120, at_least=False, unit=" MiB"),
    Aim(
        "cancel of an obedient job, p50",
        "cancel of an obedient job",
        15,
        at_least=False,
        unit=" ms",
        obstacle="the request is a commit, which the supervisor reads, who asks the keeper, who asks the job",
    ),
    Aim("`submit` from cold against `python -c pass`", "cold submit against python", 8, at_least=False),
)


def table(figures: Mapping[str, Sequence[float]], aims: Sequence[Aim] = AIMS) -> Table:
    rows = []
    for aim in aims:
        found = figures.get(aim.figure) or []
        measured = ", ".join(number(each) + aim.unit for each in found) or None
        rows.append([aim.what, str(aim), measured, _verdict(aim, found)])
    return Table("", ["what", "aim", "measured", "met"], rows)


def _verdict(aim: Aim, found: Sequence[float]) -> str | None:
    if not found:
        return None
    if aim.met(found):
        return "yes"
    return f"**no**: {aim.obstacle}" if aim.obstacle else "**no**"
