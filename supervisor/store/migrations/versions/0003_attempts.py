# ruff: noqa: S608 - composed of our own words
"""Another attempt: budgets, the time of the next one, the way back from an end; what attempts used."""

from alembic import op

revision = "0003"
down_revision = "0002"

_TRIGGERS = (
    "jobs_edges jobs_counted jobs_recounted jobs_uncounted jobs_waited attempts_started attempts_ran"
    " jobs_noted_new jobs_noted"
).split()
_JOB = (
    "seq, id, type, payload, status, priority, attempt, max_attempts, owner, pid, created_at, started_at,"
    " completed_at, cancel_requested_at, progress_fraction, progress_message, result, error_message,"
    " failure_kind, exit_code, signal"
)
_CHANGE = (
    "number, job_seq, status, attempt, owner, pid, started_at, completed_at, cancel_requested_at,"
    " progress_fraction, progress_message, error_message, failure_kind, exit_code, signal"
)
_MILLISECONDS = (
    "50 100 250 500 1000 2500 5000 10000 30000 60000 120000 300000 600000 1800000 3600000 7200000 21600000"
    " 86400000"
).split()
_BYTES = [str(2**power) for power in range(23, 37)]


def _bucket(of: str, bounds: list[str]) -> str:
    whens = " ".join(f"WHEN {of} <= {bound} THEN {bound}" for bound in bounds)
    return f"CASE {whens} ELSE 9223372036854775807 END"


_TABLES = (
    """
    CREATE TABLE jobs (
        seq INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
        id TEXT COLLATE "NOCASE" NOT NULL,
        type TEXT NOT NULL,
        payload TEXT NOT NULL,
        status TEXT NOT NULL,
        priority INTEGER NOT NULL,
        attempt INTEGER NOT NULL,
        max_attempts INTEGER NOT NULL,
        crashes INTEGER NOT NULL,
        run_at INTEGER,
        owner TEXT,
        pid INTEGER,
        created_at INTEGER NOT NULL,
        started_at INTEGER,
        completed_at INTEGER,
        cancel_requested_at INTEGER,
        progress_fraction REAL,
        progress_message TEXT,
        result TEXT,
        error_message TEXT,
        failure_kind TEXT,
        exit_code INTEGER,
        signal INTEGER,
        CONSTRAINT jobs_id UNIQUE (id),
        CONSTRAINT jobs_status CHECK (status IN ('Pending', 'InProgress', 'Completed', 'Failed',
          'Cancelled')),
        CONSTRAINT jobs_pending CHECK (status <> 'Pending' OR (owner IS NULL AND pid IS NULL AND
          started_at IS NULL AND cancel_requested_at IS NULL AND progress_fraction IS NULL AND
          progress_message IS NULL)),
        CONSTRAINT jobs_in_progress CHECK (status <> 'InProgress' OR (owner IS NOT NULL AND pid
          IS NOT NULL AND started_at IS NOT NULL AND attempt >= 1)),
        CONSTRAINT jobs_ended CHECK ((status IN ('Completed', 'Failed', 'Cancelled')) =
          (completed_at IS NOT NULL)),
        CONSTRAINT jobs_failed CHECK ((status = 'Failed') = (failure_kind IS NOT NULL)),
        CONSTRAINT jobs_failure_kind CHECK (failure_kind IS NULL OR failure_kind IN ('raised',
          'exited', 'signalled', 'out_of_memory', 'timed_out', 'owner_died', 'host_rebooted',
          'keeper_died', 'not_started', 'bad_result')),
        CONSTRAINT jobs_result CHECK (result IS NULL OR status = 'Completed'),
        CONSTRAINT jobs_attempt CHECK (attempt >= 0 AND max_attempts >= 1 AND crashes >= 0),
        CONSTRAINT jobs_run_at CHECK (run_at IS NULL OR status = 'Pending')
    ) STRICT
    """,
    """
    CREATE TABLE job_tallies (
        type TEXT NOT NULL,
        what TEXT NOT NULL,
        bucket INTEGER NOT NULL,
        number INTEGER NOT NULL,
        amount INTEGER NOT NULL,
        PRIMARY KEY (type, what, bucket),
        CONSTRAINT job_tallies_what CHECK (what IN ('waited', 'ran', 'started', 'user',
          'system', 'peak', 'raised', 'exited', 'signalled', 'out_of_memory', 'timed_out',
          'owner_died', 'host_rebooted', 'keeper_died', 'not_started', 'bad_result'))
    ) WITHOUT ROWID, STRICT
    """,
    """
    CREATE TABLE job_changes (
        number INTEGER NOT NULL,
        job_seq INTEGER NOT NULL,
        status TEXT,
        attempt INTEGER,
        max_attempts INTEGER,
        crashes INTEGER,
        run_at INTEGER,
        owner TEXT,
        pid INTEGER,
        started_at INTEGER,
        completed_at INTEGER,
        cancel_requested_at INTEGER,
        progress_fraction REAL,
        progress_message TEXT,
        error_message TEXT,
        failure_kind TEXT,
        exit_code INTEGER,
        signal INTEGER,
        PRIMARY KEY (number)
    ) STRICT
    """,
)

_COPIES = (
    f"INSERT INTO jobs ({_JOB}, crashes) SELECT {_JOB}, 0 FROM old_jobs",
    # The number of a job that is gone must not be given again.
    "DELETE FROM sqlite_sequence WHERE name = 'jobs'",
    "INSERT INTO sqlite_sequence (name, seq) SELECT 'jobs', seq FROM sqlite_sequence WHERE name = 'old_jobs'",
    "INSERT INTO job_tallies SELECT type, what, bucket, number, milliseconds FROM old_job_tallies",
    """
    INSERT INTO job_tallies SELECT jobs.type, attempts.failure_kind, 0, count(*), 0
      FROM attempts JOIN jobs ON jobs.seq = attempts.job_seq
      WHERE attempts.failure_kind IS NOT NULL GROUP BY 1, 2
    """,
    """
    INSERT INTO job_tallies
      SELECT jobs.type, 'user', 0, count(*), CAST(1000 * sum(attempts.user_seconds) AS INTEGER)
      FROM attempts JOIN jobs ON jobs.seq = attempts.job_seq
      WHERE attempts.user_seconds IS NOT NULL GROUP BY 1
    """,
    """
    INSERT INTO job_tallies
      SELECT jobs.type, 'system', 0, count(*), CAST(1000 * sum(attempts.system_seconds) AS INTEGER)
      FROM attempts JOIN jobs ON jobs.seq = attempts.job_seq
      WHERE attempts.user_seconds IS NOT NULL GROUP BY 1
    """,
    f"""
    INSERT INTO job_tallies
      SELECT jobs.type, 'peak', {_bucket("max_rss_bytes", _BYTES)} AS bucket, count(*),
        sum(max_rss_bytes)
      FROM attempts JOIN jobs ON jobs.seq = attempts.job_seq
      WHERE attempts.user_seconds IS NOT NULL GROUP BY 1, bucket
    """,
    f"""
    INSERT INTO job_changes ({_CHANGE}, max_attempts, crashes)
      SELECT {_CHANGE}, (SELECT max_attempts FROM jobs WHERE seq = job_seq), 0 FROM old_job_changes
    """,
)

_INDEXES = (
    "CREATE INDEX jobs_in_progress_by_owner ON jobs (owner) WHERE status = 'InProgress'",
    "CREATE INDEX jobs_by_type ON jobs (type)",
    "CREATE INDEX jobs_pending_later ON jobs (run_at) WHERE status = 'Pending' AND run_at IS NOT NULL",
    "CREATE INDEX jobs_by_status ON jobs (status)",
    "CREATE INDEX jobs_in_progress_by_type ON jobs (type) WHERE status = 'InProgress'",
    """
    CREATE INDEX jobs_to_cancel ON jobs (owner) WHERE status = 'InProgress' AND
        cancel_requested_at IS NOT NULL
    """,
    """
    CREATE INDEX jobs_pending_in_order ON jobs (type, priority DESC) WHERE status = 'Pending' AND
        run_at IS NULL
    """,
    "CREATE INDEX jobs_by_type_and_status ON jobs (type, status)",
    "CREATE INDEX jobs_by_end ON jobs (status, completed_at) WHERE completed_at IS NOT NULL",
)

_ONE_MORE = (
    "INSERT INTO job_counts VALUES (NEW.type, NEW.status, 1)"
    " ON CONFLICT (type, status) DO UPDATE SET number = number + 1"
)
_ONE_LESS = "UPDATE job_counts SET number = number - 1 WHERE type = OLD.type AND status = OLD.status"


def _tally(what: str, job: str, bucket: str = "0", amount: str = "0") -> str:
    return (
        f"INSERT INTO job_tallies SELECT type, {what}, {bucket}, 1, {amount} FROM jobs WHERE seq = {job}"
        " ON CONFLICT (type, what, bucket)"
        " DO UPDATE SET number = number + 1, amount = amount + excluded.amount"
    )


def _time(what: str, job: str, since: str) -> str:
    return _tally(what, job, _bucket(since, _MILLISECONDS), f"min(max(0, {since}), 31536000000)")


def _used(what: str, seconds: str) -> str:
    return _tally(what, "NEW.job_seq", amount=f"CAST(1000 * {seconds} AS INTEGER)")


_NOTED = """
        INSERT INTO job_changes (job_seq, status, attempt, max_attempts, crashes, run_at, owner, pid,
          started_at, completed_at, cancel_requested_at, progress_fraction, progress_message,
          error_message, failure_kind, exit_code, signal) VALUES (NEW.seq, NEW.status, NEW.attempt,
          NEW.max_attempts, NEW.crashes, NEW.run_at, NEW.owner, NEW.pid, NEW.started_at,
          NEW.completed_at, NEW.cancel_requested_at, NEW.progress_fraction, substr(NEW.progress_message,
          1, 2000), substr(NEW.error_message, 1, 2000), NEW.failure_kind, NEW.exit_code, NEW.signal);
        DELETE FROM job_changes WHERE number <= (SELECT max(number) FROM job_changes) - 10000
"""

_NEW_TRIGGERS = (
    """
    CREATE TRIGGER jobs_edges BEFORE UPDATE OF status ON jobs
      WHEN NOT ((OLD.status = 'Pending' AND NEW.status IN ('InProgress', 'Cancelled'))
        OR (OLD.status = 'InProgress' AND NEW.status IN ('Pending', 'Completed', 'Failed', 'Cancelled'))
        OR (OLD.status = 'Completed' AND NEW.status IN ('Pending'))
        OR (OLD.status = 'Failed' AND NEW.status IN ('Pending'))
        OR (OLD.status = 'Cancelled' AND NEW.status IN ('Pending')))
      BEGIN SELECT RAISE(ABORT, 'no such edge between job statuses'); END
    """,
    f"CREATE TRIGGER jobs_counted AFTER INSERT ON jobs BEGIN {_ONE_MORE}; END",
    f"""
    CREATE TRIGGER jobs_recounted AFTER UPDATE OF type, status ON jobs BEGIN {_ONE_LESS}; {_ONE_MORE}; END
    """,
    f"CREATE TRIGGER jobs_uncounted AFTER DELETE ON jobs BEGIN {_ONE_LESS}; END",
    f"""
    CREATE TRIGGER jobs_waited AFTER UPDATE OF status ON jobs
      WHEN NEW.status = 'InProgress' AND NEW.attempt = 1
      BEGIN {_time("'waited'", "NEW.seq", "NEW.started_at - NEW.created_at")}; END
    """,
    f"""
    CREATE TRIGGER attempts_started AFTER INSERT ON attempts BEGIN {_tally("'started'", "NEW.job_seq")}; END
    """,
    f"""
    CREATE TRIGGER attempts_ran AFTER UPDATE OF status ON attempts
      WHEN NEW.status <> 'Pending' OR NEW.failure_kind IS NOT NULL
      BEGIN {_time("'ran'", "NEW.job_seq", "NEW.ended_at - NEW.started_at")}; END
    """,
    f"""
    CREATE TRIGGER attempts_failed AFTER UPDATE OF status ON attempts WHEN NEW.failure_kind IS NOT NULL
      BEGIN {_tally("NEW.failure_kind", "NEW.job_seq")}; END
    """,
    f"""
    CREATE TRIGGER attempts_used AFTER UPDATE OF status ON attempts WHEN NEW.user_seconds IS NOT NULL
      BEGIN
        {_used("'user'", "NEW.user_seconds")};
        {_used("'system'", "NEW.system_seconds")};
        {_tally("'peak'", "NEW.job_seq", _bucket("NEW.max_rss_bytes", _BYTES), "NEW.max_rss_bytes")};
      END
    """,
    f"CREATE TRIGGER jobs_noted_new AFTER INSERT ON jobs BEGIN {_NOTED}; END",
    f"CREATE TRIGGER jobs_noted AFTER UPDATE ON jobs BEGIN {_NOTED}; END",
)


def upgrade() -> None:
    """Tables with other constraints are made anew. What refers to them keeps the name: hence "legacy"."""
    connection = op.get_bind()
    tables = ("jobs", "job_tallies", "job_changes")
    for statement in (
        "PRAGMA legacy_alter_table=ON",
        *(f"DROP TRIGGER {name}" for name in _TRIGGERS),
        *(f"ALTER TABLE {name} RENAME TO old_{name}" for name in tables),
        *_TABLES,
        *_COPIES,
        *(f"DROP TABLE old_{name}" for name in tables),
        "PRAGMA legacy_alter_table=OFF",
        *_INDEXES,
        *_NEW_TRIGGERS,
    ):
        connection.exec_driver_sql(statement)
