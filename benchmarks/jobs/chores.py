"""What the jobs of the benchmarks do: write down when and where they ran, and perhaps stay."""

import os
import signal
import time

LINE = 32
"""Bytes of a stamp: nanoseconds of the monotonic clock, pid, newline."""


def stamp(path: str) -> None:
    """An empty job. CLOCK_MONOTONIC is one clock for all processes of a host."""
    line = b"%020d %010d\n" % (time.monotonic_ns(), os.getpid())
    out = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(out, line)
    finally:
        os.close(out)


def stay(path: str) -> None:
    """Until it is ended."""
    stamp(path)
    time.sleep(600)


def stamp_or_stay(path: str) -> None:
    """An empty job, but for one whose file has this ending."""
    (stay if path.endswith(".stay") else stamp)(path)


def stay_deaf(path: str) -> None:
    """Likewise, and SIGTERM does not end it."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    stamp(path)
    time.sleep(600)
