"""A lock that the kernel lets go when a supervisor and its keeper are both gone.

Where an owner's pid means nothing to us (another PID namespace of the same boot: a container), its
identity cannot be looked up. This lock can: flock(2) belongs to the open file, which supervisor and
keeper share and no job inherits, so it is free exactly when neither runs. The keeper goes only after
everything that it held. Ends that it saw when the supervisor was gone already are written into the file.
"""

import contextlib
import fcntl
import json
import os
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from supervisor.errors import StoreUnavailable
from supervisor.outcome import End
from workers.identity import Identity

_MOST = 16 * 1024 * 1024
"""Bytes that are read of what a keeper wrote: tens of thousands of ends."""
_NO_END = (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError)


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


def ends(folder: Path, uuid: str) -> dict[Identity, End]:
    """What its keeper saw of the ends of its children, when nobody heard it any more; a torn line is none."""
    try:
        with open(os.open(folder / uuid, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb") as file:
            lines = file.read(_MOST).splitlines()
    except OSError:
        return {}
    found: dict[Identity, End] = {}
    for line in lines:
        with contextlib.suppress(*_NO_END):
            frame = json.loads(line)
            _check(frame)
            found[Identity(*frame["identity"])] = End.from_frame(frame)
    return found


def _check(frame: dict[str, Any]) -> None:
    """Raises ValueError for what the database would refuse: no recovery may fail over it for ever."""
    used = [frame[name] for name in ("user_seconds", "system_seconds", "max_rss_bytes")]
    for number in (*used, frame.get("peak_bytes", 0)):
        if not isinstance(number, int | float) or not 0 <= number < 2**63:
            raise ValueError("not what a process can have used")


def remove(folder: Path, uuid: str) -> None:
    """Once its owner is on record as gone."""
    with contextlib.suppress(OSError):
        (folder / uuid).unlink()
