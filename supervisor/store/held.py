"""Which database files this process has open: none of them may be opened and closed apart from SQLite.

Closing any descriptor of a file drops every POSIX lock that the process has on it (fcntl(2)), of whichever
thread.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol
from weakref import WeakKeyDictionary

from supervisor.store import dbfile
from supervisor.store.dbfile import Look

opening = threading.RLock()
"""For whoever looks at a file and then opens it: from the look until that is noted."""


class Holder(Protocol):
    """Has a database open, or is about to."""

    identity: tuple[int, int] | None


_seen: "WeakKeyDictionary[Holder, Look]" = WeakKeyDictionary()
"""What the file of each was when it was opened."""


def note(holder: Holder, seen: Look = Look.SETTLED) -> None:
    with opening:
        _seen[holder] = seen


def forget(holder: Holder) -> None:
    with opening:
        _seen.pop(holder, None)


def look(path: Path) -> Look:
    """What is open here is not opened once more: it was looked at when it was opened."""
    with opening:
        identity = dbfile.identity_of(path)
        known = [seen for holder, seen in _seen.items() if holder.identity == identity]
        return known[0] if known else dbfile.look(path)


@contextmanager
def looked_at(path: Path) -> Iterator[Look]:
    """For whoever opens it within, and closes it there, without a Store."""
    holder = _Looking(path)
    with opening:
        seen = look(path)
        note(holder, seen)
    try:
        yield seen
    finally:
        forget(holder)


class _Looking:
    def __init__(self, path: Path) -> None:
        self.identity = dbfile.identity_of(path)
