"""How long a client waits for the lock of another writer, where ten seconds are too long."""

import sqlite3
from collections.abc import Callable

from sqlalchemy import event

from supervisor.store.engine import Store


def with_patience(store: Store, seconds: Callable[[], float]) -> Store:
    """The same store: every connection that it opens from now on waits as long as this says then."""

    def limit(connection: sqlite3.Connection, _: object) -> None:
        connection.execute(f"PRAGMA busy_timeout={max(1, int(1000 * seconds()))}")

    event.listen(store._engine, "connect", limit)  # noqa: SLF001 - one package
    return store
