"""What a running process may use, lowered for a while (prlimit(2))."""

import contextlib
import resource
from collections.abc import Iterator
from pathlib import Path

import psutil


@contextlib.contextmanager
def limited(pid: int, what: int, number: int) -> Iterator[None]:
    """It keeps what it has, and gets nothing beyond that number, nor does what it starts meanwhile."""
    before = resource.prlimit(pid, what)
    resource.prlimit(pid, what, (number, before[1]))
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError, psutil.NoSuchProcess):
            for each in (pid, *(child.pid for child in psutil.Process(pid).children(recursive=True))):
                resource.prlimit(each, what, before)


def memory(pid: int) -> int:
    """Bytes of address space in use."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[0]) * resource.getpagesize()


def http_server(supervisor: int) -> int | None:
    """Pid of the one of its children that serves HTTP."""
    children = Path(f"/proc/{supervisor}/task/{supervisor}/children").read_text().split()
    lines = {int(pid): Path(f"/proc/{pid}/cmdline") for pid in children}
    found = (pid for pid, line in lines.items() if b"supervisor.api" in line.read_bytes())
    return next(found, None)
