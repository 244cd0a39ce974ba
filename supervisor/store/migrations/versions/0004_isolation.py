"""How the processes of an attempt were held together, and what all of them had in memory at most."""

from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    connection = op.get_bind()
    for statement in (
        "ALTER TABLE supervisors ADD COLUMN isolation TEXT",
        "ALTER TABLE attempts ADD COLUMN peak_bytes INTEGER",
        "ALTER TABLE attempts ADD COLUMN isolation TEXT",
    ):
        connection.exec_driver_sql(statement)
