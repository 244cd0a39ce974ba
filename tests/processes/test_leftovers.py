"""What a job has started is gone when its end is reported, however it detached itself."""

import json
import os
import signal
from pathlib import Path

import pytest

from supervisor.lifecycle import JobStatus
from tests.support.keeper import EACH_LEVEL, TestKeeper
from tests.support.processes import gone, marked, noted, signals_in

pytestmark = EACH_LEVEL

TOOLS = """
import ctypes, os, shutil, signal, subprocess, sys, threading, time
SLEEP = shutil.which("sleep")

def note(pid):
    with open(FILE, "a") as file:
        file.write(f"{pid}\\n")

def daemon(setsid, environment, become=None):
    read, write = os.pipe()
    first = os.fork()
    if first == 0:
        if setsid:
            os.setsid()
        if os.fork() == 0:
            note(os.getpid())
            os.write(write, b"!")
            (become or (lambda: os.execve(SLEEP, ["sleep", "600"], environment)))()
        os._exit(0)
    os.read(read, 1)
    os.waitpid(first, 0)
    os.close(read)
    os.close(write)

def headless():
    threading.Thread(target=time.sleep, args=(600,), daemon=True).start()
    ctypes.CDLL(None).syscall(60, 0)

def leave():
    # A blocked signal stays so over fork and exec: no SIGTERM ends what is started here.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    START
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
"""

KINDS = {
    "plain": 'note(subprocess.Popen(["sleep", "600"]).pid)',
    "new session": 'note(subprocess.Popen(["sleep", "600"], start_new_session=True).pid)',
    "shell": 'note(subprocess.check_output("sleep 600 >&2 & echo $!", shell=True, text=True).strip())',
    "double fork": "daemon(False, os.environ)",
    "double fork, setsid": "daemon(True, os.environ)",
    "double fork, setsid, no environment": "daemon(True, {})",
    "main thread gone": "daemon(True, {}, headless)",
    "seven of them": "[daemon(True, {}) for _ in range(7)]",
}


def _source(file: Path, kind: str, handler: str) -> str:
    return TOOLS.replace("START", KINDS[kind]).replace("FILE", repr(str(file))) + handler


def _count(kind: str) -> int:
    return 7 if kind == "seven of them" else 1


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_left_of_a_job_that_has_returned(keeper: TestKeeper, tmp_path: Path, kind: str) -> None:
    source = _source(tmp_path / "pids", kind, "def handler(payload): leave(); return 1")
    job = keeper.run(source)
    frame = keeper.wait("ended", job.child)
    left = noted(tmp_path / "pids", _count(kind))
    assert gone(*left)
    assert (frame["leftovers"], frame["report"]["result"]) == (_count(kind), "1")


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_left_of_a_job_that_was_cancelled(keeper: TestKeeper, tmp_path: Path, kind: str) -> None:
    source = _source(tmp_path / "pids", kind, "def handler(payload): leave(); time.sleep(600)")
    job = keeper.run(source)
    left = noted(tmp_path / "pids", _count(kind))
    assert not gone(*left)
    job.terminate(grace=20)
    ended = job.ended()
    assert gone(*left)
    assert ended.outcome.status is JobStatus.CANCELLED
    assert ended.frame["leftovers"] == _count(kind)
    assert (ended.outcome.termination or {})["killed"] == _count(kind)


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_left_of_a_job_that_was_killed(keeper: TestKeeper, tmp_path: Path, kind: str) -> None:
    source = _source(
        tmp_path / "pids",
        kind,
        "def handler(p):\n leave()\n signal.pthread_sigmask(0, {15})\n print('there')\n time.sleep(600)",
    )
    job = keeper.run(source)
    left = noted(tmp_path / "pids", _count(kind))
    job.says("there")
    job.terminate()
    ended = job.ended()
    assert gone(*left)
    assert ended.frame["leftovers"] == 0
    assert (ended.outcome.termination or {})["killed"] == _count(kind) + 1


@pytest.mark.parametrize("kind", ["plain", "double fork, setsid, no environment"])
def test_nothing_is_left_of_a_job_that_was_killed_from_outside(
    keeper: TestKeeper, tmp_path: Path, kind: str
) -> None:
    handler = "def handler(payload): leave(); print('there'); time.sleep(600)"
    job = keeper.run(_source(tmp_path / "pids", kind, handler))
    left = noted(tmp_path / "pids")
    job.says("there")  # so that what helped it to leave is gone
    job.who.send(signal.SIGKILL)
    assert job.ended().frame["leftovers"] == 1
    assert gone(*left)


def test_a_stopped_leftover_goes_like_the_others(keeper: TestKeeper, tmp_path: Path) -> None:
    kind = "double fork, setsid"
    handler = """
def handler(payload):
    leave()
    os.kill(int(open(FILE).read()), signal.SIGSTOP)
""".replace("FILE", repr(str(tmp_path / "pids")))
    ended = keeper.run(_source(tmp_path / "pids", kind, handler)).ended()
    assert gone(*noted(tmp_path / "pids"))
    assert ended.frame["leftovers"] == 1


def test_a_namespace_of_its_own_hides_nothing(keeper: TestKeeper, tmp_path: Path) -> None:
    if os.getuid() != 0:
        pytest.skip("only root makes PID namespaces without a user namespace")
    mark = f"mark-{tmp_path.name}-{os.getpid()}"
    source = f"""
    import ctypes, os, shutil
    def handler(payload):
        if os.fork() == 0:
            os.setsid()
            ctypes.CDLL(None).unshare(0x20000000)
            if os.fork() == 0:
                os.execve(shutil.which("sleep"), ["{mark}", "600"], {{}})
            os._exit(0)
        os.wait()
    """
    assert keeper.run(source).ended().frame["leftovers"] == 1
    assert marked(mark) == []


def test_zombies_that_a_job_leaves_are_collected(keeper: TestKeeper) -> None:
    source = """
    import os
    def handler(payload):
        for _ in range(50):
            if os.fork() == 0:
                os._exit(0)
        if os.fork() == 0:
            os.setsid()
            for _ in range(50):
                if os.fork() == 0:
                    os._exit(0)
            os._exit(0)
    """
    ended = keeper.run(source).ended()
    assert ended.outcome.status is JobStatus.COMPLETED
    keeper.until(lambda: not keeper.children())


def test_the_processes_of_a_live_job_are_no_leftovers_of_one_that_ends(
    keeper: TestKeeper, tmp_path: Path
) -> None:
    living = keeper.run(
        _source(
            tmp_path / "a", "double fork, setsid, no environment", "def handler(p): leave(); time.sleep(600)"
        )
    )
    theirs = noted(tmp_path / "a")
    ending = keeper.run(
        _source(tmp_path / "b", "double fork, setsid, no environment", "def handler(p): leave(); return 1")
    )
    assert ending.ended().frame["leftovers"] == 1
    assert not gone(*theirs)
    assert gone(*noted(tmp_path / "b"))
    living.terminate()
    living.ended()
    assert gone(*theirs)


def test_leftovers_are_counted_once_when_many_jobs_end_together(
    own_keeper: TestKeeper, tmp_path: Path
) -> None:
    source = TOOLS.replace("START", "[daemon(True, {}) for _ in range(3)]").replace(
        "FILE", repr(str(tmp_path / "p"))
    )
    jobs = [own_keeper.run(source + "def handler(p): leave(); return 1") for _ in range(6)]
    counts = [job.ended().frame["leftovers"] for job in jobs]
    assert gone(*noted(tmp_path / "p", 18))
    assert sum(counts) == 18


def test_many_leftovers_do_not_keep_the_keeper_busy_for_long(keeper: TestKeeper, tmp_path: Path) -> None:
    """A walk for each of them over all processes of the host would take a minute."""
    source = TOOLS.replace("START", "[daemon(True, {}) for _ in range(300)]").replace(
        "FILE", repr(str(tmp_path / "p"))
    )
    job = keeper.run(source + "def handler(p): leave(); return 1")
    assert job.ended().frame["leftovers"] == 300
    assert gone(*noted(tmp_path / "p", 300))


def test_the_record_of_leftovers_is_in_the_outcome(keeper: TestKeeper) -> None:
    source = "import subprocess\ndef handler(p): subprocess.Popen(['sleep', '600'])"
    outcome = keeper.run(source).ended().outcome
    assert outcome.status is JobStatus.COMPLETED
    assert outcome.termination == {"reason": "leftovers", "signals": [], "seconds": 0.0, "killed": 1}


COMMANDS = {
    "exit 0": (["true"], JobStatus.COMPLETED, 0, None),
    "exit 3": (["sh", "-c", "exit 3"], JobStatus.FAILED, 3, "exited"),
    "missing": (["/nowhere/program"], JobStatus.FAILED, 1, "not_started"),
    "missing in PATH": (["no-such-program"], JobStatus.FAILED, 1, "not_started"),
    "not executable": (["/etc/passwd"], JobStatus.FAILED, 1, "not_started"),
    "a folder": (["/"], JobStatus.FAILED, 1, "not_started"),
    "SIGSEGV": (["sh", "-c", "kill -SEGV $$"], JobStatus.FAILED, None, "signalled"),
    "SIGPIPE": (["sh", "-c", "kill -PIPE $$"], JobStatus.FAILED, None, "signalled"),
    "SIGXFSZ": (["sh", "-c", "kill -XFSZ $$"], JobStatus.FAILED, None, "signalled"),
}


@pytest.mark.parametrize("case", COMMANDS.values(), ids=COMMANDS)
def test_a_command(keeper: TestKeeper, case: tuple[list[str], JobStatus, int | None, str | None]) -> None:
    command, status, code, kind = case
    outcome = keeper.run(command=command).ended().outcome
    assert (outcome.status, outcome.exit_code, outcome.failure_kind) == (status, code, kind)
    if kind == "not_started":
        assert (outcome.error_message or "").startswith(f"the program {command[0]} cannot be executed: ")


def test_a_command_gets_its_payload_on_standard_input(keeper: TestKeeper) -> None:
    text = json.dumps(["é" * 500_000], ensure_ascii=False)
    ended = keeper.run(command=["cat"], payload=text).ended()
    assert ended.log == text
    assert ended.outcome.result is None


def test_a_command_has_the_standard_descriptors_only(keeper: TestKeeper) -> None:
    # The fourth is the listing itself.
    assert keeper.run(command=["ls", "/proc/self/fd"]).ended().log.split() == ["0", "1", "2", "3"]


def test_a_command_has_the_kernels_signals_and_its_own_folder(keeper: TestKeeper) -> None:
    log = keeper.run(command=["grep", "-E", "Sig(Blk|Ign)", "/proc/self/status"]).ended().log
    assert [signals_in(line.split(":\t")[1]) for line in log.splitlines()] == [set(), set()]
    job = keeper.run(command=["pwd"])
    assert job.ended().log == job.job.directory + "\n"


def test_a_command_that_ignores_sigterm_is_killed_with_what_it_started(
    keeper: TestKeeper, tmp_path: Path
) -> None:
    script = f"""
    trap '' TERM
    env -i setsid sleep 600 & echo $! > {tmp_path}/pids
    echo there
    while :; do sleep 600; done
    """
    job = keeper.run(command=["sh", "-c", script])
    job.says("there")
    left = noted(tmp_path / "pids")
    job.terminate()
    outcome = job.ended().outcome
    assert gone(*left)
    assert (outcome.status, outcome.signal) == (JobStatus.CANCELLED, 9)


def test_a_command_is_ended_by_sigterm(keeper: TestKeeper) -> None:
    job = keeper.run(command=["sh", "-c", "echo there; exec sleep 600"])
    job.says("there")
    job.terminate("timeout", grace=60)
    outcome = job.ended().outcome
    assert (outcome.failure_kind, outcome.signal) == ("timed_out", 15)


def test_a_command_that_leaves_a_daemon_is_completed_and_the_daemon_gone(
    keeper: TestKeeper, tmp_path: Path
) -> None:
    script = f"env -i setsid sleep 600 & echo $! > {tmp_path}/pids"
    ended = keeper.run(command=["sh", "-c", script]).ended()
    assert gone(*noted(tmp_path / "pids"))
    assert (ended.outcome.status, ended.frame["leftovers"]) == (JobStatus.COMPLETED, 1)
