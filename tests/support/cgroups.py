"""Control groups of version 1, where the machine has them and lets us: they make faults to order."""

import contextlib
import itertools
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.eventually import eventually

_NUMBERS = itertools.count()


@contextlib.contextmanager
def group_of(controller: str) -> Iterator[Path]:
    """A new group of this controller; the test is skipped where there can be none."""
    path = Path(f"/sys/fs/cgroup/{controller}/asyncworker-test-{os.getpid()}-{next(_NUMBERS)}")
    try:
        path.mkdir()
    except OSError as error:
        pytest.skip(f"no {controller} control group can be made here: {error.strerror}")
    try:
        yield path
    finally:
        eventually(lambda: not (path / "cgroup.procs").read_text())
        path.rmdir()


@contextlib.contextmanager
def frozen(group: Path, *pids: int) -> Iterator[None]:
    """Processes in an uninterruptible sleep (D): not even a SIGKILL ends them until they thaw."""
    for pid in pids:
        (group / "cgroup.procs").write_text(str(pid))
    (group / "freezer.state").write_text("FROZEN")
    try:
        eventually(lambda: (group / "freezer.state").read_text() == "FROZEN\n")
        yield
    finally:
        (group / "freezer.state").write_text("THAWED")
