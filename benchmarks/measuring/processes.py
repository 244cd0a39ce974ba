"""What trees of processes use, read from /proc by somebody who stands beside them."""

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
_SWITCHES = re.compile(r"^voluntary_ctxt_switches:\s*(\d+)$", re.MULTILINE)
_PSS = re.compile(r"^Pss:\s*(\d+) kB$", re.MULTILINE)


def trees(roots: Iterable[int]) -> list[int]:
    """They and all that is below them."""
    parents = {int(name): _stat(int(name)) for name in os.listdir("/proc") if name.isdigit()}
    found = list(roots)
    for pid in found:
        found += [child for child, stat in parents.items() if stat[1:2] == [str(pid)] and child not in found]
    return found


def cpu_seconds(roots: Iterable[int]) -> float:
    """Of all processes in the trees, and of all that they have reaped: children that have ended count."""
    return sum(sum(map(int, _stat(pid)[11:15])) for pid in trees(roots)) / _TICKS


@dataclass(frozen=True, slots=True)
class Idle:
    """What trees cost while nothing happens."""

    processes: int
    cpu_seconds: float
    wakeups: int
    """Voluntary context switches so far, of all threads."""
    pss_mebibytes: float | None
    """None where /proc does not let us see it: the service's own processes show it to root only."""


def look(roots: Iterable[int]) -> Idle:
    pids = trees(roots)
    sizes = [_first(_PSS, Path(f"/proc/{pid}/smaps_rollup")) for pid in pids]
    known = [size for size in sizes if size is not None]
    pss = sum(known) / 1024 if len(known) == len(pids) else None
    return Idle(len(pids), cpu_seconds(pids), sum(map(_switches, pids)), pss)


def _switches(pid: int) -> int:
    try:
        threads = os.listdir(f"/proc/{pid}/task")
    except OSError:
        return 0
    each = (_first(_SWITCHES, Path(f"/proc/{pid}/task/{thread}/status")) for thread in threads)
    return sum(number or 0 for number in each)


def _first(pattern: re.Pattern[str], file: Path) -> int | None:
    try:
        found = pattern.search(file.read_text())
    except OSError:
        return None
    return int(found.group(1)) if found else None


def _stat(pid: int) -> list[str]:
    """From the state on: proc_pid_stat(5), its third field."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return []
