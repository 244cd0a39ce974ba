"""What a child finds around it: session, descriptors, signals, environment, log."""

import os
import resource
import signal
import stat
from pathlib import Path
from typing import Any

import pytest

from supervisor.lifecycle import FailureKind, JobStatus
from tests.support.keeper import TestKeeper
from tests.support.processes import signals_in

LOOK = """
import os, resource, signal, sys
def handler(payload, job):
    status = dict(line.split(":\\t", 1) for line in open("/proc/self/status") if ":\\t" in line)
    fds = [fd for fd in os.listdir("/proc/self/fd") if os.path.lexists("/proc/self/fd/" + fd)]
    return {
        "pid": os.getpid(), "sid": os.getsid(0), "pgid": os.getpgid(0), "ppid": os.getppid(),
        "fds": {fd: os.readlink("/proc/self/fd/" + fd) for fd in fds},
        "inheritable": [fd for fd in fds if int(fd) > 2 and os.get_inheritable(int(fd))],
        "stdin": sys.stdin.read(),
        "environment": dict(os.environ),
        "nice": os.getpriority(os.PRIO_PROCESS, 0),
        "blocked": status["SigBlk"], "ignored": status["SigIgn"], "caught": status["SigCgt"],
        "core": resource.getrlimit(resource.RLIMIT_CORE)[0],
        "threads": int(status["Threads"]), "cwd": os.getcwd(),
        "main": sys.modules["__main__"].__dict__.get("__file__"),
        "path": sys.path,
    }
"""


@pytest.fixture(scope="module")
def seen(shared_keeper: TestKeeper) -> dict[str, Any]:
    job = shared_keeper.run(LOOK, environment={"ONLY": "this"}, nice=5)
    looked = job.ended().value
    assert looked["pid"] == job.who.pid
    looked["keeper"] = shared_keeper.pid
    looked["log"] = job.job.log
    looked["code"] = job.job.import_paths[0]
    return dict(looked)


def test_it_leads_a_session_of_its_own_and_is_the_keepers_child(seen: dict[str, Any]) -> None:
    assert (seen["sid"], seen["pgid"], seen["ppid"]) == (seen["pid"], seen["pid"], seen["keeper"])


def test_it_has_the_standard_descriptors_its_gate_and_its_report_pipe(seen: dict[str, Any]) -> None:
    fds = seen["fds"]
    assert (fds.pop("0"), fds.pop("1"), fds.pop("2")) == ("/dev/null", seen["log"], seen["log"])
    assert sorted(name.partition(":")[0] for name in fds.values()) == ["pipe", "pipe"]
    assert seen["inheritable"] == []


def test_standard_input_is_at_its_end(seen: dict[str, Any]) -> None:
    assert seen["stdin"] == ""


def test_signals_are_as_in_a_fresh_python(seen: dict[str, Any]) -> None:
    assert signals_in(seen["blocked"]) == set()
    assert signals_in(seen["ignored"]) == {signal.SIGPIPE, signal.SIGXFSZ}
    faults = {signal.SIGSEGV, signal.SIGFPE, signal.SIGABRT, signal.SIGBUS, signal.SIGILL}
    assert signals_in(seen["caught"]) == {signal.SIGTERM, signal.SIGINT, signal.SIGQUIT} | faults


def test_the_environment_is_what_was_given_and_nothing_else(seen: dict[str, Any]) -> None:
    assert seen["environment"] == {"ONLY": "this"}


def test_niceness_core_dumps_threads_main(seen: dict[str, Any]) -> None:
    assert (seen["nice"], seen["core"], seen["threads"], seen["main"]) == (5, 0, 1, None)


def test_job_code_is_looked_for_in_the_import_paths_first(seen: dict[str, Any]) -> None:
    assert seen["path"][0] == seen["code"]


def test_the_time_zone_is_the_environments(keeper: TestKeeper) -> None:
    source = "import time\ndef handler(payload): return time.tzname[0]"
    assert keeper.run(source, environment={"TZ": "XYZ-3"}).ended().outcome.result == '"XYZ"'


def test_a_log_has_both_streams_in_the_order_of_time_for_the_owner_alone(keeper: TestKeeper) -> None:
    source = r"""
    import os, subprocess, sys
    print("at import")
    def handler(payload):
        print("one"); print("two", file=sys.stderr); os.write(1, b"three\n")
        subprocess.run(["sh", "-c", "echo four; echo five >&2"])
        print("six \ud800"); sys.stdout.write("no newline")
    """
    job = keeper.run(source)
    ended = job.ended()
    assert ended.log == "at import\none\ntwo\nthree\nfour\nfive\nsix \\ud800\nno newline"
    assert stat.S_IMODE(Path(job.job.log).stat().st_mode) == 0o600


def test_a_log_is_appended_to(keeper: TestKeeper, tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("before\n")
    keeper.run("def handler(payload): print('after')", log=str(log)).ended()
    assert log.read_text() == "before\nafter\n"


def test_a_folder_of_logs_that_is_gone_is_made_again_for_the_owner_alone(
    keeper: TestKeeper, tmp_path: Path
) -> None:
    logs = tmp_path / "logs"
    ended = keeper.run("def handler(payload): print('here')", log=str(logs / "job" / "1.log")).ended()
    assert ended.log == "here\n"
    assert [stat.S_IMODE(each.stat().st_mode) for each in (logs, logs / "job")] == [0o700, 0o700]


def test_a_link_in_place_of_the_log_is_not_followed(keeper: TestKeeper, tmp_path: Path) -> None:
    (tmp_path / "precious").touch()
    (tmp_path / "log").symlink_to(tmp_path / "precious")
    outcome = keeper.run("def handler(payload): print('x')", log=str(tmp_path / "log")).ended().outcome
    assert outcome.failure_kind is FailureKind.NOT_STARTED
    assert (tmp_path / "precious").read_text() == ""


def test_what_was_printed_before_a_sigkill_is_there(keeper: TestKeeper) -> None:
    ended = keeper.run("import os\ndef handler(payload): print('last'); os.kill(os.getpid(), 9)").ended()
    assert ended.log == "last\n"


def test_nothing_of_another_job_is_open_in_a_child(own_keeper: TestKeeper) -> None:
    for _ in range(5):
        own_keeper.start()
    child = own_keeper.start()
    fds = own_keeper.until(lambda: _settled_fds(own_keeper.who[child].pid))
    assert len(fds) == 5


def _settled_fds(pid: int) -> list[str]:
    """Descriptors of a spare once it has closed what is not its own."""
    fds = os.listdir(f"/proc/{pid}/fd")
    return fds if len(fds) <= 5 else []


def test_descriptors_above_a_lowered_limit_are_closed_too(own_keeper: TestKeeper) -> None:
    spares = [own_keeper.start() for _ in range(20)]
    for spare in spares[:8]:
        own_keeper.order("dismiss", child=spare)
        own_keeper.wait("ended", spare)
    hard = resource.prlimit(own_keeper.pid, resource.RLIMIT_NOFILE)[1]
    resource.prlimit(own_keeper.pid, resource.RLIMIT_NOFILE, (45, hard))
    child = own_keeper.start()
    own_keeper.until(lambda: _settled_fds(own_keeper.who[child].pid))


def test_a_niceness_that_the_kernel_refuses_is_a_failed_start(own_keeper: TestKeeper) -> None:
    if os.getuid() == 0:
        pytest.skip("root may take any priority")
    outcome = own_keeper.run("def handler(payload): pass", nice=-5).ended().outcome
    assert outcome.failure_kind is FailureKind.NOT_STARTED


def test_a_job_may_spawn_processes_of_its_own_with_any_start_method(keeper: TestKeeper) -> None:
    source = """
    import multiprocessing
    def double(n): return 2 * n
    def handler(payload):
        found = []
        for method in ("fork", "spawn", "forkserver"):
            with multiprocessing.get_context(method).Pool(1) as pool:
                found.append(pool.map(double, [21]))
        return found
    """
    outcome = keeper.run(source).ended().outcome
    assert (outcome.status, outcome.result) == (JobStatus.COMPLETED, "[[42],[42],[42]]")


GATE = """
    open({mark!r}, "w").close()
    def handler(payload): return 1
"""


def test_no_code_of_a_job_runs_before_it_goes_through_the_gate(keeper: TestKeeper, tmp_path: Path) -> None:
    mark = tmp_path / "imported"
    assignment = keeper.job(GATE.format(mark=str(mark)))
    child = keeper.start()
    keeper.run("def handler(payload): pass").ended()  # the spare has had all the time it needs
    assert not mark.exists()
    keeper.order("assign", child=child, job=assignment.to_frame(), grace=1, directory=None)
    assert keeper.wait("ended", child)["assigned"] is True
    assert mark.exists()


def test_a_dismissed_spare_ends_without_having_had_a_job(keeper: TestKeeper) -> None:
    child = keeper.start()
    keeper.order("dismiss", child=child)
    frame = keeper.wait("ended", child)
    assert (frame["assigned"], frame["report"]) == (False, None)


def test_a_spare_that_was_killed_says_that_it_had_no_job(keeper: TestKeeper) -> None:
    child = keeper.start()
    keeper.who[child].send(signal.SIGKILL)
    assert keeper.wait("ended", child)["assigned"] is False


def test_a_spare_that_dies_before_it_takes_its_job_says_so_too(keeper: TestKeeper, tmp_path: Path) -> None:
    """However far the job has come: it is in the pipe already."""
    mark = tmp_path / "imported"
    child = keeper.start()
    keeper.who[child].send(signal.SIGSTOP)
    job = keeper.job(GATE.format(mark=str(mark)), payload='"' + "x" * 2**20 + '"')
    keeper.order("assign", child=child, job=job.to_frame(), grace=1, directory=job.directory)
    keeper.run("def handler(payload): pass").ended()
    keeper.who[child].send(signal.SIGKILL)
    frame = keeper.wait("ended", child)
    assert (frame["assigned"], frame["report"]) == (False, None)
    assert not mark.exists()


def test_the_end_of_the_gate_ends_a_spare_without_running_anything(own_keeper: TestKeeper) -> None:
    child = own_keeper.start()
    who = own_keeper.who[child]
    own_keeper.hang_up()
    assert not who.is_running()


def test_a_sigterm_between_the_fork_and_the_first_instructions_is_not_lost(own_keeper: TestKeeper) -> None:
    """Ordered in one breath, so that the signal comes as early as it can."""
    for _ in range(30):
        child = own_keeper.start()
        job = own_keeper.job("import time\ntime.sleep(60)")
        own_keeper.order("assign", child=child, job=job.to_frame(), grace=60, directory=None)
        own_keeper.order("terminate", child=child, reason="cancel", grace=60)
        assert own_keeper.wait("ended", child)["termination"]["reason"] == "cancel"
