"""What hangs is killed at its time, and its log tells where it hung.

The law: within timeout, grace and one second. The deadlines here leave a busy machine more.
"""

import json
import os
import time
from pathlib import Path

import pytest

from supervisor.lifecycle import FailureKind, JobStatus
from tests.support.keeper import GRACE, Ended, TestKeeper
from tests.support.processes import gone

LAW = 1.0
NOISE = 9.0

HANGS = {
    "ignores SIGTERM": """
    signal.signal(15, signal.SIG_IGN); print("there"); time.sleep(600)""",
    "swallows JobCancelled": """
    while True:
        try:
            print("there"); time.sleep(600)
        except BaseException:
            pass""",
    "a regular expression": """
    signal.signal(15, signal.SIG_IGN); print("there"); re.match("(a+)+$", "a" * 60 + "b")""",
    "a sum": """
    print("there"); sum(range(10**12))""",
    "stops itself again and again": """
    signal.signal(15, signal.SIG_IGN); print("there")
    while True:
        os.kill(os.getpid(), signal.SIGSTOP)""",
    "in a thread": """
    signal.signal(15, signal.SIG_IGN)
    def elsewhere():
        print("there"); time.sleep(600)
    threading.Thread(target=elsewhere).start()
    time.sleep(600)""",
    "a cleanup that never ends": """
    try:
        print("there"); time.sleep(600)
    finally:
        time.sleep(600)""",
}

LINE = "asyncworker: still running "


def source(body: str) -> str:
    lines = "".join(f"    {line.removeprefix('    ')}\n" for line in body.strip("\n").split("\n"))
    return f"import os, re, signal, threading, time\ndef stuck():\n{lines}def handler(payload):\n stuck()\n"


def check_law(ended: Ended) -> None:
    record = ended.outcome.termination or {}
    kill = record["signals"][-1]
    assert kill["signal"] == "SIGKILL"
    assert GRACE <= kill["afterSeconds"] <= record["seconds"] < GRACE + LAW + NOISE
    assert record["killed"] == 1


@pytest.mark.parametrize("reason", ["timeout", "cancel"])
@pytest.mark.parametrize("body", HANGS.values(), ids=HANGS)
def test_what_hangs_is_killed_and_its_log_says_where_once(keeper: TestKeeper, body: str, reason: str) -> None:
    job = keeper.run(source(body), timeout=600)
    job.says("there")
    job.terminate(reason)
    ended = job.ended()
    assert gone(job.who)
    check_law(ended)
    assert ended.log.count("in stuck\n") == 1
    assert ended.log.index(f"there\n{LINE}") < ended.log.index(" in stuck\n")
    assert f"s after SIGTERM ({reason}); where its threads are:\n" in ended.log
    outcome = ended.outcome
    assert (outcome.status, outcome.failure_kind, outcome.signal) == (
        (JobStatus.CANCELLED, None, 9) if reason == "cancel" else (JobStatus.FAILED, FailureKind.TIMED_OUT, 9)
    )


def test_every_thread_is_shown(keeper: TestKeeper) -> None:
    job = keeper.run(source(HANGS["in a thread"]))
    job.says("there")
    job.terminate()
    log = job.ended().log
    assert log.count("in elsewhere\n") == log.count("in stuck\n") == 1


BLOCKS = 'signal.pthread_sigmask(0, signal.valid_signals()); print("there"); time.sleep(600)'


def test_one_that_has_blocked_every_signal_writes_unasked_if_it_has_a_timeout(keeper: TestKeeper) -> None:
    began = time.monotonic()
    job = keeper.run(source(BLOCKS), timeout=1.0)
    job.says("there")
    keeper.until(lambda: time.monotonic() > began + 1.1)
    job.terminate("timeout")
    ended = job.ended()
    check_law(ended)
    assert ended.log.count("in stuck\n") == 1
    assert "Timeout (" in ended.log
    assert ended.outcome.failure_kind is FailureKind.TIMED_OUT


@pytest.mark.parametrize("timeout", [None, 600])
def test_where_that_will_not_happen_nobody_waits_for_it(keeper: TestKeeper, timeout: float | None) -> None:
    job = keeper.run(source(BLOCKS), timeout=timeout)
    job.says("there")
    job.terminate()
    ended = job.ended()
    check_law(ended)
    assert "in stuck" not in ended.log


def test_one_that_has_written_unasked_is_not_asked_as_well(keeper: TestKeeper) -> None:
    """The supervisor may come late: it was stopped, or its database kept it waiting."""
    job = keeper.run(source(HANGS["ignores SIGTERM"]), timeout=0.05)
    job.says("(most recent call first)")
    written = time.monotonic()
    keeper.until(lambda: time.monotonic() > written + 0.1)
    job.terminate("timeout")
    ended = job.ended()
    check_law(ended)
    assert (ended.log.count("in stuck\n"), ended.log.count("asyncworker:")) == (1, 0)


LINGERS = """
import atexit, threading, time
def stuck():
    time.sleep(600)
def handler(how):
    print("there")
    threading.Thread(target=stuck).start() if how == "thread" else atexit.register(stuck)
    return 1
"""


@pytest.mark.parametrize("how", ["thread", "atexit"])
def test_what_keeps_a_process_from_ending_after_its_work_is_shown(keeper: TestKeeper, how: str) -> None:
    ended = keeper.run(LINGERS, payload=json.dumps(how)).ended()
    check_law(ended)
    assert "asyncworker: its process was still there " in ended.log
    assert "after its last word; where its threads are:\n" in ended.log
    assert ended.log.count("in stuck\n") == 1
    assert (ended.outcome.status, ended.outcome.result) == (JobStatus.COMPLETED, "1")


def test_a_type_without_a_grace_is_asked_as_well(keeper: TestKeeper) -> None:
    job = keeper.run(source(HANGS["ignores SIGTERM"]), grace=0)
    job.says("there")
    job.terminate("timeout", grace=0)
    ended = job.ended()
    assert "there\nasyncworker: to be killed without a grace (timeout); where its threads are:\n" in ended.log
    assert ended.log.count("in stuck\n") == 1


def test_in_a_hurry_nobody_is_asked(keeper: TestKeeper) -> None:
    hurried, stopped = (keeper.run(source(HANGS["ignores SIGTERM"])) for _ in range(2))
    for job in (hurried, stopped):
        job.says("there")
    hurried.terminate(grace=600)
    hurried.terminate(grace=0)
    stopped.terminate("shutdown", grace=0)
    for job in (hurried, stopped):
        assert job.ended().log == "there\n"


def test_when_the_supervisor_is_gone_nobody_is_asked(own_keeper: TestKeeper) -> None:
    job = own_keeper.run(source(HANGS["ignores SIGTERM"]))
    job.says("there")
    own_keeper.hang_up()
    assert job.log == "there\n"


def test_a_program_is_not_asked(keeper: TestKeeper) -> None:
    script = "trap 'echo quit' QUIT; trap '' TERM; echo there; while :; do sleep 0.01; done"
    job = keeper.run(command=["sh", "-c", script])
    job.says("there")
    job.terminate()
    assert job.ended().log == "there\n"


def test_a_handler_that_uses_the_signal_itself_keeps_it(keeper: TestKeeper) -> None:
    body = """
    signal.signal(15, signal.SIG_IGN); signal.signal(signal.SIGQUIT, signal.SIG_DFL)
    print("there"); time.sleep(600)"""
    job = keeper.run(source(body))
    job.says("there")
    job.terminate()
    ended = job.ended()
    assert (ended.log, ended.outcome.signal) == ("there\n", 9)


@pytest.mark.parametrize("what", ["os.mkfifo(log)", "os.symlink(other, log)", "os.mkdir(log)", "None"])
def test_a_log_that_is_no_file_any_more_keeps_nobody_waiting(
    keeper: TestKeeper, tmp_path: Path, what: str
) -> None:
    text = f"""
    import os, signal, time
    def handler(payload):
        other, = payload
        log = os.readlink("/proc/self/fd/1")
        signal.signal(15, signal.SIG_IGN)
        os.remove(log)
        {what}
        open(other, "w").close()
        time.sleep(600)
    """
    other = tmp_path / "other"
    job = keeper.run(text, payload=json.dumps([str(other)]))
    keeper.until(other.exists)
    job.terminate()
    check_law(job.ended())
    assert other.read_text() == ""
    if what == "None":
        assert not os.path.lexists(job.job.log)


def test_of_a_coroutine_it_is_told_where_each_of_its_tasks_waits(keeper: TestKeeper) -> None:
    job = keeper.run("""
    import asyncio
    async def elsewhere():
        await asyncio.sleep(600)
    async def stuck():
        while True:
            try:
                print("there", flush=True)
                await asyncio.sleep(600)
            except asyncio.CancelledError:
                pass
    async def handler(payload):
        other = asyncio.create_task(elsewhere(), name="the other")
        await stuck()
    """)
    job.says("there")
    job.terminate("timeout")
    log = job.ended().log
    threads, *tasks = log.split("\nTask ")
    assert LINE in threads
    told = {task.partition(" (most recent call first):")[0]: task for task in tasks}
    assert "in elsewhere" in told["the other"]
    (main,) = (task for name, task in told.items() if name != "the other")
    assert main.index("in sleep") < main.index("in stuck") < main.index("in handler")


def test_after_a_coroutine_its_process_is_asked_as_ever(keeper: TestKeeper) -> None:
    ended = keeper.run("""
    import threading, time
    def lingering():
        time.sleep(600)
    async def handler(payload):
        threading.Thread(target=lingering).start()
        return 1
    """).ended()
    assert ended.value == 1
    assert "in lingering\n" in ended.log
