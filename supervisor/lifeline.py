"""A lock that the kernel lets go when a supervisor and its keeper are both gone.

Where an owner's pid means nothing to us (another PID namespace of the same boot: a container), its
identity cannot be looked up. This lock can: flock(2) belongs to the open file, which supervisor and
keeper share and no job inherits, so it is free exactly when neither runs. The keeper goes only after
everything that it held.
"""

import contextlib
import fcntl
import os
from pathlib import Path
from types import TracebackType
from typing import Self

from supervisor.errors import StoreUnavailable


def folder_of(database: Path) -> Path:
    """Where the supervisors of a database keep their lifelines: beside it, for they share nothing else."""
    return database.with_name(database.name + "-owners")


class Lifeline:
    """Held from registration until the end."""

    def __init__(self, folder: Path, uuid: str) -> None:
        """Take it. Raises StoreUnavailable where the file cannot be made."""
        self.path = folder / uuid
        try:
            folder.mkdir(mode=0o700, exist_ok=True)
            self.fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            fcntl.flock(self.fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise StoreUnavailable(f"{self.path} cannot be made and locked: {error.strerror}") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self.fd)


def is_cut(folder: Path, uuid: str) -> bool | None:
    """True where nobody holds it any more; None where there is nothing to judge by."""
    try:
        fd = os.open(folder / uuid, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        # Shared: two who ask at once must not take each other for the owner.
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(fd)
    return True


def remove(folder: Path, uuid: str) -> None:
    """Once its owner is on record as gone."""
    with contextlib.suppress(OSError):
        (folder / uuid).unlink()
