"""Control groups for jobs: one each, which nothing that the job starts can leave without rights of its own.

In the unified hierarchy one write ends everything in a group at once, however fast it forks. Where the
controllers for memory and processes are in hierarchies of version 1, the group is a folder in each of them.
"""

import errno
from dataclasses import asdict, dataclass
from pathlib import Path


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

    unified: Path | None
    memory: Path | None
    pids: Path | None

    def folders(self) -> list[Path]:
        return [*dict.fromkeys(each for each in (self.unified, self.memory, self.pids) if each)]

    def add(self, pid: int) -> None:
        """Raises OSError where it cannot be a member."""
        for folder in self.folders():
            (folder / "cgroup.procs").write_text(str(pid))

    def members(self) -> list[int]:
        """Pids of what is in it, perhaps zombies too. Raises OSError where that cannot be told (EMFILE)."""
        pids: dict[int, None] = {}
        for folder in self.folders():
            pids.update(dict.fromkeys(_pids(folder)))
        return list(pids)

    @property
    def kills(self) -> bool:
        """Whether all of it can be ended at once (Linux 5.14)."""
        return self.unified is not None and (self.unified / "cgroup.kill").exists()

    def kill(self) -> None:
        """End all of it at once, where that can be done. Raises OSError."""
        if self.unified is not None and self.kills:
            (self.unified / "cgroup.kill").write_text("1")

    def limit(self, *, memory: int | None = None, processes: int | None = None) -> None:
        """Raises OSError where a limit was given and cannot be set: there is no controller, or it refuses."""
        if memory is not None:
            _limit_memory(self.memory, memory)
        if processes is not None:
            if self.pids is None:
                raise OSError(f"no control group on this host can limit processes to {processes}")
            (self.pids / "pids.max").write_text(str(processes))

    def consumption(self) -> Consumption:
        """None for what no controller counts."""
        user, system = _times(self.unified)
        return Consumption(user, system, _peak(self.memory), _oom_kills(self.memory))

    def remove(self) -> bool:
        """False while something is in it."""
        left = [folder for folder in self.folders() if not _removed(folder)]
        return not left


def made(unified: Path | None, memory: Path | None, pids: Path | None, name: str) -> Group:
    """A new group in these; what could be made of it is gone again where OSError is raised."""
    folders = [each and each / name for each in (unified, memory, pids)]
    group = Group(*folders)
    try:
        for folder in group.folders():
            folder.mkdir()
    except OSError:
        group.remove()
        raise
    return group


def _pids(folder: Path) -> list[int]:
    """None where the group is gone: only an empty one can be removed."""
    try:
        return [int(pid) for pid in (folder / "cgroup.procs").read_text().split()]
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENODEV):
            return []
        raise


def _limit_memory(folder: Path | None, size: int) -> None:
    """Without swap, where that can be told apart: a job that swaps is over its limit as well."""
    if folder is None:
        raise OSError(f"no control group on this host can limit memory to {size} bytes")
    if (folder / "memory.max").exists():
        (folder / "memory.max").write_text(str(size))
        _write_if_there(folder / "memory.swap.max", "0")
        # All or nothing: a job that has lost a process at random must not go on as if it were whole.
        _write_if_there(folder / "memory.oom.group", "1")
    else:
        (folder / "memory.limit_in_bytes").write_text(str(size))
        _write_if_there(folder / "memory.memsw.limit_in_bytes", str(size))


def _times(folder: Path | None) -> tuple[float | None, float | None]:
    counters = _counters(folder, "cpu.stat")
    user, system = counters.get("user_usec"), counters.get("system_usec")
    return (None if user is None else user / 1e6), (None if system is None else system / 1e6)


def _peak(folder: Path | None) -> int | None:
    for name in ("memory.peak", "memory.max_usage_in_bytes"):
        text = _read(folder, name)
        if text:
            return int(text)
    return None


def _oom_kills(folder: Path | None) -> int | None:
    for name in ("memory.events", "memory.oom_control"):
        counters = _counters(folder, name)
        if "oom_kill" in counters:
            return counters["oom_kill"]
    return None


def _counters(folder: Path | None, name: str) -> dict[str, int]:
    """Of a file with a name and a number in each line."""
    pairs = (line.split() for line in _read(folder, name).splitlines())
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2}


def _read(folder: Path | None, name: str) -> str:
    """Nothing where there is no such file: what is not counted is not known."""
    try:
        return "" if folder is None else (folder / name).read_text().strip()
    except OSError:
        return ""


def _write_if_there(file: Path, text: str) -> None:
    if file.exists():
        file.write_text(text)


def _removed(folder: Path) -> bool:
    try:
        folder.rmdir()
    except FileNotFoundError:
        return True
    except OSError:  # not empty yet, or zombies of it that nobody has reaped
        return False
    return True
