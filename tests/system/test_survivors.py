"""Nothing of a job outlives its supervisor: looked for from outside, by who each process was.

ASYNCWORKER_TEST_SURVIVORS_KILLS says how often.
"""

import os
import random
import sys
import time

from tests.support.eventually import eventually
from tests.support.processes import gone
from tests.system.conftest import MakeService
from workers.identity import Identity
from workers.trees import tree_of

KILLS = int(os.environ.get("ASYNCWORKER_TEST_SURVIVORS_KILLS", "5"))
LOAD = ("Daemon", "Daemon", "Stubborn", "Stubborn", "Litter", "Cookie")


def everything(pid: int) -> set[Identity]:
    """The service's process and all that it has started, whatever became of its parents."""
    root = Identity.of(pid)
    return set(tree_of(root)) if root else set()


def test_no_process_of_a_job_outlives_its_supervisor(make_service: MakeService) -> None:
    dice = random.Random(KILLS)
    service = make_service()
    longest = 0.0
    for _ in range(KILLS):
        serving = service.serve()
        submitted = [service.client.submit(name, 600.0).id for name in LOAD]
        eventually(lambda: any(service.job(job).pid for job in submitted))  # noqa: B023  (asked at once)
        time.sleep(dice.uniform(0, 0.3))  # not for a fact: the kill is to come at any moment
        seen = everything(serving.process.pid)
        serving.kill()
        killed = time.monotonic()
        eventually(lambda: gone(*seen), within=20.0)  # noqa: B023
        longest = max(longest, time.monotonic() - killed)
        for job in submitted:
            service.client.cancel(job)
    sys.stdout.write(f"{KILLS} kills; the last process was gone after {longest:.3f} s at most\n")
