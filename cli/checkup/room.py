"""Limits of the system, beside what the job types may need all together."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from cli.checkup.finding import Finding, ok, warning
from cli.wording import size
from supervisor.jobtypes.records import JobTypes
from workers.hierarchies import hierarchies

_PER_JOB_FILES = 3
_OUR_FILES = 64
_OUR_PROCESSES = 10
_SANDBOXED = 3
"""Processes of a job in a sandbox: the child on record, the init of its namespace, the job."""
_PER_JOB_MEMORY = 10 * 2**20
"""Bytes that a child costs at least."""
_UNLIMITED = 2**60


@dataclass(frozen=True, slots=True)
class Need:
    """What all job types may need when all their slots are in use."""

    jobs: int
    processes: int
    memory: int
    """Bytes that types with a limit may take; the others have none."""

    @classmethod
    def of(cls, types: JobTypes) -> Self:
        each = [*types.types.values()]
        return cls(
            sum(t.max_concurrency for t in each),
            sum(t.max_concurrency * (_SANDBOXED if t.sandbox.asked else 1) for t in each),
            sum(t.max_concurrency * (t.limits.memory or 0) for t in each),
        )


@dataclass(frozen=True, slots=True)
class Room:
    """What a process may use; None: as much as there is."""

    whose: str
    open_files: int | None
    processes: int | None
    """Of its user; None for root, whom the kernel does not count."""
    threads_left: int | None
    """In its control groups and on the host, whichever is less."""
    memory: int
    """Bytes, of its control groups or of the host."""
    available: int

    @classmethod
    def of(cls, pid: int | None) -> Self:
        """Of a supervisor, or of this process. Raises OSError where it is gone."""
        process = Path("/proc") / ("self" if pid is None else str(pid))
        limits = dict(_limits((process / "limits").read_text()))
        groups = [*_groups((process / "cgroup").read_text())]
        total, available = _memory()
        return cls(
            whose="this shell" if pid is None else f"the service (pid {pid})",
            open_files=limits.get("Max open files"),
            processes=None if _is_root(process) else limits.get("Max processes"),
            threads_left=_least([*_left_in(groups), _left_on_the_host()]),
            memory=min([total, *_numbers(groups, "memory.max", "memory.limit_in_bytes")]),
            available=available,
        )


def judge(room: Room, need: Need) -> Iterator[Finding]:
    files, processes = _PER_JOB_FILES * need.jobs + _OUR_FILES, need.processes + _OUR_PROCESSES
    findings = [
        *_too_few(room, "open files", room.open_files, files, "LimitNOFILE= in the unit, or ulimit -n"),
        *_too_few(room, "processes of one user", room.processes, processes, "LimitNPROC=, or ulimit -u"),
        *_too_few(
            room,
            "further processes and threads",
            room.threads_left,
            processes,
            "TasksMax= of the unit and of its slices, kernel.threads-max, kernel.pid_max",
        ),
        *_too_little_memory(room, need),
    ]
    yield from findings
    if not findings:
        yield ok(
            "limits",
            f"{need.jobs} jobs at a time fit into {_shown(room.open_files)} open files,"
            f" {_shown(room.threads_left)} further threads and {size(room.available)} of memory"
            f" ({room.whose})",
        )


def _too_few(room: Room, what: str, may: int | None, need: int, where: str) -> Iterator[Finding]:
    if may is not None and may < need:
        yield warning(
            "limits",
            f"{room.whose} may have {may} {what}, and about {need} are needed when every slot is in use",
            f"Raise it ({where}), or lower max_concurrency: jobs that cannot be started wait.",
        )


def _too_little_memory(room: Room, need: Need) -> Iterator[Finding]:
    if need.memory > room.memory:
        yield warning(
            "limits",
            f"jobs may take {size(need.memory)} of memory by their limits, all together, and there are"
            f" {size(room.memory)}",
            "Lower limits.memory or max_concurrency, or the kernel ends jobs: out_of_memory.",
        )
    elif need.jobs * _PER_JOB_MEMORY > room.available:
        yield warning(
            "limits",
            f"{size(room.available)} of memory are free, and {need.jobs} jobs take about"
            f" {size(need.jobs * _PER_JOB_MEMORY)} at least",
            "Lower max_concurrency, or add memory.",
        )


def _limits(text: str) -> Iterator[tuple[str, int | None]]:
    """Name and soft limit (proc_pid_limits(5)); the name ends in column 26."""
    for line in text.splitlines()[1:]:
        value = line[26:].split()[0]
        yield line[:26].strip(), None if value == "unlimited" else int(value)


def _is_root(process: Path) -> bool:
    """Not by the owner of its files: those of a process that cannot be looked into are root's."""
    for line in (process / "status").read_text().splitlines():
        if line.startswith("Uid:"):
            return line.split()[1] == "0"
    return False


def _groups(membership: str) -> Iterator[Path]:
    """Every control group that holds it, the innermost first."""
    for hierarchy in hierarchies(membership=membership):
        for folder in (hierarchy.folder, *hierarchy.folder.parents):
            if not (folder / "cgroup.procs").exists():
                break
            yield folder


def _left_in(groups: list[Path]) -> Iterator[int]:
    for folder in groups:
        for most in _numbers([folder], "pids.max"):
            for now in _numbers([folder], "pids.current"):
                yield most - now


def _left_on_the_host() -> int:
    kernel = Path("/proc/sys/kernel")
    most = min(int((kernel / name).read_text()) for name in ("threads-max", "pid_max"))
    return most - int(Path("/proc/loadavg").read_text().split()[3].partition("/")[2])


def _memory() -> tuple[int, int]:
    """Bytes in all, and bytes that can be had."""
    lines = (line.split() for line in Path("/proc/meminfo").read_text().splitlines())
    kilobytes = {line[0]: int(line[1]) for line in lines}
    return 1024 * kilobytes["MemTotal:"], 1024 * kilobytes["MemAvailable:"]


def _numbers(folders: list[Path], *names: str) -> Iterator[int]:
    for folder in folders:
        for name in names:
            with contextlib.suppress(OSError, ValueError):  # no such controller, or "max"
                number = int((folder / name).read_text())
                if number < _UNLIMITED:
                    yield number


def _least(numbers: list[int]) -> int | None:
    return min(numbers, default=None)


def _shown(number: int | None) -> str:
    return "any number of" if number is None else str(number)
