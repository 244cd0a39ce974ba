# ruff: noqa: S608 - composed of our own words
"""What triggers derive: counts, times, changes; and the keys of requests that may be sent twice."""

from alembic import op

revision = "0002"
down_revision = "0001"

_BOUNDS = (
    "50 100 250 500 1000 2500 5000 10000 30000 60000 120000 300000 600000 1800000 3600000 7200000 21600000"
    " 86400000"
).split()


def _bucket(time: str) -> str:
    whens = " ".join(f"WHEN {time} <= {bound} THEN {bound}" for bound in _BOUNDS)
    return f"CASE {whens} ELSE 9223372036854775807 END"


def _bounded(time: str) -> str:
    return f"min(max(0, {time}), 31536000000)"


_WAITED, _HAS_WAITED = "NEW.started_at - NEW.created_at", "attempts.started_at - jobs.created_at"
_RAN, _HAS_RUN = "NEW.ended_at - NEW.started_at", "attempts.ended_at - attempts.started_at"

_STATEMENTS = (
    """
    CREATE TABLE job_counts (
        type TEXT NOT NULL,
        status TEXT NOT NULL,
        number INTEGER NOT NULL,
        PRIMARY KEY (type, status)
    ) WITHOUT ROWID, STRICT
    """,
    """
    CREATE TABLE job_tallies (
        type TEXT NOT NULL,
        what TEXT NOT NULL,
        bucket INTEGER NOT NULL,
        number INTEGER NOT NULL,
        milliseconds INTEGER NOT NULL,
        PRIMARY KEY (type, what, bucket),
        CONSTRAINT job_tallies_what CHECK (what IN ('waited', 'ran', 'started'))
    ) WITHOUT ROWID, STRICT
    """,
    """
    CREATE TABLE job_changes (
        number INTEGER NOT NULL,
        job_seq INTEGER NOT NULL,
        status TEXT,
        attempt INTEGER,
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
    """
    CREATE TABLE idempotency_keys (
        "key" TEXT NOT NULL,
        digest TEXT NOT NULL,
        job_seq INTEGER NOT NULL,
        PRIMARY KEY ("key"),
        FOREIGN KEY(job_seq) REFERENCES jobs (seq) ON DELETE CASCADE
    ) STRICT
    """,
    "CREATE INDEX idempotency_keys_by_job ON idempotency_keys (job_seq)",
    "INSERT INTO job_counts SELECT type, status, count(*) FROM jobs GROUP BY type, status",
    f"""
    INSERT INTO job_tallies
      SELECT jobs.type, 'waited', {_bucket(_HAS_WAITED)} AS bucket, count(*), sum({_bounded(_HAS_WAITED)})
      FROM attempts JOIN jobs ON jobs.seq = attempts.job_seq
      WHERE attempts.number = 1 GROUP BY jobs.type, bucket
    """,
    f"""
    INSERT INTO job_tallies
      SELECT jobs.type, 'ran', {_bucket(_HAS_RUN)} AS bucket, count(*), sum({_bounded(_HAS_RUN)})
      FROM attempts JOIN jobs ON jobs.seq = attempts.job_seq
      WHERE attempts.status <> 'Pending' OR attempts.failure_kind IS NOT NULL GROUP BY jobs.type, bucket
    """,
    """
    INSERT INTO job_tallies
      SELECT jobs.type, 'started', 0, count(*), 0 FROM attempts JOIN jobs ON jobs.seq = attempts.job_seq
      GROUP BY jobs.type
    """,
    """
    CREATE TRIGGER jobs_counted AFTER INSERT ON jobs
      BEGIN
        INSERT INTO job_counts VALUES (NEW.type, NEW.status, 1) ON CONFLICT (type, status) DO UPDATE SET
          number = number + 1;
      END
    """,
    """
    CREATE TRIGGER jobs_recounted AFTER UPDATE OF type, status ON jobs
      BEGIN
        UPDATE job_counts SET number = number - 1 WHERE type = OLD.type AND status = OLD.status;
        INSERT INTO job_counts VALUES (NEW.type, NEW.status, 1) ON CONFLICT (type, status) DO UPDATE SET
          number = number + 1;
      END
    """,
    """
    CREATE TRIGGER jobs_uncounted AFTER DELETE ON jobs
      BEGIN
        UPDATE job_counts SET number = number - 1 WHERE type = OLD.type AND status = OLD.status;
      END
    """,
    f"""
    CREATE TRIGGER jobs_waited AFTER UPDATE OF status ON jobs
      WHEN NEW.status = 'InProgress' AND NEW.attempt = 1
      BEGIN
        INSERT INTO job_tallies SELECT type, 'waited', {_bucket(_WAITED)}, 1, {_bounded(_WAITED)}
          FROM jobs WHERE seq = NEW.seq
          ON CONFLICT (type, what, bucket)
          DO UPDATE SET number = number + 1, milliseconds = milliseconds + excluded.milliseconds;
      END
    """,
    """
    CREATE TRIGGER attempts_started AFTER INSERT ON attempts
      BEGIN
        INSERT INTO job_tallies SELECT type, 'started', 0, 1, 0 FROM jobs WHERE seq = NEW.job_seq
          ON CONFLICT (type, what, bucket)
          DO UPDATE SET number = number + 1, milliseconds = milliseconds + excluded.milliseconds;
      END
    """,
    f"""
    CREATE TRIGGER attempts_ran AFTER UPDATE OF status ON attempts
      WHEN NEW.status <> 'Pending' OR NEW.failure_kind IS NOT NULL
      BEGIN
        INSERT INTO job_tallies SELECT type, 'ran', {_bucket(_RAN)}, 1, {_bounded(_RAN)}
          FROM jobs WHERE seq = NEW.job_seq
          ON CONFLICT (type, what, bucket)
          DO UPDATE SET number = number + 1, milliseconds = milliseconds + excluded.milliseconds;
      END
    """,
    """
    CREATE TRIGGER jobs_noted_new AFTER INSERT ON jobs
      BEGIN
        INSERT INTO job_changes (job_seq, status, attempt, owner, pid, started_at, completed_at,
          cancel_requested_at, progress_fraction, progress_message, error_message, failure_kind, exit_code,
          signal) VALUES (NEW.seq, NEW.status, NEW.attempt, NEW.owner, NEW.pid, NEW.started_at,
          NEW.completed_at, NEW.cancel_requested_at, NEW.progress_fraction, substr(NEW.progress_message, 1,
          2000), substr(NEW.error_message, 1, 2000), NEW.failure_kind, NEW.exit_code, NEW.signal);
        DELETE FROM job_changes WHERE number <= (SELECT max(number) FROM job_changes) - 10000;
      END
    """,
    """
    CREATE TRIGGER jobs_noted AFTER UPDATE ON jobs
      BEGIN
        INSERT INTO job_changes (job_seq, status, attempt, owner, pid, started_at, completed_at,
          cancel_requested_at, progress_fraction, progress_message, error_message, failure_kind, exit_code,
          signal) VALUES (NEW.seq, NEW.status, NEW.attempt, NEW.owner, NEW.pid, NEW.started_at,
          NEW.completed_at, NEW.cancel_requested_at, NEW.progress_fraction, substr(NEW.progress_message, 1,
          2000), substr(NEW.error_message, 1, 2000), NEW.failure_kind, NEW.exit_code, NEW.signal);
        DELETE FROM job_changes WHERE number <= (SELECT max(number) FROM job_changes) - 10000;
      END
    """,
)


def upgrade() -> None:
    connection = op.get_bind()
    for statement in _STATEMENTS:
        connection.exec_driver_sql(statement)
