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
