# ruff: noqa: S608 - statements of triggers, made from the names in this file
"""What triggers derive from the tables of the schema, so that nobody has to count or compare them."""

from collections.abc import Iterable

from sqlalchemy import Column, ForeignKey, Index, Integer, PrimaryKeyConstraint, Table

from supervisor.lifecycle import FailureKind
from supervisor.store.columns import StatusWord, Words
from supervisor.store.schema import attempts, check, jobs, metadata, one_of
from supervisor.store.triggers import trigger

job_counts = Table(
    "job_counts",
    metadata,
    Column("type", Words, nullable=False),
    Column("status", StatusWord, nullable=False),
    Column("number", Integer, nullable=False),
    PrimaryKeyConstraint("type", "status"),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)

WAITED, RAN, STARTED = "waited", "ran", "started"
USER, SYSTEM, PEAK = "user", "system", "peak"
"""Microseconds that attempts used, in and for their code; the memory that each had at most."""
SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21600, 86400)
"""Upper bounds of the buckets in which waits and runs are counted."""
BYTES = tuple(2**power for power in range(23, 37))
"""Likewise, of the buckets in which the memory of attempts is counted: 8 MiB to 64 GiB."""
LONGER = 2**63 - 1
"""The bucket above the last bound."""
_YEAR = 365 * 86_400_000

job_tallies = Table(
    "job_tallies",
    metadata,
    Column("type", Words, nullable=False),
    Column("what", Words, nullable=False),
    Column("bucket", Integer, nullable=False),
    Column("number", Integer, nullable=False),
    Column("amount", Integer, nullable=False),
    PrimaryKeyConstraint("type", "what", "bucket"),
    check("job_tallies_what", one_of("what", (WAITED, RAN, STARTED, USER, SYSTEM, PEAK, *FailureKind))),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)

CHANGES_KEPT = 10_000
"""At least; older ones go in portions."""
LONGEST_IN_A_CHANGE = 2_000
_FORGOTTEN_AT_ONCE = 100
"""Each for itself, they would make one more page of the database change with every change of a job."""

job_changes = Table(
    "job_changes",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("job_seq", Integer, nullable=False),
    *(
        Column(name, jobs.c[name].type)
        for name in (
            "status attempt max_attempts crashes run_at owner pid started_at completed_at cancel_requested_at"
            " progress_fraction progress_message error_message failure_kind exit_code signal"
        ).split()
    ),
    sqlite_strict=True,
)

idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    Column("key", Words, primary_key=True, nullable=False),
    Column("digest", Words, nullable=False),
    Column("job_seq", Integer, ForeignKey("jobs.seq", ondelete="CASCADE"), nullable=False),
    sqlite_strict=True,
)
Index("idempotency_keys_by_job", idempotency_keys.c.job_seq)


_ONE_MORE = (
    "INSERT INTO job_counts VALUES (NEW.type, NEW.status, 1)"
    " ON CONFLICT (type, status) DO UPDATE SET number = number + 1"
)
_ONE_LESS = "UPDATE job_counts SET number = number - 1 WHERE type = OLD.type AND status = OLD.status"
trigger(jobs, "counted", "AFTER INSERT ON jobs", _ONE_MORE)
trigger(jobs, "recounted", "AFTER UPDATE OF type, status ON jobs", _ONE_LESS, _ONE_MORE)
trigger(jobs, "uncounted", "AFTER DELETE ON jobs", _ONE_LESS)


def _tally(what: str, job: str, bucket: str = "0", amount: str = "0") -> str:
    """`what` is an expression: a literal stands in quotes."""
    return (
        f"INSERT INTO job_tallies SELECT type, {what}, {bucket}, 1, {amount} FROM jobs WHERE seq = {job}"
        " ON CONFLICT (type, what, bucket)"
        " DO UPDATE SET number = number + 1, amount = amount + excluded.amount"
    )


def _bucket(of: str, bounds: Iterable[int]) -> str:
    whens = " ".join(f"WHEN {of} <= {bound} THEN {bound}" for bound in bounds)
    return f"CASE {whens} ELSE {LONGER} END"


def _time(what: str, job: str, since: str) -> str:
    """A clock that was set, back or far ahead, must not make a sum that does not fit."""
    bucket = _bucket(since, (int(1000 * bound) for bound in SECONDS))
    return _tally(f"'{what}'", job, bucket, f"min(max(0, {since}), {_YEAR})")


def _used(what: str, seconds: str) -> str:
    return _tally(f"'{what}'", "NEW.job_seq", amount=f"CAST(round(1000000 * {seconds}) AS INTEGER)")


trigger(
    jobs,
    "waited",
    "AFTER UPDATE OF status ON jobs WHEN NEW.status = 'InProgress' AND NEW.attempt = 1",
    _time(WAITED, "NEW.seq", "NEW.started_at - NEW.created_at"),
)
trigger(attempts, "started", "AFTER INSERT ON attempts", _tally(f"'{STARTED}'", "NEW.job_seq"))
trigger(  # an attempt that was given back before it began has not run
    attempts,
    "ran",
    "AFTER UPDATE OF status ON attempts WHEN NEW.status <> 'Pending' OR NEW.failure_kind IS NOT NULL",
    _time(RAN, "NEW.job_seq", "NEW.ended_at - NEW.started_at"),
)

trigger(
    attempts,
    "failed",
    "AFTER UPDATE OF status ON attempts WHEN NEW.failure_kind IS NOT NULL",
    _tally("NEW.failure_kind", "NEW.job_seq"),
)
trigger(
    attempts,
    "used",
    "AFTER UPDATE OF status ON attempts WHEN NEW.user_seconds IS NOT NULL",
    _used(USER, "NEW.user_seconds"),
    _used(SYSTEM, "NEW.system_seconds"),
    _tally(f"'{PEAK}'", "NEW.job_seq", _bucket("NEW.max_rss_bytes", BYTES), "NEW.max_rss_bytes"),
)

_SHORTENED = ("progress_message", "error_message")
_CHANGED = [column.name for column in job_changes.c][2:]
_TAKEN = [
    f"substr(NEW.{name}, 1, {LONGEST_IN_A_CHANGE})" if name in _SHORTENED else f"NEW.{name}"
    for name in _CHANGED
]
_NOTE = "INSERT INTO job_changes (job_seq, {}) VALUES (NEW.seq, {})".format(
    ", ".join(_CHANGED), ", ".join(_TAKEN)
)
trigger(jobs, "noted_new", "AFTER INSERT ON jobs", _NOTE)
trigger(jobs, "noted", "AFTER UPDATE ON jobs", _NOTE)
trigger(
    job_changes,
    "forgotten",
    f"AFTER INSERT ON job_changes WHEN NEW.number % {_FORGOTTEN_AT_ONCE} = 0",
    f"DELETE FROM job_changes WHERE number <= NEW.number - {CHANGES_KEPT}",
)
