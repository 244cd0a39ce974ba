"""A supervisor whose commits cannot be trusted: some fail, and of some it is not said that they happened.

An I/O error at the end of a commit says nothing about what is on the disk. Here every third commit reports
one: in turn of a commit that happened, and of one that did not.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import cycle

from supervisor import serve
from supervisor.errors import StoreUnavailable
from supervisor.store import Store, Transaction

_write = Store.write
_moods = cycle(["done, and denied", "fine", "fine", "broken", "fine", "fine"])


@contextmanager
def write(store: Store) -> Iterator[Transaction]:
    mood = next(_moods)
    with _write(store) as tx:
        yield tx
        if mood == "broken":
            raise StoreUnavailable("the disk refused, on purpose")
    if mood == "done, and denied":
        raise StoreUnavailable("the disk was silent, on purpose")


if __name__ == "__main__":
    setattr(Store, "write", write)  # noqa: B010  (mypy would want a method)
    raise SystemExit(serve.serve())
