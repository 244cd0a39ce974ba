"""Looking at processes from the outside: /proc alone, never the service's own word."""

import contextlib
import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Self

import psutil

from workers.identity import Identity, state_of

_COOKIE = b"ASYNCWORKER_OWNER="


def carriers(*owners: str) -> list[Identity]:
    """Running processes with a supervisor's cookie in their environment: keeper, spares, jobs, leftovers."""
    wanted = tuple(_COOKIE + owner.encode() for owner in owners)
    return [who for pid in _pids() if (who := _who(pid, wanted=_carries(pid, wanted)))]


def workers_of(state_dir: Path) -> list[Identity]:
    """Running processes in a private working directory of this service, or one that has been removed."""
    return [who for pid in _pids() if (who := _who(pid, wanted=_work_of(pid, state_dir) is not None))]


def is_spare(pid: int, keepers: set[int]) -> bool:
    """A child of one of these keepers that is in no job's working directory."""
    try:
        return psutil.Process(pid).ppid() in keepers and os.readlink(f"/proc/{pid}/cwd") == "/"
    except (OSError, psutil.NoSuchProcess):
        return False


class Observer:
    """Looks every few milliseconds at which jobs have a process, until it is told to stop.

    A look takes time, so what one look saw need not have been there all at once. What two looks in
    a row saw was: every one of them ran in the moment between.
    """

    def __init__(self, *state_dirs: Path, pause: float = 0.005) -> None:
        self._state_dirs = state_dirs
        self._pause = pause
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="observer")
        self.looks = 0
        self.together: set[frozenset[str]] = set()
        """Ids of jobs that certainly had a process at the same time."""
        self.processes: dict[str, set[Identity]] = {}
        """By job: the session leaders that were seen working for it."""

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def most(self, type_of: Callable[[str], str]) -> Counter[str]:
        """By job type: the most jobs that had a process at the same time."""
        most: Counter[str] = Counter()
        for jobs in self.together:
            most |= Counter(type_of(job) for job in jobs)
        return most

    def _run(self) -> None:
        before: dict[tuple[int, str], str] = {}
        while not self._over.is_set():
            now = dict(self._look())
            both = before.keys() & now.keys()
            self.together.add(frozenset(now[key].partition(".")[0] for key in both))
            before = now
            self.looks += 1
            time.sleep(self._pause)

    def _look(self) -> Iterator[tuple[tuple[int, str], str]]:
        for state_dir in self._state_dirs:
            for pid in _pids():
                name = _work_of(pid, state_dir)
                if name is None:
                    continue
                yield (pid, name), name
                identity = Identity.of(pid)
                if identity and _leads_session(pid):
                    self.processes.setdefault(name.partition(".")[0], set()).add(identity)


def _pids() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def _who(pid: int, *, wanted: bool) -> Identity | None:
    return Identity.of(pid) if wanted and state_of(pid) not in (None, "Z", "X") else None


def _carries(pid: int, cookies: tuple[bytes, ...]) -> bool:
    try:
        environment = Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return False
    return any(entry.startswith(cookies) for entry in environment.split(b"\0"))


def _work_of(pid: int, state_dir: Path) -> str | None:
    """Name of the private working directory that a process is in."""
    try:
        where = os.readlink(f"/proc/{pid}/cwd")
    except OSError:
        return None
    work = f"{os.path.realpath(state_dir)}/work/"
    if not where.startswith(work):
        return None
    return where.removeprefix(work).removesuffix(" (deleted)").partition("/")[0]


def _leads_session(pid: int) -> bool:
    with contextlib.suppress(ProcessLookupError):
        return os.getsid(pid) == pid
    return False
