"""What an attempt has used: of all its processes, however they ended and whoever reaped them."""

import json
import os
import signal
from pathlib import Path

import pytest

from supervisor.lifecycle import JobStatus
from supervisor.outcome import Usage
from tests.support.eventually import eventually
from tests.support.keeper import Ended, TestKeeper
from tests.support.processes import noted
from workers.identity import state_of

BURNT = 0.4
"""Seconds of processor time that each burns before it writes down its pid."""

TOOLS = f"""
import os, time
def burn(file):
    while time.process_time() < {BURNT}:
        pass
    memory = b"x" * (48 << 20)
    with open(file, "a") as pids:
        pids.write(f"{{os.getpid()}}\\n")
def daemon(file):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            burn(file)
            time.sleep(600)
        os._exit(0)
    os.wait()
def there(file):
    while not os.path.exists(file):
        time.sleep(0.01)
"""


def usage_of(ended: Ended) -> Usage:
    usage = ended.outcome.usage
    assert usage is not None
    return usage


def test_what_a_killed_leftover_has_used_counts(keeper: TestKeeper, tmp_path: Path) -> None:
    source = f"{TOOLS}\ndef handler(file): daemon(file); there(file)"
    ended = keeper.run(source, payload=json.dumps(str(tmp_path / "pids"))).ended()
    assert (ended.frame["leftovers"], ended.outcome.status) == (1, JobStatus.COMPLETED)
    usage = usage_of(ended)
    assert BURNT <= usage.user_seconds + usage.system_seconds < 20
    assert 48 << 20 < usage.max_rss_bytes < 96 << 20


@pytest.mark.parametrize("grace", [0.3, 0], ids=["with a grace", "without"])
def test_when_the_attempt_was_killed_too(keeper: TestKeeper, tmp_path: Path, grace: float) -> None:
    body = "signal.pthread_sigmask(0, signal.valid_signals()); daemon(file); time.sleep(600)"
    source = f"{TOOLS}\nimport signal\ndef handler(file): {body}"
    job = keeper.run(source, payload=json.dumps(str(tmp_path / "pids")))
    noted(tmp_path / "pids")
    job.terminate(grace=grace)
    usage = usage_of(job.ended())
    assert usage.user_seconds + usage.system_seconds >= BURNT
    assert usage.max_rss_bytes > 48 << 20


def test_what_died_before_and_nobody_waited_for_counts(keeper: TestKeeper, tmp_path: Path) -> None:
    source = f"""{TOOLS}
def handler(file):
    if os.fork() == 0:
        burn(file)
        os._exit(0)
    there(file)
"""
    ended = keeper.run(source, payload=json.dumps(str(tmp_path / "pids"))).ended()
    usage = usage_of(ended)
    assert usage.user_seconds + usage.system_seconds >= BURNT


def test_each_pays_for_its_own_when_two_end_together(keeper: TestKeeper, tmp_path: Path) -> None:
    source = f"""{TOOLS}
def handler(arguments):
    file, go, busy = arguments
    if os.fork() == 0:
        if busy: burn(file)
        else: open(file, "w").write("0\\n")
        os._exit(0)
    there(file); there(go)
"""
    go = str(tmp_path / "go")
    jobs = [
        keeper.run(source, payload=json.dumps([str(tmp_path / str(number)), go, number == 0]))
        for number in range(4)
    ]
    for number in range(4):
        keeper.until((tmp_path / str(number)).exists)
    os.kill(keeper.pid, signal.SIGSTOP)  # so that it sees all ends in one turn
    try:
        Path(go).touch()
        eventually(lambda: all(state_of(job.who.pid) == "Z" for job in jobs))
    finally:
        os.kill(keeper.pid, signal.SIGCONT)
    used = [usage_of(job.ended()) for job in jobs]
    total = [usage.user_seconds + usage.system_seconds for usage in used]
    assert total[0] >= BURNT
    assert max(usage.max_rss_bytes for usage in used[1:]) < 48 << 20
