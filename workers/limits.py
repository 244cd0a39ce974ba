"""What one job may use. Whoever can holds it to that: its control group, its own process, or the keeper."""

import resource
from dataclasses import dataclass

from workers.target import TargetError


@dataclass(frozen=True, slots=True)
class Limits:
    """None: as much as the service may."""

    memory: int | None = None
    """Bytes."""
    cpu_time: float | None = None
    """Seconds of processor time, of all its processes together."""
    processes: int | None = None
    open_files: int | None = None
    file_size: int | None = None
    """Bytes in one written file."""
    memory_by_process: bool = False
    """Whether memory is held for each process, because no control group can hold it for all."""
    processes_by_user: bool = False
    """Whether processes are to be held by counting those of the user: no control group can hold them."""


def limit_this_process(limits: Limits, *, own_users: bool) -> None:
    """What a process inherits, and cannot raise again. Raises TargetError where it cannot be held to it.

    `own_users`: whether it is in a user namespace of its own, which holds nobody else's processes.
    """
    if limits.processes_by_user and limits.processes is not None:
        if not own_users:
            raise TargetError(
                f"limits.processes is {limits.processes}, and nothing on this host can hold a job to that:"
                " it takes control groups with the pids controller"
            )
        _set(resource.RLIMIT_NPROC, limits.processes, "processes")
    if limits.memory_by_process and limits.memory is not None:
        # Not RLIMIT_AS: threads reserve far more addresses than they use (getrlimit(2)).
        _set(resource.RLIMIT_DATA, limits.memory, "memory")
    if limits.open_files is not None:
        _set(resource.RLIMIT_NOFILE, limits.open_files, "open_files")
    if limits.file_size is not None:
        _set(resource.RLIMIT_FSIZE, limits.file_size, "file_size")


def _set(which: int, value: int, name: str) -> None:
    """The hard limit too. One that is lower already stays: what the service may not, its jobs may not."""
    _, hard = resource.getrlimit(which)
    most = value if hard == resource.RLIM_INFINITY else min(value, hard)
    try:
        resource.setrlimit(which, (most, most))
    except (ValueError, OSError) as error:
        raise TargetError(f"limits.{name} cannot be set to {value}: {error}") from error
