"""A spare that is left alone rehearses; its job must not notice."""

import os
import platform
import sys
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest

from tests.support.eventually import eventually
from tests.support.keeper import RunningJob, TestKeeper
from workers.rehearsal import rehearse

READ = 0 if platform.machine() == "x86_64" else 63
"""The number of read(2) (syscalls(2))."""

LOOK = """
import os, sys
def handler(payload, job):
    fds = sorted(os.readlink("/proc/self/fd/" + fd)[:5] for fd in ("0", "1", "2"))
    return [dict(os.environ), job.payload, sys.stdout.name, sys.stdin.read(), fds, os.listdir()]
"""


def _around() -> list[Any]:
    descriptors = {fd: os.fstat(int(fd))[:3] for fd in os.listdir("/proc/self/fd") if _is_open(fd)}
    streams = [sys.stdin, sys.stdout, sys.stderr]
    return [dict(os.environ), Path.cwd(), descriptors, streams]


def _is_open(fd: str) -> bool:
    return os.path.lexists(f"/proc/self/fd/{fd}")


def _rehearse(pipe: Connection) -> None:
    before = _around()
    rehearse()
    pipe.send(_around() == before)


def test_a_rehearsal_leaves_everything_around_as_it_was() -> None:
    context = get_context("fork")
    here, there = context.Pipe()
    process = context.Process(target=_rehearse, args=(there,))
    process.start()
    assert here.poll(20.0)
    assert here.recv() is True
    process.join()


def test_a_job_finds_the_same_in_a_spare_that_has_rehearsed(shared_keeper: TestKeeper) -> None:
    at_once = shared_keeper.run(LOOK, payload='{"a": 1}', environment={"ONLY": "this"}).ended().value
    spare = shared_keeper.start()
    eventually(lambda: _waits_for_good(shared_keeper.who[spare].pid), 20.0)
    job = shared_keeper.job(LOOK, payload='{"a": 1}', environment={"ONLY": "this"})
    shared_keeper.order("assign", child=spare, job=job.to_frame(), grace=1.0, directory=job.directory)
    assert RunningJob(shared_keeper, spare, job).ended().value == at_once


def _waits_for_good(pid: int) -> bool:
    """It reads from its gate: before it has rehearsed it polls."""
    try:
        return Path(f"/proc/{pid}/syscall").read_text().startswith(f"{READ} ")
    except PermissionError:
        pytest.skip("this user may not see in which system call a child is")
