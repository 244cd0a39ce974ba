"""The first schema: supervisors, jobs, attempts."""

from alembic import op

revision = "0001"
down_revision = None

_STATEMENTS = (
    "PRAGMA application_id = 0x41574B52",
    """
    CREATE TABLE supervisors (
        uuid TEXT NOT NULL,
        host TEXT NOT NULL,
        boot_id TEXT NOT NULL,
        pid_namespace INTEGER NOT NULL,
        pid INTEGER NOT NULL,
        start_ticks INTEGER NOT NULL,
        pidfd_inode INTEGER,
        version TEXT NOT NULL,
        state TEXT NOT NULL,
        started_at INTEGER NOT NULL,
        heartbeat_at INTEGER NOT NULL,
        ended_at INTEGER,
        PRIMARY KEY (uuid),
        CONSTRAINT supervisors_state CHECK (state IN ('starting', 'running', 'stopping', 'stopped',
          'lost')),
        CONSTRAINT supervisors_ended CHECK ((state IN ('stopped', 'lost')) = (ended_at IS NOT NULL))
    ) STRICT
    """,
    "CREATE INDEX supervisors_not_ended ON supervisors (started_at) WHERE ended_at IS NULL",
    """
    CREATE TRIGGER supervisors_edges BEFORE UPDATE OF state ON supervisors
      WHEN OLD.state IN ('stopped', 'lost')
      BEGIN SELECT RAISE(ABORT, 'this supervisor has ended'); END
    """,
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
        CONSTRAINT jobs_in_progress CHECK (status <> 'InProgress' OR (owner IS NOT NULL AND pid IS NOT
          NULL AND started_at IS NOT NULL AND attempt >= 1)),
        CONSTRAINT jobs_ended CHECK ((status IN ('Completed', 'Failed', 'Cancelled')) = (completed_at IS
          NOT NULL)),
        CONSTRAINT jobs_failed CHECK ((status = 'Failed') = (failure_kind IS NOT NULL)),
        CONSTRAINT jobs_failure_kind CHECK (failure_kind IS NULL OR failure_kind IN ('raised', 'exited',
          'signalled', 'out_of_memory', 'timed_out', 'owner_died', 'host_rebooted', 'keeper_died',
          'not_started', 'bad_result')),
        CONSTRAINT jobs_result CHECK (result IS NULL OR status = 'Completed'),
        CONSTRAINT jobs_attempt CHECK (attempt >= 0 AND max_attempts >= 1)
    ) STRICT
    """,
    "CREATE INDEX jobs_by_status ON jobs (status)",
    "CREATE INDEX jobs_by_type ON jobs (type)",
    "CREATE INDEX jobs_by_type_and_status ON jobs (type, status)",
    "CREATE INDEX jobs_in_progress_by_owner ON jobs (owner) WHERE status = 'InProgress'",
    "CREATE INDEX jobs_in_progress_by_type ON jobs (type) WHERE status = 'InProgress'",
    "CREATE INDEX jobs_pending_in_order ON jobs (type, priority DESC) WHERE status = 'Pending'",
    """
    CREATE INDEX jobs_to_cancel ON jobs (owner) WHERE status = 'InProgress' AND cancel_requested_at IS
      NOT NULL
    """,
    """
    CREATE TRIGGER jobs_edges BEFORE UPDATE OF status ON jobs
      WHEN NOT ((OLD.status = 'Pending' AND NEW.status IN ('InProgress', 'Cancelled'))
        OR (OLD.status = 'InProgress' AND NEW.status IN ('Pending', 'Completed', 'Failed', 'Cancelled')))
      BEGIN SELECT RAISE(ABORT, 'no such edge between job statuses'); END
    """,
    """
    CREATE TABLE attempts (
        job_seq INTEGER NOT NULL,
        number INTEGER NOT NULL,
        owner TEXT NOT NULL,
        pid INTEGER NOT NULL,
        start_ticks INTEGER NOT NULL,
        pidfd_inode INTEGER,
        started_at INTEGER NOT NULL,
        ended_at INTEGER,
        status TEXT,
        failure_kind TEXT,
        exit_code INTEGER,
        signal INTEGER,
        error_message TEXT,
        traceback TEXT,
        termination TEXT,
        user_seconds REAL,
        system_seconds REAL,
        max_rss_bytes INTEGER,
        PRIMARY KEY (job_seq, number),
        CONSTRAINT attempts_number CHECK (number >= 1),
        CONSTRAINT attempts_status CHECK (status IS NULL OR status IN ('Pending', 'Completed', 'Failed',
          'Cancelled')),
        CONSTRAINT attempts_ended CHECK ((status IS NULL) = (ended_at IS NULL)),
        CONSTRAINT attempts_failed CHECK (status IS NOT 'Failed' OR failure_kind IS NOT NULL),
        CONSTRAINT attempts_failure_kind CHECK (failure_kind IS NULL OR (status IS NOT NULL AND status
          IN ('Failed', 'Pending') AND failure_kind IN ('raised', 'exited', 'signalled',
          'out_of_memory', 'timed_out', 'owner_died', 'host_rebooted', 'keeper_died', 'not_started',
          'bad_result'))),
        FOREIGN KEY(job_seq) REFERENCES jobs (seq) ON DELETE CASCADE
    ) STRICT
    """,
    "CREATE INDEX attempts_not_ended ON attempts (owner) WHERE ended_at IS NULL",
    """
    CREATE TRIGGER attempts_edges BEFORE UPDATE OF status ON attempts
      WHEN OLD.status IS NOT NULL
      BEGIN SELECT RAISE(ABORT, 'this attempt has ended'); END
    """,
)


def upgrade() -> None:
    connection = op.get_bind()
    for statement in _STATEMENTS:
        connection.exec_driver_sql(statement)
