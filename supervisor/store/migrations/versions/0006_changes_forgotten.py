# ruff: noqa: S608 - statements of triggers, made from the names in this file
"""Changes of jobs are forgotten in portions: each for itself, that made one more page change every time."""

from alembic import op

revision = "0006"
down_revision = "0005"

_PLAIN = (
    "status attempt max_attempts crashes run_at owner pid started_at completed_at cancel_requested_at"
    " progress_fraction progress_message error_message failure_kind exit_code signal"
).split()
_TAKEN = [
    f"substr(NEW.{name}, 1, 2000)" if name in ("progress_message", "error_message") else f"NEW.{name}"
    for name in _PLAIN
]
_NOTE = f"INSERT INTO job_changes (job_seq, {', '.join(_PLAIN)}) VALUES (NEW.seq, {', '.join(_TAKEN)})"


def upgrade() -> None:
    connection = op.get_bind()
    for statement in (
        "DROP TRIGGER jobs_noted_new",
        "DROP TRIGGER jobs_noted",
        f"CREATE TRIGGER jobs_noted_new AFTER INSERT ON jobs BEGIN {_NOTE}; END",
        f"CREATE TRIGGER jobs_noted AFTER UPDATE ON jobs BEGIN {_NOTE}; END",
        """
        CREATE TRIGGER job_changes_forgotten AFTER INSERT ON job_changes WHEN NEW.number % 100 = 0
          BEGIN
            DELETE FROM job_changes WHERE number <= NEW.number - 10000;
          END
        """,
    ):
        connection.exec_driver_sql(statement)
