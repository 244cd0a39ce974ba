"""Looking for processes from the outside: by a mark that they carry, or by who they are."""

import os
import signal
from pathlib import Path

from tests.support.eventually import eventually
from workers.identity import Identity


def marked(mark: str) -> list[Identity]:
    """Running processes, ourselves aside, with `mark` in their environment or among their arguments."""
    pids = [int(name) for name in os.listdir("/proc") if name.isdigit()]
    return [
        who for pid in pids if pid != os.getpid() and _carries(pid, mark.encode()) and (who := _runs(pid))
    ]


def http_servers(supervisor: int) -> list[int]:
    """Pids of those of its children that serve HTTP: one, as a rule, and none where it is gone."""
    try:
        children = Path(f"/proc/{supervisor}/task/{supervisor}/children").read_text().split()
    except OSError:
        return []
    return [int(pid) for pid in children if serves_http(int(pid))]


def http_server(supervisor: int) -> int | None:
    """The first of them."""
    return next(iter(http_servers(supervisor)), None)


def serves_http(pid: int) -> bool:
    """By its command line, which one that has ended has no more."""
    try:
        return b"supervisor.api" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def gone(*processes: Identity) -> bool:
    """True once none of them can execute an instruction any more."""
    return not any(process.is_running() for process in processes)


def noted(file: Path, count: int = 1, within: float = 20.0) -> list[Identity]:
    """The identities of the pids that jobs have written to `file`, a line each, once there are `count`."""

    def lines() -> list[str]:
        text = file.read_text() if file.exists() else ""
        return text.split() if text.endswith("\n") and len(text.split()) >= count else []

    found = [Identity.of(int(line)) for line in eventually(lines, within)]
    return [who for who in found if who]


def end(*processes: Identity) -> None:
    """Kill what is left of a test, by identity, never by name."""
    for process in processes:
        process.send(signal.SIGCONT)
        process.send(signal.SIGKILL)


def cpu_seconds(pid: int) -> float:
    """User and system time of a process, without its children: fields 14 and 15 of proc_pid_stat(5)."""
    text = Path(f"/proc/{pid}/stat").read_text()
    fields = text[text.rindex(")") + 2 :].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _runs(pid: int) -> Identity | None:
    who = Identity.of(pid)
    return who if who and who.is_running() else None


def _carries(pid: int, mark: bytes) -> bool:
    try:
        return any(mark in Path(f"/proc/{pid}/{name}").read_bytes() for name in ("environ", "cmdline"))
    except OSError:
        return False


def signals_in(mask: str) -> set[int]:
    """The signals of a mask in /proc/PID/status, without the two that the C library keeps to itself.

    Those cannot be set by anybody else, and posix_spawn of glibc leaves them ignored in what it starts
    (make does so): 32 and 33, nptl(7).
    """
    return {number + 1 for number in range(64) if int(mask, 16) >> number & 1} - {32, 33}
