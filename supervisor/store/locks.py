"""Files beside the database that one process at a time holds."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from supervisor.errors import StoreUnavailable

_MIGRATION_SECONDS = 60.0
_POLL_SECONDS = 0.01


def beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)


def try_hold(path: Path) -> int | None:
    """The descriptor that holds the lock, to be closed to let go; None where another process holds it.

    The file stays: removing it would let two processes hold the lock on two files of one name.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StoreUnavailable(f"unable to open {path}: {error.strerror}") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    except OSError as error:
        os.close(descriptor)
        raise StoreUnavailable(f"unable to lock {path}: {error.strerror}") from error
    return descriptor


@contextmanager
def holding(path: Path, *, seconds: float = _MIGRATION_SECONDS) -> Iterator[None]:
    deadline = time.monotonic() + seconds
    while (descriptor := try_hold(path)) is None:
        if time.monotonic() > deadline:
            raise StoreUnavailable(f"another process has been holding {path} for {seconds:.0f} seconds")
        time.sleep(_POLL_SECONDS)
    try:
        yield
    finally:
        os.close(descriptor)
