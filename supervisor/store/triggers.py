"""Triggers, made together with the tables."""

from sqlalchemy import Connection, MetaData, Table, event


def trigger(table: Table, name: str, head: str, *body: str) -> None:
    """`head` says when, `body` what: one statement each."""
    ddl = f"CREATE TRIGGER {table.name}_{name} {head} BEGIN {' '.join(f'{each};' for each in body)} END"

    def create(_: MetaData, connection: Connection, **__: object) -> None:
        connection.exec_driver_sql(ddl)

    event.listen(table.metadata, "after_create", create)  # of all tables: a body may name any of them


def guard(table: Table, column: str, condition: str, sentence: str) -> None:
    """Refuse an UPDATE that names the column, even to what is there already: that is a second winner."""
    head = f"BEFORE UPDATE OF {column} ON {table.name} WHEN {condition}"
    trigger(table, "edges", head, f"SELECT RAISE(ABORT, '{sentence}')")
