"""The job types file, read again only when it has changed: reading YAML with care takes its time."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from supervisor.errors import UnknownJobType

if TYPE_CHECKING:
    from supervisor.jobtypes.records import JobType, JobTypes

_Stamp = tuple[int, int, int, int]


class TypesFile:
    """One file, however often it is edited or replaced."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp: _Stamp | None = None
        self._types: JobTypes | None = None

    def read(self) -> "JobTypes":
        """What it says now. Raises InvalidConfiguration where it is missing or has mistakes."""
        stamp = self._look()
        if self._types is None or stamp is None or stamp != self._stamp:
            from supervisor.jobtypes.load import load  # noqa: PLC0415  (YAML, where a file is to be read)

            self._types = None
            self._types = load(self._path)
            self._stamp = stamp
        return self._types

    def job_type(self, name: str) -> "JobType":
        """Raises UnknownJobType, with the nearest; and as `read` does."""
        types = self.read().types
        if name not in types:
            raise UnknownJobType(unknown_type(name, [*types]))
        return types[name]

    def _look(self) -> _Stamp | None:
        """Taken before the file is read: what is changed meanwhile is read again the next time."""
        try:
            found = os.stat(self._path)
        except (OSError, ValueError):
            return None
        return found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size


def unknown_type(name: str, known: list[str]) -> str:
    """A sentence."""
    from difflib import get_close_matches  # noqa: PLC0415  (for a mistake only)

    nearest = get_close_matches(name, known, n=1)
    hint = f"did you mean {nearest[0]}?" if nearest else f"there are: {', '.join(known)}"
    return f"there is no job type {name!r}; {hint}"
