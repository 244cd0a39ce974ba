"""What every job is started with, and what the service does for its own safety."""

import subprocess
import sys
import uuid
from pathlib import Path

import pytest

from tests.escapes.ground import ordinary
from tests.support.keeper import TestKeeper
from tests.tree import ROOT
from workers.confinement import Confinement
from workers.guard import JOBS_GO_FIRST
from workers.trees import COOKIE

CAP_SYS_RESOURCE = 24

LOOK = """
import os
def handler(payload, job):
    status = dict(line.split(":\\t", 1) for line in open("/proc/self/status") if ":\\t" in line)
    adjusted = int(open("/proc/self/oom_score_adj").read())
    open("made", "w").close()
    modes = [os.stat(path).st_mode & 0o777 for path in ("made", ".")]
    return [status["NoNewPrivs"].strip(), adjusted, *modes]
"""


def test_a_job_gains_no_privileges_goes_first_and_makes_files_for_its_user_alone(keeper: TestKeeper) -> None:
    assert keeper.run(LOOK).ended().value == ["1", JOBS_GO_FIRST, 0o600, 0o700]


def test_a_job_type_may_let_its_jobs_gain_privileges(keeper: TestKeeper) -> None:
    job = keeper.run(LOOK, confinement=Confinement(no_new_privileges=False))
    assert job.ended().value[0] == "0"


def test_a_command_gains_no_privileges_either(keeper: TestKeeper) -> None:
    job = keeper.run(command=["grep", "NoNewPrivs", "/proc/self/status"])
    assert job.ended().log == "NoNewPrivs:\t1\n"


def test_the_kernel_takes_memory_from_the_keeper_last(keeper: TestKeeper) -> None:
    status = Path("/proc/self/status").read_text()
    (effective,) = [line.split()[1] for line in status.splitlines() if line.startswith("CapEff:")]
    if not int(effective, 16) >> CAP_SYS_RESOURCE & 1:
        pytest.skip("nobody may lower it without CAP_SYS_RESOURCE")
    keeper.start()
    assert int(Path(f"/proc/{keeper.pid}/oom_score_adj").read_text()) == -500


GET_DUMPABLE = """
import ctypes
def handler(payload): return ctypes.CDLL(None).prctl(3, 0, 0, 0, 0)
"""


def test_a_child_can_be_looked_into_by_its_own_user_and_the_service_cannot(keeper: TestKeeper) -> None:
    assert keeper.run(GET_DUMPABLE).ended().value == 1
    code = "import ctypes, workers.guard as g; g.guard_the_service()"
    code += "; print(ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))"
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "0\n"


GUARDED = """
import sys
sys.path.insert(0, sys.argv[1])
from workers import guard
guard.guard_the_service()
print("guarded", flush=True)
sys.stdin.read()
"""
LOOKING = """
import sys
sys.path.insert(0, sys.argv[1])
from workers.trees import left_by
print([who.pid for who in left_by(sys.argv[2], [])])
"""


def test_a_guarded_keeper_is_found_by_its_own_user_all_the_same() -> None:
    """Its environment is root's to read, so its mark stands among its arguments."""
    through = ordinary(namespaces=True)
    owner = str(uuid.uuid4())
    mark = f"{COOKIE}={owner}:1"
    keeper = subprocess.Popen(
        [*through, sys.executable, "-c", GUARDED, str(ROOT), mark],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={COOKIE: f"{owner}:1"},
    )
    try:
        assert keeper.stdout is not None
        assert keeper.stdout.readline() == b"guarded\n"
        found = subprocess.check_output(
            [*through, sys.executable, "-c", LOOKING, str(ROOT), owner], text=True
        )
        assert found == f"[{keeper.pid}]\n"
    finally:
        keeper.communicate()
