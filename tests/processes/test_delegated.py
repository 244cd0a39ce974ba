"""Control groups for a service of an ordinary user's, whose group was given to it (systemd: Delegate=yes)."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from supervisor.lifecycle import Isolation, JobStatus
from tests.escapes.ground import ordinary
from tests.support.eventually import eventually
from tests.support.keeper import TestKeeper, keeper_in
from tests.support.ordinary import UID
from tests.support.processes import gone, noted

UNIFIED = [Path("/sys/fs/cgroup/unified"), Path("/sys/fs/cgroup")]

DAEMON = """
import os, signal, time

def handler(payload):
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            with open(FILE, "w") as file:
                file.write(f"{os.getpid()}\\n")
            os.execve("/bin/sleep", ["sleep", "600"], {})
        os._exit(0)
    while not os.path.exists(FILE + ".seen"):  # once it has ended, nobody can say any more who it was
        time.sleep(0.01)
    HOW
"""


@pytest.fixture
def given() -> Iterator[Path]:
    """A group that an ordinary user may divide."""
    root = next((each for each in UNIFIED if (each / "cgroup.controllers").exists()), None)
    if os.getuid() != 0 or root is None:
        pytest.skip("to give a group away takes root, and control groups of version 2")
    group = root / f"asyncworker-test-{os.getpid()}"
    group.mkdir()
    for name in (".", "cgroup.procs", "cgroup.threads", "cgroup.subtree_control"):
        os.chown(group / name, UID, UID)
    yield group
    eventually(lambda: not (group / "cgroup.procs").read_text())
    group.rmdir()


@pytest.fixture
def folder() -> Iterator[Path]:
    """Not below the folder of this run, through which nobody but root may pass."""
    made = Path(tempfile.mkdtemp(dir="/tmp"))
    made.chmod(0o755)
    os.chown(made, UID, UID)
    yield made
    shutil.rmtree(made)


@pytest.fixture
def keeper(given: Path, folder: Path) -> Iterator[TestKeeper]:
    enter = ["/bin/sh", "-c", f'echo $$ > {given}/cgroup.procs && exec "$@"', "sh"]
    with keeper_in(folder, through=[*enter, *ordinary(namespaces=True)]) as made:
        yield made


@pytest.mark.parametrize(
    "how, status", [("return 1", JobStatus.COMPLETED), ("time.sleep(600)", JobStatus.CANCELLED)]
)
def test_nothing_is_left_of_a_job(keeper: TestKeeper, folder: Path, how: str, status: JobStatus) -> None:
    file = folder / "pids"
    job = keeper.run(DAEMON.replace("FILE", repr(str(file))).replace("HOW", how))
    (daemon,) = noted(file)
    file.with_name("pids.seen").touch()
    if status is JobStatus.CANCELLED:
        job.terminate()
    outcome = job.ended().outcome
    assert gone(daemon)
    assert (outcome.status, outcome.isolation) == (status, Isolation.CGROUP)
