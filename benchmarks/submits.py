"""3. Submits a second, one by one and in bulk, by one and by four clients, while the service drains."""

from collections import defaultdict
from contextlib import ExitStack
from functools import partial

from benchmarks.measuring.contender import Contender, Kind, NotOffered
from benchmarks.measuring.extent import Extent
from benchmarks.measuring.field import CELERY_STANDING, HUEY_STANDING, OURS, RQ, Field
from benchmarks.measuring.report import Cell, Chart, Report, Table
from benchmarks.measuring.spread import Spread, ratios

_SLOTS = 2
_CLIENTS = (1, 4)
_BATCHES = (1, 1000)
_SECONDS = 1.5
_WAITING = 500
"""Jobs that wait already, so that the service has something to do from the beginning."""

_HOW = """
Each client is a process of its own that submits for one and a half seconds, as often as it can, while the
service with its two slots runs what is submitted. One by one, each submit is answered before the next. In
bulk, 1000 at a time by the call that is meant for it; Celery and Huey have none. The rates of the clients
are added up. What a submit means differs: AsyncWorker and Huey have it on the disk (synchronous=FULL)
before they answer, Redis without persistence has it in memory.
"""

Rates = dict[tuple[str, int, int], list[float]]
"""By contender, clients and batch: one for each round."""


def run(extent: Extent) -> Report:
    field = Field(OURS, RQ, CELERY_STANDING, HUEY_STANDING)
    rates: Rates = defaultdict(list)
    for turn in extent.rounds("submits"):
        for clients in extent.of(_CLIENTS, (1,)):
            for kind in extent.interleaved(field.present, turn):
                found = field.attempt(kind, partial(_rates, field, kind, clients, extent))
                for batch, rate in (found or {}).items():
                    rates[kind.name, clients, batch].append(rate)
    return _report(rates, field)


def _rates(field: Field, kind: Kind, clients: int, extent: Extent) -> dict[int, float]:
    """By batch; without those that are not offered."""
    with ExitStack() as stack:
        service = stack.enter_context(field.enter(kind))
        service.start(_SLOTS)
        address = service.call("address")
        others = [stack.enter_context(field.enter(kind)) for _ in range(clients)]
        for other in others:
            other.call("join", address)
        stamps = str(service.stamps().path)
        service.call("bulk", _WAITING, stamps)
        found: dict[int, float] = {}
        for batch in _BATCHES:
            try:
                found[batch] = _together(others, batch, stamps, extent.of(_SECONDS, 1.0))
            except NotOffered:
                continue
        return found


def _together(clients: list[Contender], batch: int, stamps: str, seconds: float) -> float:
    """All at once."""
    for client in clients:
        client.tell("rate", seconds, batch, stamps)
    answers: list[float | NotOffered] = []
    for client in clients:
        try:
            answers.append(client.answer())
        except NotOffered as reason:
            answers.append(reason)
    return sum(_offered(each) for each in answers)


def _offered(answer: float | NotOffered) -> float:
    if isinstance(answer, NotOffered):
        raise answer
    return answer


def _report(rates: Rates, field: Field) -> Report:
    report = Report("3. Submits a second", _HOW, left_out=field.absent)
    counts = sorted({clients for _, clients, _ in rates})
    groups = [(clients, batch) for batch in _BATCHES for clients in counts]
    names = [
        f"{'one by one' if batch == 1 else 'in bulk'}, {clients} client{'s' if clients > 1 else ''}"
        for clients, batch in groups
    ]

    def spread(kind: Kind, clients: int, batch: int) -> Spread | None:
        known = rates.get((kind.name, clients, batch))
        return Spread.of(known) if known else None

    bars = {kind.name: [spread(kind, *group) for group in groups] for kind in field.present}
    rows: list[list[Cell]] = [[name, *cells] for name, cells in bars.items()]
    report.tables.append(Table("", ["", *names], rows))
    report.charts.append(
        Chart("submits", "Submits a second", "submits a second", names, bars, logarithmic=True)
    )
    if RQ in field.present:
        alone = [(rates[OURS.name, clients, 1], rates[RQ.name, clients, 1]) for clients in counts]
        report.figures["submits one by one against RQ"] = [
            ratios(ours, theirs).median for ours, theirs in alone
        ]
    if bulk := spread(OURS, 1, 1000):
        report.figures["submits in bulk"] = [bulk.median]
    return report
