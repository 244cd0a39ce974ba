# ruff: noqa: S608 - statements of a trigger, made from the names in this file
"""Processor time is tallied in microseconds: many attempts use less than one of the milliseconds before."""

from alembic import op

revision = "0005"
down_revision = "0004"

_BYTES = [str(2**power) for power in range(23, 37)]
_BUCKETS = " ".join(f"WHEN NEW.max_rss_bytes <= {bound} THEN {bound}" for bound in _BYTES)


def _tally(what: str, bucket: str, amount: str) -> str:
    return (
        f"INSERT INTO job_tallies SELECT type, '{what}', {bucket}, 1, {amount} FROM jobs"
        " WHERE seq = NEW.job_seq ON CONFLICT (type, what, bucket)"
        " DO UPDATE SET number = number + 1, amount = amount + excluded.amount"
    )


def upgrade() -> None:
    connection = op.get_bind()
    for statement in (
        "DROP TRIGGER attempts_used",
        "UPDATE job_tallies SET amount = 1000 * amount WHERE what IN ('user', 'system')",
        f"""
        CREATE TRIGGER attempts_used AFTER UPDATE OF status ON attempts WHEN NEW.user_seconds IS NOT NULL
          BEGIN
            {_tally("user", "0", "CAST(round(1000000 * NEW.user_seconds) AS INTEGER)")};
            {_tally("system", "0", "CAST(round(1000000 * NEW.system_seconds) AS INTEGER)")};
            {_tally("peak", f"CASE {_BUCKETS} ELSE 9223372036854775807 END", "NEW.max_rss_bytes")};
          END
        """,
    ):
        connection.exec_driver_sql(statement)
