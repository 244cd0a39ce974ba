"""The job types, read again whenever their file has changed; one with mistakes changes nothing."""

import os
import threading
from pathlib import Path

from supervisor.api.problems import Problem, unavailable
from supervisor.api.telling import Teller
from supervisor.errors import InvalidConfiguration
from supervisor.jobtypes.load import load
from supervisor.jobtypes.problems import UnreadJobTypes
from supervisor.jobtypes.records import JobTypes
from supervisor.journal import Event

_Stamp = tuple[int, ...] | None


class Configured:
    """What is configured now, as far as it can be read."""

    def __init__(self, path: Path, teller: Teller) -> None:
        self._path = path
        self._teller = teller
        self._lock = threading.Lock()
        self._seen: _Stamp = None
        self._known: JobTypes | None = None
        self._broken: str | None = None

    def now(self) -> JobTypes:
        """Raises InvalidConfiguration where the file has never been without mistakes."""
        with self._lock:
            stamp = self._stamp()
            if stamp != self._seen or self._known is None:
                self._read(stamp)
            if self._known is None:
                raise InvalidConfiguration(self._broken)
            return self._known

    def if_readable(self) -> JobTypes | None:
        try:
            return self.now()
        except InvalidConfiguration:
            return None

    def or_503(self) -> JobTypes:
        try:
            return self.now()
        except InvalidConfiguration as error:
            raise _unreadable() from error

    @property
    def problem(self) -> str | None:
        """Why the file, as it is now, cannot be used; None where it can."""
        return self._broken

    def limits(self) -> dict[str, int]:
        """By type; empty where the types cannot be read."""
        try:
            return {name: each.max_concurrency for name, each in self.now().types.items()}
        except InvalidConfiguration:
            return {}

    def _read(self, stamp: _Stamp) -> None:
        """`stamp`: of before, so that what is changed meanwhile is read again."""
        try:
            self._known = load(self._path)
            self._broken = None
            self._seen = stamp
        except InvalidConfiguration as error:
            if not isinstance(error, UnreadJobTypes):
                self._seen = stamp
            known, self._broken = self._broken, str(error)
            if known != self._broken:
                self._teller.say(Event.HTTP_JOB_TYPES_UNREADABLE, why=error)

    def _stamp(self) -> _Stamp:
        try:
            found = os.stat(self._path)
        except OSError:
            return None
        return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _unreadable() -> Problem:
    return unavailable("The job types cannot be read at the moment; nothing was done.")
