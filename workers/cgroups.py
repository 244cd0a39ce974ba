"""Control groups for jobs: one each, which nothing that the job starts can leave without rights of its own.

In the unified hierarchy one write ends everything in a group at once, however fast it forks. Where the
controllers for memory and processes are in hierarchies of version 1, the group is a folder in each of them.
"""

import errno
import os
from dataclasses import asdict, dataclass

from workers import files


@dataclass(frozen=True, slots=True)
class Consumption:
    """What everything that was ever in a group has used, as the kernel counted it."""

    user_seconds: float | None
    system_seconds: float | None
    peak_bytes: int | None
    oom_kills_of_it: int | None
    """Processes of it that the kernel ended for lack of memory. None where no controller counts them."""

    def known(self) -> dict[str, float]:
        """What is counted, by name."""
        return {name: value for name, value in asdict(self).items() if value is not None}


@dataclass(frozen=True, slots=True)
class Group:
    """The group of one child: a folder in each hierarchy that is of use."""

    unified: str | None
    memory: str | None
    pids: str | None
    kills: bool = False
    """Whether all of it can be ended at once (Linux 5.14)."""

    def folders(self) -> list[str]:
        return [*dict.fromkeys(each for each in (self.unified, self.memory, self.pids) if each)]

    def add(self, pid: int) -> None:
        """Raises OSError where it cannot be a member."""
        for folder in self.folders():
            files.write(f"{folder}/cgroup.procs", str(pid))

    def members(self) -> list[int]:
        """Pids of what is in it, perhaps zombies too. Raises OSError where that cannot be told (EMFILE)."""
        pids: dict[int, None] = {}
        for folder in self.folders():
            pids.update(dict.fromkeys(_pids(folder)))
        return list(pids)

    def kill(self) -> None:
        """End all of it at once, where that can be done. Raises OSError."""
        if self.kills:
            files.write(f"{self.unified}/cgroup.kill", "1")

    def limit(self, *, memory: int | None = None, processes: int | None = None) -> None:
        """Raises OSError where a limit was given and cannot be set: there is no controller, or it refuses."""
        if memory is not None:
            _limit_memory(self.memory, memory)
        if processes is not None:
            if self.pids is None:
                raise OSError(f"no control group on this host can limit processes to {processes}")
            files.write(f"{self.pids}/pids.max", str(processes))

    def consumption(self) -> Consumption:
        """None for what no controller counts."""
        user, system = _times(self.unified)
        unified = self.memory == self.unified
        peak = _read(self.memory, "memory.peak" if unified else "memory.max_usage_in_bytes")
        events = _counters(self.memory, "memory.events" if unified else "memory.oom_control")
        return Consumption(user, system, int(peak) if peak else None, events.get("oom_kill"))

    @property
    def counts_oom_kills(self) -> bool:
        """Whether the kernel counts here what it ends for lack of memory."""
        return self.memory is not None

    def remove(self) -> bool:
        """False while something is in it."""
        left = [folder for folder in self.folders() if not _removed(folder)]
        return not left


def made(group: Group) -> Group:
    """A new group; what could be made of it is gone again where OSError is raised."""
    try:
        for folder in group.folders():
            os.mkdir(folder)
    except OSError:
        group.remove()
        raise
    return group


def _pids(folder: str) -> list[int]:
    """None where the group is gone: only an empty one can be removed."""
    try:
        return [int(pid) for pid in files.read(f"{folder}/cgroup.procs").split()]
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENODEV):
            return []
        raise


def _limit_memory(folder: str | None, size: int) -> None:
    """Without swap, where that can be told apart: a job that swaps is over its limit as well."""
    if folder is None:
        raise OSError(f"no control group on this host can limit memory to {size} bytes")
    if os.path.exists(f"{folder}/memory.max"):
        files.write(f"{folder}/memory.max", str(size))
        _write_if_there(f"{folder}/memory.swap.max", "0")
        # All or nothing: a job that has lost a process at random must not go on as if it were whole.
        _write_if_there(f"{folder}/memory.oom.group", "1")
    else:
        files.write(f"{folder}/memory.limit_in_bytes", str(size))
        _write_if_there(f"{folder}/memory.memsw.limit_in_bytes", str(size))


def _times(folder: str | None) -> tuple[float | None, float | None]:
    counters = _counters(folder, "cpu.stat")
    user, system = counters.get("user_usec"), counters.get("system_usec")
    return (None if user is None else user / 1e6), (None if system is None else system / 1e6)


def _counters(folder: str | None, name: str) -> dict[str, int]:
    """Of a file with a name and a number in each line."""
    pairs = (line.split() for line in _read(folder, name).splitlines())
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2}


def _read(folder: str | None, name: str) -> str:
    """Nothing where there is no such file: what is not counted is not known."""
    try:
        return "" if folder is None else files.read(f"{folder}/{name}").strip()
    except OSError:
        return ""


def _write_if_there(file: str, text: str) -> None:
    if os.path.exists(file):
        files.write(file, text)


def _removed(folder: str) -> bool:
    try:
        os.rmdir(folder)
    except FileNotFoundError:
        return True
    except OSError:  # not empty yet, or zombies of it that nobody has reaped
        return False
    return True
