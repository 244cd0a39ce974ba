"""The database, as requests find it: locked, moved away or replaced at any time, and back again."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from supervisor.api.telling import Teller
from supervisor.api.threads import time_left
from supervisor.errors import StoreUnavailable
from supervisor.store import Store, Transaction, open_store

KEPT = 4
"""Open connections between two requests."""


class Database:
    """Used from many threads: every transaction has a connection of its own."""

    def __init__(self, url: str, teller: Teller) -> None:
        self._url = url
        self._teller = teller
        self._opening = threading.Lock()
        self._store: Store | None = None

    @contextmanager
    def read(self) -> Iterator[Transaction]:
        with self._watched(), self.store().read() as tx:
            yield tx

    @contextmanager
    def write(self) -> Iterator[Transaction]:
        with self._watched(), self.store().write() as tx:
            yield tx

    def store(self) -> Store:
        """Opened when first used; opened anew where the file was replaced, by a backup that was restored.

        Never created: an empty database in the place of one that was moved away would be a lie.
        """
        if not self._opening.acquire(timeout=time_left()):
            raise StoreUnavailable("the database is being opened")
        try:
            if self._store is not None and self._is_replaced(self._store):
                gone, self._store = self._store, None
                gone.close()
            if self._store is None:
                self._store = open_store(self._url, create=False, keep=KEPT, patience=time_left)
            return self._store
        finally:
            self._opening.release()

    def let_go(self) -> None:
        """Of the connections that are kept, because the supervisor is kept from writing."""
        if self._store is not None:
            self._store.let_go_of_idle()

    def close(self) -> None:
        with self._opening, suppress(StoreUnavailable):
            if self._store is not None:
                self._store.close()
                self._store = None

    def _is_replaced(self, store: Store) -> bool:
        """Not where the file is just missing: it may come back, and then it is the one that we know."""
        return not store.file_is_ours() and store.path.exists()

    @contextmanager
    def _watched(self) -> Iterator[None]:
        try:
            yield
        except StoreUnavailable as error:
            self._teller.unavailable(error)
            raise
        self._teller.available()
