"""For `GET /metrics`: what the database knows at the moment, in Prometheus's text format.

Nothing is counted in this process: a restart of it, or of the whole service, changes no figure.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from supervisor.api.context import Context
from supervisor.lifecycle import FailureKind, JobStatus
from supervisor.store import tallies
from supervisor.store.records import Supervisor
from supervisor.store.tallies import Tally

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_SECONDS = {int(1000 * bound): str(float(bound)) for bound in tallies.SECONDS}
_BYTES = {bound: str(float(bound)) for bound in tallies.BYTES}
_HISTOGRAMS: dict[str, tuple[str, str, Mapping[int, str], int]] = {
    tallies.WAITED: (
        "asyncworker_job_wait_seconds",
        "From the submit of a job to its first attempt.",
        _SECONDS,
        1000,
    ),
    tallies.RAN: (
        "asyncworker_attempt_run_seconds",
        "From the start of an attempt to its end.",
        _SECONDS,
        1000,
    ),
    tallies.PEAK: (
        "asyncworker_attempt_max_rss_bytes",
        "What the largest process of an attempt had in memory at most.",
        _BYTES,
        1,
    ),
}
"""What is tallied -> its metric: name, meaning, bounds as stored and as shown, stored units in one shown."""


@dataclass(frozen=True, eq=False)  # a registry's keys are its collectors
class Moment(Collector):
    """All figures, of one moment."""

    counts: Mapping[str, Mapping[JobStatus, int]]
    limits: Mapping[str, int]
    tallies: Mapping[tuple[str, str], Tally]
    queue_ages: Mapping[str, float]
    heartbeat_age: float | None

    def collect(self) -> Iterator[Metric]:
        jobs = GaugeMetricFamily("asyncworker_jobs", "Jobs on record.", labels=["type", "status"])
        in_use = GaugeMetricFamily("asyncworker_slots_in_use", "Jobs in progress.", labels=["type"])
        names = sorted(self.counts.keys() | self.limits.keys())
        for name in names:
            here = self.counts.get(name, {})
            in_use.add_metric([name], here.get(JobStatus.IN_PROGRESS, 0))
            for status in JobStatus:
                jobs.add_metric([name, status], here.get(status, 0))
        yield jobs
        yield in_use
        yield _gauge("asyncworker_slots_limit", "Jobs that may be in progress at a time.", self.limits)
        described = "Age of the Pending job that was submitted first; 0 where none waits."
        ages = {name: self.queue_ages.get(name, 0.0) for name in names}
        yield _gauge("asyncworker_queue_age_seconds", described, ages)
        yield from self._about_the_supervisor()
        yield from self._about_attempts(names)

    def _about_attempts(self, names: Iterable[str]) -> Iterator[Metric]:
        started = CounterMetricFamily("asyncworker_attempts_started", "Attempts begun.", labels=["type"])
        failed = CounterMetricFamily(
            "asyncworker_attempts_failed", "Attempts that failed.", labels=["type", "kind"]
        )
        processor = CounterMetricFamily(
            "asyncworker_attempt_cpu_seconds", "Processor time that attempts used.", labels=["type", "mode"]
        )
        for name in names:
            started.add_metric([name], self._tally(name, tallies.STARTED).number)
            for kind in FailureKind:
                failed.add_metric([name, kind], self._tally(name, kind).number)
            for mode in (tallies.USER, tallies.SYSTEM):
                processor.add_metric([name, mode], self._tally(name, mode).amount / 1_000_000)
        yield started
        yield failed
        yield processor
        for what, (metric, meaning, bounds, divisor) in _HISTOGRAMS.items():
            histogram = HistogramMetricFamily(metric, meaning, labels=["type"])
            for name in names:
                tally = self._tally(name, what)
                histogram.add_metric([name], _cumulated(tally, bounds), tally.amount / divisor)
            yield histogram

    def _tally(self, job_type: str, what: str) -> Tally:
        return self.tallies.get((job_type, what), Tally())

    def _about_the_supervisor(self) -> Iterator[Metric]:
        up = 0 if self.heartbeat_age is None else 1
        yield GaugeMetricFamily("asyncworker_supervisor_up", "1 where a supervisor is alive.", value=up)
        if self.heartbeat_age is not None:
            described = "Since the last heartbeat of the live supervisor."
            name = "asyncworker_supervisor_heartbeat_age_seconds"
            yield GaugeMetricFamily(name, described, value=self.heartbeat_age)


def text(shared: Context, live: Supervisor | None) -> bytes:
    """`live`: the supervisor that is alive."""
    now = shared.clock.now()
    with shared.database.read() as tx:
        counts, tallied = tallies.counts(tx), tallies.tallies(tx)
        waiting = [name for name, each in counts.items() if JobStatus.PENDING in each]
        oldest = {name: tallies.oldest_pending(tx, name) for name in waiting}
    registry = CollectorRegistry()
    registry.register(
        Moment(
            counts=counts,
            limits=shared.types.limits(),
            tallies=tallied,
            queue_ages={name: _age(now, at) for name, at in oldest.items() if at is not None},
            heartbeat_age=None if live is None else _age(now, live.heartbeat_at),
        )
    )
    return generate_latest(registry)


def _age(now: int, at: int) -> float:
    return max(0, now - at) / 1000


def _gauge(name: str, described: str, values: Mapping[str, float]) -> GaugeMetricFamily:
    gauge = GaugeMetricFamily(name, described, labels=["type"])
    for kind, value in values.items():
        gauge.add_metric([kind], value)
    return gauge


def _cumulated(tally: Tally, bounds: Mapping[int, str]) -> list[tuple[str, float]]:
    """Prometheus counts in each bucket what is in the smaller ones too."""
    total = 0
    cumulated: list[tuple[str, float]] = []
    for bound, shown in (*bounds.items(), (tallies.LONGER, "+Inf")):
        total += tally.buckets.get(bound, 0)
        cumulated.append((shown, total))
    return cumulated
