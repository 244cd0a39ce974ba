"""4. What it costs to have very many jobs on record, waiting or ended."""

from collections import defaultdict
from contextlib import ExitStack
from dataclasses import dataclass

from benchmarks.drain import Drained, window
from benchmarks.latency import delays_of
from benchmarks.measuring.contender import Contender
from benchmarks.measuring.extent import Extent
from benchmarks.measuring.field import OURS, Field
from benchmarks.measuring.report import Cell, Chart, Report, Table
from benchmarks.measuring.spread import Spread, number, percentile, ratios
from benchmarks.measuring.stamps import Stamps

_SLOTS = 4
_CLAIMS = 400
_SUBMITS = 30

_HOW = """
The database is filled by SQL through the schema and its triggers, each ended job with its attempt. Claims:
the rate at which the waiting jobs begin, four at a time, and what each costs, as in the first benchmark;
every claim is in it, and so is the process of every job. Latency: a job of another type is submitted on an
idle service, while the many wait for their only slot, which a job that stays has taken.
"""


@dataclass(frozen=True, slots=True)
class Depth:
    """How many jobs there are when it is measured."""

    pending: int
    ended: int = 0

    def __str__(self) -> str:
        return f"{number(self.pending)} Pending" + (f", {number(self.ended)} ended" if self.ended else "")


_SHALLOW = Depth(1000)


@dataclass(frozen=True, slots=True)
class Site:
    """An installation of a depth."""

    depth: Depth
    contender: Contender
    stamps: Stamps


def run(extent: Extent) -> Report:
    field = Field(OURS)
    most = extent.of(1_000_000, 20_000)
    depths = [_SHALLOW, Depth(most)]
    depths += extent.of([Depth(most // 10), Depth(_SHALLOW.pending, ended=most)], [])
    drained: dict[Depth, list[Drained]] = defaultdict(list)
    delays: dict[Depth, list[float]] = defaultdict(list)
    with ExitStack() as stack:
        sites = [_site(stack.enter_context(field.enter(OURS)), depth) for depth in depths]
        for turn in extent.rounds("depth"):
            for site in extent.interleaved(sites, turn):
                drained[site.depth].append(_claims(site, extent))
                delays[site.depth].append(percentile(_latency(site, extent), 0.5))
    return _report(drained, delays)


def _site(contender: Contender, depth: Depth) -> Site:
    stamps = contender.stamps()
    contender.call("deepen", depth.pending, depth.ended, str(stamps.path))
    return Site(depth, contender, stamps)


def _claims(site: Site, extent: Extent) -> Drained:
    """With at least as many jobs as there should be, and the service stopped again afterwards."""
    contender = site.contender
    contender.call("deepen", site.depth.pending, site.depth.ended, str(site.stamps.path))
    site.stamps.empty()
    contender.call("configure", 1, _SLOTS)
    contender.roots = contender.call("serve")
    drained = window(contender, site.stamps, extent.of(_CLAIMS, 100))
    contender.call("stop")
    return drained


def _latency(site: Site, extent: Extent) -> list[float]:
    contender = site.contender
    contender.call("deepen", site.depth.pending, site.depth.ended, str(site.stamps.path))
    contender.call("configure", 2, 1)
    stamps = contender.stamps()
    contender.call("block", str(stamps.path))
    contender.call("serve")
    stays = Stamps(contender.folder, f"{stamps.path.name}.stay")
    stays.wait(1, 30)
    delays = delays_of(contender, extent.of(_SUBMITS, 10), "")
    contender.call("stop")
    return delays


def _report(drained: dict[Depth, list[Drained]], delays: dict[Depth, list[float]]) -> Report:
    report = Report("4. Cost against depth", _HOW)
    rates = {depth: [each.rate for each in rounds] for depth, rounds in drained.items()}
    costs = {depth: [each.cpu_ms for each in rounds] for depth, rounds in drained.items()}
    deepest = max(rates, key=lambda depth: depth.pending)
    rows: list[list[Cell]] = [
        [
            str(depth),
            Spread.of(rates[depth]),
            ratios(rates[depth], rates[_SHALLOW]),
            Spread.of(costs[depth]),
            ratios(costs[depth], costs[_SHALLOW]),
            Spread.of(delays[depth]),
        ]
        for depth in rates
    ]
    columns = ["", "claims a second", "of the first", "CPU ms a job", "of the first", "latency p50, ms"]
    report.tables.append(Table("", columns, rows))
    groups = [*map(str, rates)]
    bars: dict[str, list[Spread | None]] = {
        "claims a second": [Spread.of(each) for each in rates.values()],
        "latency p50, ms": [Spread.of(each) for each in delays.values()],
    }
    report.charts.append(Chart("depth", "Cost against depth", "", groups, bars, logarithmic=True))
    report.figures["claim rate against depth"] = [ratios(rates[deepest], rates[_SHALLOW]).median]
    return report
