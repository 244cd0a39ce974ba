"""A process that even SIGKILL does not end: it is waited for, reported once, and delays nobody."""

import json
from pathlib import Path

from supervisor.lifecycle import JobStatus
from tests.support.cgroups import frozen, group_of
from tests.support.keeper import TestKeeper
from tests.support.processes import gone, noted

SLEEPS = "import time\nprint('there', flush=True)\ntime.sleep(600)"


def test_a_job_in_an_uninterruptible_sleep_keeps_its_place_until_it_ends(own_keeper: TestKeeper) -> None:
    job = own_keeper.run(SLEEPS)
    job.says("there")
    with group_of("freezer") as group:
        with frozen(group, job.who.pid):
            job.terminate(grace=0.1)
            frame = own_keeper.wait("unkillable", job.child)
            assert frame["pids"] == [job.who.pid]
            for _ in range(3):
                assert own_keeper.run("def handler(payload): return 1").ended().value == 1
            assert not gone(job.who)
            assert not [frame for frame in own_keeper.frames if frame["op"] in ("ended", "unkillable")]
        ended = job.ended()
    assert gone(job.who)
    assert ended.outcome.status is JobStatus.CANCELLED
    record = ended.outcome.termination or {}
    assert [entry["signal"] for entry in record["signals"]][-1] == "SIGKILL"
    assert record["seconds"] >= 5


def test_a_leftover_in_an_uninterruptible_sleep_holds_back_the_end_of_its_job_only(
    own_keeper: TestKeeper, tmp_path: Path
) -> None:
    source = """
    import os, time
    def handler(file):
        if os.fork() == 0:
            os.setsid()
            open(file, "w").write(f"{os.getpid()}\\n")
            time.sleep(600)
        open(0).read()
        while not os.path.exists(file + ".go"):
            time.sleep(0.01)
        return 1
    """
    file = tmp_path / "pids"
    job = own_keeper.run(source, payload=json.dumps(str(file)))
    (left,) = noted(file)
    with group_of("freezer") as group:
        with frozen(group, left.pid):
            Path(f"{file}.go").touch()
            assert own_keeper.wait("unkillable", job.child)["pids"] == [left.pid]
            other = own_keeper.run(
                "import subprocess\ndef handler(p): subprocess.Popen(['sleep', '600']); return 1"
            )
            assert other.ended().frame["leftovers"] == 1
            assert not gone(left)
        assert job.ended().frame["leftovers"] == 1
    assert gone(left)
