"""The tables, as the newest migration leaves them; their constraints are made from lifecycle.py.

Every time is milliseconds since the Unix epoch. An index ends in the rowid by itself, and `seq` is the rowid:
an index on (status) is in order of submission within each status.
"""

from collections.abc import Iterable

from sqlalchemy import (
    REAL,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    UniqueConstraint,
    text,
)

from supervisor.lifecycle import ENDED, NEXT, FailureKind, JobStatus
from supervisor.store.columns import FailureWord, Inode, IsolationWord, StatusWord, Words
from supervisor.store.triggers import guard

APPLICATION_ID = 0x41574B52
"""In the header of every database of ours: "AWKR"."""

ENDED_STATES = ("stopped", "lost")
STATES = ("starting", "running", "stopping", *ENDED_STATES)

metadata = MetaData()


def one_of(column: str, words: Iterable[str]) -> str:
    """In the order of their class, so that the same words always give the same text."""
    return f"{column} IN ({', '.join(repr(str(word)) for word in words)})"


def _ordered(words: Iterable[JobStatus]) -> list[JobStatus]:
    wanted = set(words)
    return [status for status in JobStatus if status in wanted]


def check(name: str, condition: str) -> CheckConstraint:
    return CheckConstraint(text(condition), name=name)


supervisors = Table(
    "supervisors",
    metadata,
    Column("uuid", Words, primary_key=True, nullable=False),
    Column("host", Words, nullable=False),
    Column("boot_id", Words, nullable=False),
    Column("pid_namespace", Integer, nullable=False),
    Column("pid", Integer, nullable=False),
    Column("start_ticks", Integer, nullable=False),
    Column("pidfd_inode", Inode),
    Column("version", Words, nullable=False),
    Column("state", Words, nullable=False),
    Column("started_at", Integer, nullable=False),
    Column("heartbeat_at", Integer, nullable=False),
    Column("ended_at", Integer),
    Column("isolation", IsolationWord),
    check("supervisors_state", one_of("state", STATES)),
    check("supervisors_ended", f"({one_of('state', ENDED_STATES)}) = (ended_at IS NOT NULL)"),
    sqlite_strict=True,
)
Index("supervisors_not_ended", supervisors.c.started_at, sqlite_where=text("ended_at IS NULL"))

# No foreign key to supervisors from here on: forgetting an old supervisor must not be held up by its jobs.
jobs = Table(
    "jobs",
    metadata,
    Column("seq", Integer, primary_key=True),
    Column("id", Words(collation="NOCASE"), nullable=False),
    Column("type", Words, nullable=False),
    Column("payload", Words, nullable=False),
    Column("status", StatusWord, nullable=False),
    Column("priority", Integer, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("max_attempts", Integer, nullable=False),
    Column("crashes", Integer, nullable=False),
    Column("run_at", Integer),
    Column("owner", Words),
    Column("pid", Integer),
    Column("created_at", Integer, nullable=False),
    Column("started_at", Integer),
    Column("completed_at", Integer),
    Column("cancel_requested_at", Integer),
    Column("progress_fraction", REAL),
    Column("progress_message", Words),
    Column("result", Words),
    Column("error_message", Words),
    Column("failure_kind", FailureWord),
    Column("exit_code", Integer),
    Column("signal", Integer),
    UniqueConstraint("id", name="jobs_id"),
    check("jobs_status", one_of("status", JobStatus)),
    check(
        "jobs_pending",
        "status <> 'Pending' OR (owner IS NULL AND pid IS NULL AND started_at IS NULL"
        " AND cancel_requested_at IS NULL AND progress_fraction IS NULL AND progress_message IS NULL)",
    ),
    check(
        "jobs_in_progress",
        "status <> 'InProgress'"
        " OR (owner IS NOT NULL AND pid IS NOT NULL AND started_at IS NOT NULL AND attempt >= 1)",
    ),
    check("jobs_ended", f"({one_of('status', _ordered(ENDED))}) = (completed_at IS NOT NULL)"),
    check("jobs_failed", "(status = 'Failed') = (failure_kind IS NOT NULL)"),
    check("jobs_failure_kind", f"failure_kind IS NULL OR {one_of('failure_kind', FailureKind)}"),
    check("jobs_result", "result IS NULL OR status = 'Completed'"),
    check("jobs_attempt", "attempt >= 0 AND max_attempts >= 1 AND crashes >= 0"),
    check("jobs_run_at", "run_at IS NULL OR status = 'Pending'"),
    sqlite_autoincrement=True,
    sqlite_strict=True,
)
_IN_PROGRESS = text("status = 'InProgress'")
Index(
    "jobs_pending_in_order",
    jobs.c.type,
    jobs.c.priority.desc(),
    sqlite_where=text("status = 'Pending' AND run_at IS NULL"),
)
Index("jobs_pending_later", jobs.c.run_at, sqlite_where=text("status = 'Pending' AND run_at IS NOT NULL"))
Index("jobs_in_progress_by_type", jobs.c.type, sqlite_where=_IN_PROGRESS)
Index("jobs_in_progress_by_owner", jobs.c.owner, sqlite_where=_IN_PROGRESS)
Index(
    "jobs_to_cancel",
    jobs.c.owner,
    sqlite_where=text("status = 'InProgress' AND cancel_requested_at IS NOT NULL"),
)
Index("jobs_by_status", jobs.c.status)
Index("jobs_by_type", jobs.c.type)
Index("jobs_by_type_and_status", jobs.c.type, jobs.c.status)
Index("jobs_by_end", jobs.c.status, jobs.c.completed_at, sqlite_where=text("completed_at IS NOT NULL"))

attempts = Table(
    "attempts",
    metadata,
    Column("job_seq", Integer, ForeignKey("jobs.seq", ondelete="CASCADE"), nullable=False),
    Column("number", Integer, nullable=False),
    Column("owner", Words, nullable=False),
    Column("pid", Integer, nullable=False),
    Column("start_ticks", Integer, nullable=False),
    Column("pidfd_inode", Inode),
    Column("started_at", Integer, nullable=False),
    Column("ended_at", Integer),
    Column("status", StatusWord),
    Column("failure_kind", FailureWord),
    Column("exit_code", Integer),
    Column("signal", Integer),
    Column("error_message", Words),
    Column("traceback", Words),
    Column("termination", Words),
    Column("user_seconds", REAL),
    Column("system_seconds", REAL),
    Column("max_rss_bytes", Integer),
    Column("peak_bytes", Integer),
    Column("isolation", IsolationWord),
    PrimaryKeyConstraint("job_seq", "number"),
    check("attempts_number", "number >= 1"),
    check("attempts_status", f"status IS NULL OR {one_of('status', _ordered(NEXT[JobStatus.IN_PROGRESS]))}"),
    check("attempts_ended", "(status IS NULL) = (ended_at IS NULL)"),
    check("attempts_failed", "status IS NOT 'Failed' OR failure_kind IS NOT NULL"),
    check(
        "attempts_failure_kind",
        "failure_kind IS NULL OR (status IS NOT NULL AND status IN ('Failed', 'Pending')"
        f" AND {one_of('failure_kind', FailureKind)})",
    ),
    sqlite_strict=True,
)
Index("attempts_not_ended", attempts.c.owner, sqlite_where=text("ended_at IS NULL"))

_EDGES = " OR ".join(
    f"(OLD.status = '{before}' AND {one_of('NEW.status', _ordered(after))})" for before, after in NEXT.items()
)
guard(jobs, "status", f"NOT ({_EDGES})", "no such edge between job statuses")
guard(attempts, "status", "OLD.status IS NOT NULL", "this attempt has ended")
guard(supervisors, "state", f"OLD.{one_of('state', ENDED_STATES)}", "this supervisor has ended")
