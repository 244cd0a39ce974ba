"""Jobs that will not end: they do, within their grace and what a kill takes."""

import json
from pathlib import Path

import pytest

from supervisor.lifecycle import FailureKind, JobStatus
from tests.support.keeper import EACH_LEVEL, GRACE, TestKeeper
from tests.support.processes import cpu_seconds, gone, marked, noted

pytestmark = EACH_LEVEL

BODIES = {
    "ignores SIGTERM": """
    signal.signal(15, signal.SIG_IGN); print('there', flush=True); time.sleep(600)""",
    "blocks every signal": """
    signal.pthread_sigmask(0, signal.valid_signals()); print('there', flush=True); time.sleep(600)""",
    "swallows everything": """
    while True:
        try:
            print('there', flush=True); time.sleep(600)
        except BaseException:
            pass""",
    "cleans up for ever": """
    try:
        print('there', flush=True); time.sleep(600)
    finally:
        time.sleep(600)""",
    "has closed everything": """
    signal.signal(15, signal.SIG_IGN); print('there', flush=True); os.closerange(0, 100); time.sleep(600)""",
    "has many threads": """
    for _ in range(30):
        threading.Thread(target=time.sleep, args=(600,)).start()
    signal.signal(15, signal.SIG_IGN); print('there', flush=True); time.sleep(600)""",
    "has no main thread": """
    threading.Thread(target=time.sleep, args=(600,)).start()
    signal.signal(15, signal.SIG_IGN); print('there', flush=True); ctypes.CDLL(None).syscall(60, 0)""",
}


def _source(body: str) -> str:
    lines = "\n".join(line.removeprefix("    ") for line in body.strip("\n").split("\n"))
    indented = "\n".join(f"    {line}" for line in lines.split("\n"))
    return f"import ctypes, os, signal, threading, time\ndef handler(payload):\n{indented}"


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_it_is_killed_when_its_grace_is_over(keeper: TestKeeper, body: str) -> None:
    job = keeper.run(_source(body))
    job.says("there")
    job.terminate("timeout")
    outcome = job.ended().outcome
    assert gone(job.who)
    assert (outcome.failure_kind, outcome.signal) == (FailureKind.TIMED_OUT, 9)
    record = outcome.termination or {}
    term, kill = record["signals"]
    assert (record["reason"], term["signal"], kill["signal"]) == ("timeout", "SIGTERM", "SIGKILL")
    assert term["afterSeconds"] == 0
    assert GRACE <= kill["afterSeconds"] <= record["seconds"] < GRACE + 10
    assert record["killed"] == 1


def test_a_loop_in_c_is_killed_as_well(keeper: TestKeeper) -> None:
    job = keeper.run("def handler(payload): sum(range(10**11))")
    keeper.until(lambda: cpu_seconds(job.who.pid) > 0.3)
    job.terminate()
    outcome = job.ended().outcome
    assert (outcome.status, outcome.signal) == (JobStatus.CANCELLED, 9)


def test_one_that_stops_itself_is_continued_and_can_clean_up(keeper: TestKeeper) -> None:
    body = """
    try:
        print('there', flush=True); os.kill(os.getpid(), signal.SIGSTOP); time.sleep(600)
    finally:
        print('cleaned up')"""
    job = keeper.run(_source(body))
    job.says("there")
    job.terminate(grace=60)
    ended = job.ended()
    assert "cleaned up" in ended.log
    assert ended.outcome.status is JobStatus.CANCELLED


def test_a_second_request_shortens_the_grace_and_never_lengthens_it(keeper: TestKeeper) -> None:
    job = keeper.run(_source(BODIES["ignores SIGTERM"]))
    job.says("there")
    job.terminate(grace=600)
    job.terminate("shutdown", grace=0.2)
    job.terminate(grace=600)
    record = job.ended().outcome.termination or {}
    assert (record["reason"], record["signals"][-1]["signal"]) == ("cancel", "SIGKILL")


def test_without_a_grace_there_is_no_sigterm(keeper: TestKeeper) -> None:
    job = keeper.run(_source(BODIES["ignores SIGTERM"]))
    job.says("there")
    job.terminate(grace=0)
    record = job.ended().outcome.termination or {}
    assert [entry["signal"] for entry in record["signals"]] == ["SIGKILL"]


def test_a_stubborn_one_delays_nobody(keeper: TestKeeper) -> None:
    stubborn = keeper.run(_source(BODIES["ignores SIGTERM"]))
    stubborn.says("there")
    stubborn.terminate(grace=600)
    for _ in range(3):
        assert keeper.run("def handler(payload): return 1").ended().value == 1
    stubborn.terminate(grace=0)
    stubborn.ended()


BOMB = """
import os, signal, sys, time
def handler(arguments):
    mark, most = arguments
    signal.signal(15, signal.SIG_IGN)
    print("there", flush=True)
    {bomb}
    time.sleep(600)
"""


@pytest.mark.parametrize(
    "bomb",
    [
        # Every process makes another as long as there are not too many: 2**7.
        "\n    for _ in range(7): os.fork()",
        # Each sleeps a little, so that they still multiply while they are being stopped.
        "\n    for _ in range(8): os.fork(); time.sleep(0.05)",
    ],
    ids=["all at once", "while it is stopped"],
)
def test_a_fork_bomb_goes_whole(keeper: TestKeeper, tmp_path: Path, bomb: str) -> None:
    job = keeper.run(BOMB.format(bomb=bomb), payload=json.dumps(["", 0]))
    job.says("there")
    job.terminate()
    ended = job.ended()
    assert ended.outcome.status is JobStatus.CANCELLED
    assert (ended.outcome.termination or {})["killed"] > 1
    keeper.until(lambda: not keeper.children())


CHAIN = """
import os, signal, sys, time
def handler(arguments):
    file, seconds = arguments
    until = time.monotonic() + seconds
    signal.signal(15, signal.SIG_IGN)
    for _ in range(3):
        if os.fork() == 0:
            os.setsid()
            # Each makes its successor and exits: whoever looks finds another pid. Bounded in time.
            while time.monotonic() < until:
                if os.fork():
                    os._exit(0)
                time.sleep(0.001)
            open(file, "a").write("over\\n")
            os._exit(0)
    print("there", flush=True)
    {then}
"""


@pytest.mark.parametrize("then", ["time.sleep(600)", "return 1"], ids=["main lives", "main is over"])
def test_a_chain_of_forks_is_caught(keeper: TestKeeper, tmp_path: Path, then: str) -> None:
    over = tmp_path / "over"
    job = keeper.run(CHAIN.format(then=then), payload=json.dumps([str(over), 30]))
    job.says("there")
    job.terminate()
    job.ended()
    assert not over.exists()
    assert keeper.children() == []


def test_a_job_that_unsubreapers_itself_leaves_nothing_either(keeper: TestKeeper, tmp_path: Path) -> None:
    source = """
    import ctypes, os, shutil, time
    def handler(mark):
        ctypes.CDLL(None).prctl(36, 0, 0, 0, 0)
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                os.execve(shutil.which("sleep"), [mark, "600"], {})
            os._exit(0)
        os.wait()
        time.sleep(600)
    """
    mark = f"mark-{tmp_path.name}-escapee"
    job = keeper.run(source, payload=json.dumps(mark))
    (escaped,) = keeper.until(lambda: marked(mark))
    job.terminate()
    job.ended()
    assert gone(escaped)


def test_sigterm_reaches_the_whole_tree(keeper: TestKeeper, tmp_path: Path) -> None:
    """A shell's `trap` in a grandchild has the grace to do its work."""
    script = f"trap 'echo cleaned up; exit' TERM; echo $$ > {tmp_path}/pids; while :; do sleep 0.02; done"
    source = f"""
    import subprocess
    def handler(payload):
        shell = subprocess.Popen(["sh", "-c", {script!r}], start_new_session=True)
        try:
            print("there", flush=True)
            shell.wait()
        finally:
            shell.wait()
    """
    job = keeper.run(source)
    shell = noted(tmp_path / "pids")
    job.says("there")  # a traceback of an interrupted Popen would show the script
    job.terminate(grace=60)
    ended = job.ended()
    assert gone(*shell)
    assert ended.log.count("cleaned up") == 1
