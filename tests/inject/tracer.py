"""strace(1), attached to one process: it makes one of its calls fail, and counts them."""

import contextlib
import signal
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from tests.inject.faults import Fault
from tests.support.eventually import eventually


class Tracer:
    """Attached until `detach`, or until the process has ended."""

    def __init__(self, pid: int, options: list[str], log: Path, *, threads: bool = False) -> None:
        self.log = log
        follow = ["-f"] if threads else []
        self._strace = subprocess.Popen(
            ["strace", "-qq", *follow, "-p", str(pid), "-o", str(log), "-e", "signal=none", *options],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        self._pid = pid
        eventually(self._attached, 20.0, 0.002)

    def detach(self) -> None:
        if self._strace.poll() is None:
            self._strace.send_signal(signal.SIGINT)
        self._strace.communicate()

    def calls(self) -> Counter[str]:
        """How often it has made each call."""
        with self.log.open(errors="replace") as lines:
            return Counter(line.split("(", 1)[0].split()[-1] for line in lines if "(" in line)

    def _attached(self) -> bool:
        if self._strace.poll() is not None:
            raise AssertionError(f"strace: {self._strace.communicate()[1].decode()}")
        with contextlib.suppress(OSError):
            tracer = [
                line
                for line in Path(f"/proc/{self._pid}/status").read_text().splitlines()
                if "TracerPid" in line
            ]
            return tracer[0].split()[1] == str(self._strace.pid)
        return False


@contextlib.contextmanager
def tracing(pid: int, fault: Fault | None, log: Path, *, threads: bool = False) -> Iterator[Tracer]:
    """Attached for this block. Without a fault every call is counted."""
    tracer = Tracer(pid, fault.options if fault else ["-e", "trace=all"], log, threads=threads)
    try:
        yield tracer
    finally:
        tracer.detach()
