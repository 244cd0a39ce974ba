"""A job in a sandbox is a job like any other: how it ends, is ended, and what is left of it."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from supervisor.lifecycle import FailureKind, JobStatus
from tests.escapes.ground import Ground, ground_of
from tests.support.eventually import eventually
from tests.support.keeper import RunningJob
from tests.support.processes import gone
from workers import namespaces
from workers.confinement import CannotConfine, Confinement
from workers.identity import Identity
from workers.limits import Limits
from workers.trees import left_by, tree_of

WHOSE = ("root's", "an ordinary user's")


@pytest.fixture(scope="module", params=WHOSE)
def ground(request: pytest.FixtureRequest) -> Iterator[Ground]:
    if request.param == "root's" and os.getuid() != 0:
        pytest.skip("a service of root's takes root")
    with ground_of(root=request.param == "root's") as ground:
        ground.skip_without_namespaces()
        yield ground


@pytest.fixture
def own_ground() -> Iterator[Ground]:
    """Of an ordinary user, for a test that kills its keeper."""
    with ground_of(root=False) as ground:
        ground.skip_without_namespaces()
        yield ground


def run(ground: Ground, source: str = "", *, grace: float = 0.3, **other: Any) -> RunningJob:
    number = os.urandom(4).hex()
    state = ground.facts["state"]
    places = {"log": f"{state}/logs/{number}.log", "directory": f"{state}/work/{number}"}
    what = Confinement(network=False, private_tmp=True, hidden=ground.hidden)
    return ground.keeper.run(source, grace=grace, **places | {"confinement": what} | other)


ENDS: list[tuple[str, Any]] = [
    ("return 42", (JobStatus.COMPLETED, None, None, None)),
    ("raise ValueError('no')", (JobStatus.FAILED, FailureKind.RAISED, None, None)),
    ("import sys; sys.exit(3)", (JobStatus.FAILED, FailureKind.EXITED, 3, None)),
    ("import os; os._exit(7)", (JobStatus.FAILED, FailureKind.EXITED, 7, None)),
    ("import os; os._exit(0)", (JobStatus.FAILED, FailureKind.EXITED, 0, None)),
    ("import os; os.kill(os.getpid(), 11)", (JobStatus.FAILED, FailureKind.SIGNALLED, None, 11)),
    ("import os; os.kill(os.getpid(), 9)", (JobStatus.FAILED, FailureKind.SIGNALLED, None, 9)),
    ("import os; os.fork(); return 42", (JobStatus.COMPLETED, None, None, None)),
]


@pytest.mark.parametrize("code,expected", ENDS)
def test_it_ends_on_record_as_it_ended_in_there(ground: Ground, code: str, expected: Any) -> None:
    outcome = run(ground, f"def handler(payload): {code}").ended().outcome
    found = (outcome.status, outcome.failure_kind, outcome.exit_code, outcome.signal)
    assert (found[0], found[1], found[3]) == (expected[0], expected[1], expected[3])
    assert expected[2] is None or found[2] == expected[2]


def test_its_log_keeps_to_its_limit(ground: Ground) -> None:
    job = run(ground, command=["sh", "-c", "yes | head -c 50000000"], output_limit=100_000)
    assert job.ended().outcome.status is JobStatus.COMPLETED
    log = os.stat(job.job.log)
    assert log.st_size == 50_000_000
    assert log.st_blocks * 512 <= 100_000 + 3 * 4096


def test_progress_result_output_and_use_come_through(ground: Ground) -> None:
    source = """
    import time
    def handler(payload, job):
        job.progress(0.5, "half")
        print("printed")
        end = time.process_time() + 0.2
        while time.process_time() < end: pass
        return payload
    """
    ended = run(ground, source, payload='{"a": [1]}').ended()
    assert (ended.value, ended.log) == ({"a": [1]}, "printed\n")
    assert [frame["message"] for frame in ended.progress] == ["half"]
    assert ended.frame["user_seconds"] + ended.frame["system_seconds"] >= 0.2


def test_a_cancel_arrives_once_and_cleanup_runs(ground: Ground) -> None:
    source = """
    import asyncworker, signal, time
    def handler(payload):
        print("here")
        try:
            time.sleep(60)
        except asyncworker.JobCancelled:
            time.sleep(0.5)
            print("tidy")
            raise
    """
    job = run(ground, source, grace=20)
    job.says("here")
    job.terminate(grace=20)
    ended = job.ended()
    assert ended.log.startswith("here\ntidy\nTraceback ")
    assert ended.outcome.status is JobStatus.CANCELLED


def test_a_cancel_that_falls_into_a_deaf_moment_is_said_again_to_the_job(ground: Ground) -> None:
    """Tried again where the machine was so busy that the job got both signals as one: they do not queue."""
    source = """
    import signal, time
    def handler(payload):
        deaf = signal.signal(signal.SIGTERM, lambda *_: (print("deaf"), signal.signal(signal.SIGTERM, deaf)))
        print("here")
        while True: time.sleep(0.05)
    """
    logs = []
    for _ in range(5):
        job = run(ground, source, grace=3)
        job.says("here")
        job.terminate(grace=3)
        ended = job.ended()
        assert ended.outcome.status is JobStatus.CANCELLED
        logs.append(ended.log)
        if ended.log.startswith("here\ndeaf\nTraceback "):
            return
    pytest.fail(f"never heard twice: {logs}")


def test_a_command_hears_of_its_cancel_once(ground: Ground) -> None:
    script = 'trap "echo heard; sleep 0.1; exit 0" TERM; echo here; while :; do sleep 0.05; done'
    job = run(ground, command=["/bin/sh", "-c", script], grace=20)
    job.says("here\n")
    job.terminate(grace=20)
    assert job.ended().log.count("heard") == 1


def test_one_that_hangs_shows_where_before_it_is_killed(ground: Ground) -> None:
    source = """
    def handler(payload):
        print("here")
        while True:
            try:
                spin()
            except BaseException: pass
    def spin():
        while True: pass
    """
    job = run(ground, source)
    job.says("here")
    job.terminate()
    ended = job.ended()
    assert "in spin" in ended.log
    assert ended.outcome.status is JobStatus.CANCELLED


STUBBORN = """
    import os, signal, subprocess, time
    def handler(payload):
        for number in range(1, 65):
            try: signal.signal(number, signal.SIG_IGN)
            except (OSError, ValueError): pass
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        for _ in range(3):
            if os.fork() == 0:
                os.setsid()
                if os.fork() == 0: time.sleep(60)
                os.execve("/bin/sleep", ["sleep", "60"], {})
        print("here", flush=True)
        time.sleep(payload)
"""


def whole(job: RunningJob) -> list[Identity]:
    return list(tree_of(job.who))


def test_nothing_is_left_of_one_that_ignores_and_blocks_every_signal_and_detaches(ground: Ground) -> None:
    job = run(ground, STUBBORN, payload="60")
    job.says("here")
    tree = whole(job)
    job.terminate()
    ended = job.ended()
    assert gone(*tree)
    assert ended.outcome.status is JobStatus.CANCELLED


def test_nothing_is_left_of_one_that_returns_and_leaves_daemons(ground: Ground) -> None:
    job = run(ground, STUBBORN, payload="0.3")
    job.says("here")
    tree = whole(job)
    ended = job.ended()
    assert (ended.outcome.status, ended.frame["leftovers"]) == (JobStatus.COMPLETED, 6)
    assert gone(*tree)
    ground.keeper.until(lambda: not job.directory.exists())


@pytest.mark.parametrize("which", [0, 1], ids=["stand-in", "init"])
def test_when_its_stand_in_or_its_init_dies_all_of_it_does(ground: Ground, which: int) -> None:
    job = run(ground, STUBBORN, payload="60")
    job.says("here")
    tree = whole(job)
    tree[which].send(signal.SIGKILL)
    outcome = job.ended().outcome
    assert gone(*tree)
    assert (outcome.failure_kind, outcome.signal) == (FailureKind.SIGNALLED, 9)


def test_when_its_keeper_dies_all_of_it_does(own_ground: Ground) -> None:
    jobs = [run(own_ground, STUBBORN, payload="60") for _ in range(3)]
    for job in jobs:
        job.says("here")
    tree = [process for job in jobs for process in whole(job)]
    keeper = own_ground.keeper
    keeper.process.kill()
    keeper.process.wait()
    eventually(lambda: gone(*tree))
    assert list(left_by(keeper.owner, [])) == []


def test_a_signal_by_hand_to_the_pid_on_record_reaches_the_job(ground: Ground) -> None:
    source = """
    import signal, time
    def handler(payload):
        signal.signal(signal.SIGUSR1, lambda *_: print("heard"))
        print("here")
        time.sleep(0.01)
        signal.sigtimedwait([], 0.01)
        while not heard: time.sleep(0.01)
    heard = []
    """
    source = source.replace('print("heard"))', "heard.append(1))")
    job = run(ground, source)
    job.says("here")
    job.who.send(signal.SIGUSR1)
    assert job.ended().outcome.status is JobStatus.COMPLETED


def test_a_full_private_tmp_is_full_for_this_job_alone(ground: Ground) -> None:
    source = """
    def handler(payload):
        try:
            with open(payload, "wb") as file:
                for _ in range(3): file.write(bytes(2**20)); file.flush()
        except OSError as error: return error.strerror
    """
    what = Confinement(private_tmp=2**21, hidden=ground.hidden)
    file = f"/tmp/{ground.mark}.full"
    job = run(ground, source, payload=f'"{file}"', confinement=what)
    assert job.ended().value == "No space left on device"
    assert not Path(file).exists()


FORKS = """
    import os, time
    def handler(payload):
        for started in range(100):
            try:
                if os.fork() == 0:
                    time.sleep(60)
            except BlockingIOError:
                return started
"""


def test_it_can_start_no_more_processes_than_it_may(ground: Ground) -> None:
    """With a control group or without one; two are the sandbox's own, and it is one itself."""
    both = [run(ground, FORKS, limits=Limits(processes=10)) for _ in range(2)]
    outcomes = [job.ended().outcome for job in both]
    if outcomes[0].failure_kind is FailureKind.NOT_STARTED and ground.facts["uid"] == 0:
        pytest.skip("no control group with a controller for processes here, and no user namespace")
    assert [outcome.result for outcome in outcomes] == ["7", "7"]


def test_a_user_namespace_within_is_no_way_to_have_more_of_them(ground: Ground) -> None:
    source = """
    import ctypes, os, time
    def handler(payload):
        if ctypes.CDLL(None).unshare(0x10000000) != 0: return 0
        for started in range(100):
            try:
                if os.fork() == 0:
                    time.sleep(60)
            except BlockingIOError:
                return started
"""
    outcome = run(ground, source, limits=Limits(processes=10)).ended().outcome
    assert outcome.result is None or int(outcome.result) <= 7


WRITES = """
    import os
    def handler(paths):
        found = []
        for path in paths:
            try: open(os.path.join(path, "new"), "w").close(); found.append(True)
            except OSError: found.append(False)
        return found
"""


def test_only_what_is_writable_can_be_written_to(ground: Ground) -> None:
    elsewhere = ground.facts["elsewhere"]
    inner = Path(elsewhere, "inner")
    inner.mkdir(exist_ok=True)
    inner.chmod(0o777)
    paths = f'["{elsewhere}", "{inner}", ".", "/dev/shm"]'
    what = Confinement(read_only=True, writable=[str(inner)], hidden=ground.hidden)
    assert run(ground, WRITES, payload=paths, confinement=what).ended().value == [False, True, True, True]
    what = Confinement(read_only=[str(inner)], hidden=ground.hidden)
    assert run(ground, WRITES, payload=paths, confinement=what).ended().value == [True, False, True, True]


def test_a_writable_path_that_is_a_link_into_the_state_folder_uncovers_nothing(ground: Ground) -> None:
    link = Path(ground.facts["elsewhere"], "link")
    link.symlink_to(ground.facts["state"])
    source = "import os\ndef handler(path): return sorted(os.listdir(path))"
    what = Confinement(read_only=True, writable=[str(link)], hidden=ground.hidden)
    try:
        payload = f'"{ground.facts["state"]}"'
        assert run(ground, source, payload=payload, confinement=what).ended().value == ["work"]
    finally:
        link.unlink()


@pytest.mark.parametrize(
    "what,sentence",
    [
        (Confinement(read_only=True, writable=["/no/such"]), "a writable path cannot be had: No such file"),
        (Confinement(read_only=["/no/such"]), "files cannot be made read-only: No such file"),
        (Confinement(user="nobody-at-all"), "there is no user nobody-at-all on this host"),
        (Confinement(user="nobody", group="no-group"), "there is no group no-group on this host"),
    ],
)
def test_what_cannot_be_had_is_a_job_that_is_not_started(
    ground: Ground, what: Confinement, sentence: str, tmp_path: Path
) -> None:
    outcome = run(ground, "raise SystemExit('its code must not run')", confinement=what).ended().outcome
    assert outcome.failure_kind is FailureKind.NOT_STARTED
    assert sentence in (outcome.error_message or "")


def test_another_user_takes_root(own_ground: Ground) -> None:
    what = Confinement(user="nobody", hidden=own_ground.hidden)
    outcome = run(own_ground, "def handler(payload): pass", confinement=what).ended().outcome
    assert outcome.failure_kind is FailureKind.NOT_STARTED
    assert (outcome.error_message or "").startswith("it is to run as user nobody, and only root may change")


def test_a_proc_that_is_partly_covered_is_known_beforehand(tmp_path: Path) -> None:
    mounts = tmp_path / "mountinfo"
    whole = "22 27 0:21 / /proc rw - proc proc rw\n23 22 0:9 / /proc/sys/fs/binfmt_misc rw - autofs x rw\n"
    mounts.write_text(whole)
    namespaces.check_proc(mounts)
    mounts.write_text(whole + "24 22 0:5 /null /proc/kcore rw - tmpfs tmpfs rw\n")
    with pytest.raises(CannotConfine, match="because /proc/kcore is covered"):
        namespaces.check_proc(mounts)
