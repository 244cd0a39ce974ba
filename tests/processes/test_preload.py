"""Handlers imported beforehand in the keeper, and users' packages that have our names."""

import json
import os
import signal
import textwrap
from pathlib import Path
from typing import Any

import pytest

from supervisor.lifecycle import FailureKind, JobStatus
from tests.support.eventually import eventually
from tests.support.keeper import TestKeeper, keeper_in
from tests.support.processes import gone, marked, noted
from tests.tree import ROOT

SEES = """
    import os, sys
    imported_by = os.getpid()
    def handler(payload): return [imported_by, os.getpid()]
"""


def _preload(keeper: TestKeeper, *modules: str, limit: float = 20.0) -> dict[str, Any]:
    keeper.order(
        "preload",
        targets=[f"{module}:handler" for module in modules],
        import_paths=[str(keeper.folder / "code")],
        limit=limit,
    )
    return keeper.wait("ready")


def test_a_preloaded_handler_is_there_when_its_child_starts(own_keeper: TestKeeper) -> None:
    module, other = own_keeper.module(SEES), own_keeper.module(SEES)
    frame = _preload(own_keeper, module)
    assert (frame["pid"], frame["preloaded"], frame["refused"]) == (own_keeper.pid, [f"{module}:handler"], {})
    by, pid = own_keeper.run(handler=f"{module}:handler").ended().value
    assert (by, pid != by) == (own_keeper.pid, True)
    by, pid = own_keeper.run(handler=f"{other}:handler").ended().value
    assert by == pid


REFUSED = {
    "a thread": (
        "import threading, time\nthreading.Thread(target=time.sleep, args=(60,), daemon=True).start()",
        "it starts a thread",
    ),
    "a process": ("import subprocess\nsubprocess.Popen(['sleep', '600'])", "it starts a process"),
    "a daemon": ("import subprocess\nsubprocess.run('sleep 600 &', shell=True)", "it starts a process"),
    "an open file": ("file = open(__file__)", "it leaves a file or socket open"),
    "an open socket": ("import socket\ns = socket.socket()", "it leaves a file or socket open"),
    "exits": ("import sys\nsys.exit(0)", "it ends the process that imports it"),
    "os._exit": ("import os\nos._exit(0)", "importing it ends the process"),
    "SIGKILL": ("import os\nos.kill(os.getpid(), 9)", "importing it ends the process"),
    "crashes": ("import ctypes\nctypes.string_at(0)", "importing it ends the process"),
    "raises": ("raise ValueError('no')", "importing job_"),
    "interrupts": ("raise KeyboardInterrupt", "it ends the process that imports it"),
    "a syntax error": ("def", "importing job_"),
    "no handler": ("x = 1", "job_"),
    "closes everything": ("import os\nos.closerange(0, 100)", ""),
    "open files": (
        "import resource\nresource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))",
        "it changes RLIMIT_NOFILE when it is imported, and every job would start so",
    ),
    "memory": (
        "import resource\nresource.setrlimit(resource.RLIMIT_AS, (2**40, resource.RLIM_INFINITY))",
        "it changes RLIMIT_AS when",
    ),
    "priority": ("import os\nos.nice(3)", "it changes its priority (nice) when"),
    "policy": (
        "import os\nos.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))",
        "it changes its scheduling policy when",
    ),
    "processors": (
        "import os\nos.sched_setaffinity(0, [max(os.sched_getaffinity(0))])",
        "it changes the processors that it may use when",
    ),
    "umask": ("import os\nos.umask(0)", "it changes its umask when"),
    "recursion": ("import sys\nsys.setrecursionlimit(100_000)", "it changes Python's recursion limit when"),
    "two": (
        "import os, sys\nos.umask(0)\nsys.setrecursionlimit(100_000)",
        "it changes its umask and Python's recursion limit when",
    ),
    "a copy of itself": ("import os, time\nif os.fork(): time.sleep(0.1)", "it starts a process"),
}


@pytest.fixture(scope="module")
def tried(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """One keeper tries them all: why it refuses each."""
    with keeper_in(tmp_path_factory.mktemp("tried")) as keeper:
        fine = "def handler(payload): return 1"
        modules = {
            name: keeper.module(f"{source}\n{fine if name != 'no handler' else ''}")
            for name, (source, _) in REFUSED.items()
        }
        good = keeper.module(fine)
        frame = _preload(keeper, *modules.values(), good)
        assert frame["preloaded"] == [f"{good}:handler"]
        assert keeper.run(handler=f"{good}:handler").ended().value == 1
        keeper.until(lambda: not keeper.children())
        return {name: frame["refused"][f"{module}:handler"] for name, module in modules.items()}


@pytest.mark.parametrize("name", REFUSED)
def test_a_module_that_would_hurt_is_refused_with_a_reason(tried: dict[str, str], name: str) -> None:
    if name == "processors" and len(os.sched_getaffinity(0)) < 2:
        pytest.skip("there is one only")
    assert tried[name].startswith(REFUSED[name][1])
    assert tried[name]


def test_what_a_module_changes_at_import_is_in_force_for_its_own_jobs_alone(own_keeper: TestKeeper) -> None:
    source = """
    import os, resource
    os.umask(0o027)
    resource.setrlimit(resource.RLIMIT_NOFILE, (16, 16))
    def handler(payload): return [os.umask(0), resource.getrlimit(resource.RLIMIT_NOFILE)[0]]
    """
    module, other = own_keeper.module(source), own_keeper.module(SEES)
    frame = _preload(own_keeper, module, other)
    assert list(frame["refused"]) == [f"{module}:handler"]
    assert own_keeper.run(handler=f"{module}:handler").ended().value == [0o027, 16]
    by, _ = own_keeper.run(handler=f"{other}:handler").ended().value
    assert by == own_keeper.pid


def test_a_module_that_hangs_is_refused_after_the_limit(own_keeper: TestKeeper, tmp_path: Path) -> None:
    source = f"""
    import os, signal, time
    signal.pthread_sigmask(0, signal.valid_signals())
    open({str(tmp_path / "pids")!r}, "w").write(f"{{os.getpid()}}\\n")
    while True:
        try: time.sleep(600)
        except BaseException: pass
    """
    frame = _preload(own_keeper, own_keeper.module(source), limit=0.5)
    assert list(frame["refused"].values()) == ["importing it takes longer than 0.5 seconds"]
    assert not own_keeper.children()


def test_the_files_of_a_module_that_closed_everything_stay_as_it_wrote_them(
    own_keeper: TestKeeper, tmp_path: Path
) -> None:
    source = f"""
    import os
    for fd in map(int, os.listdir("/proc/self/fd")[:-1]):
        os.dup2(fd, fd + 300)  # or it would be killed as soon as nobody holds the pipe
    os.closerange(0, 200)
    for number in range(60): os.write(os.open(f"{tmp_path}/{{number}}.own", os.O_RDWR | os.O_CREAT), b"mine")
    raise ValueError("no")
    """
    frame = _preload(own_keeper, own_keeper.module(source))
    assert list(frame["refused"].values()) == ["importing it ends the process"]
    assert {file.read_bytes() for file in tmp_path.glob("*.own")} == {b"mine"}


def test_what_a_refused_module_started_is_gone(own_keeper: TestKeeper) -> None:
    mark = f"mark-{os.getpid()}-{own_keeper.owner}"
    leaves = f"""
    import os, shutil
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            os.execve(shutil.which("sleep"), ["{mark}", "600"], {{}})
        os._exit(0)
    os.wait()
    """
    _preload(own_keeper, own_keeper.module(leaves), own_keeper.module(leaves + "\n    os._exit(0)"))
    eventually(lambda: not marked(mark))


UNHARMED = """
    import atexit, os, signal, sys, warnings
    for number in (signal.SIGPIPE, signal.SIGTERM, signal.SIGCHLD):
        signal.signal(number, signal.SIG_IGN if number == signal.SIGCHLD else signal.SIG_DFL)
    signal.signal(signal.SIGALRM, lambda *_: os._exit(3))
    signal.setitimer(signal.ITIMER_REAL, 0.3)
    os.chdir("/tmp")
    atexit.register(open, FILE, "a")
    def handler(payload): return os.getcwd()
"""


def test_what_a_module_does_to_signals_folder_and_exit_does_not_hurt_the_keeper(tmp_path: Path) -> None:
    with keeper_in(tmp_path) as keeper:
        module = keeper.module(UNHARMED.replace("FILE", repr(str(tmp_path / "left"))))
        assert _preload(keeper, module)["refused"] == {}
        keeper.order("start", child=500)
        keeper.wait("started", 500)
        os.kill(keeper.pid, 15)
        killed = keeper.start()
        keeper.who[killed].send(signal.SIGKILL)
        keeper.wait("ended", killed)
        stopped = keeper.start()
        keeper.who[stopped].send(signal.SIGSTOP)
        job = keeper.job("def handler(payload): pass", payload=json.dumps("x" * 2**20))
        keeper.order("assign", child=stopped, job=job.to_frame(), grace=1, directory=None)
        keeper.who[stopped].send(signal.SIGKILL)  # with most of its job still to be written
        keeper.wait("ended", stopped)
        assert os.readlink(f"/proc/{keeper.pid}/cwd") == "/"
        keeper.hang_up()
        assert not (tmp_path / "left").exists()
        assert keeper.process.returncode == 0


def test_what_a_module_registers_with_atexit_runs_in_the_job(own_keeper: TestKeeper) -> None:
    module = own_keeper.module("import atexit\natexit.register(print, 'at exit')\ndef handler(p): return 1")
    _preload(own_keeper, module)
    assert own_keeper.run(handler=f"{module}:handler").ended().log == "at exit\n"


def test_samples_of_ours_are_found_where_nobody_has_our_names(own_keeper: TestKeeper) -> None:
    target = "workers.samples:send_email"
    own_keeper.order("preload", targets=[target], import_paths=[str(ROOT)])
    assert own_keeper.wait("ready")["preloaded"] == [target]
    job = own_keeper.run(
        handler=target, payload='"you"', options={"delay_milliseconds": 20}, import_paths=[str(ROOT)]
    )
    assert job.ended().value == {"sent": "you"}


@pytest.mark.parametrize("asynchronous", [False, True], ids=["def", "async def"])
@pytest.mark.parametrize("name", ["workers", "cli", "supervisor"])
def test_a_package_of_the_users_with_a_name_of_ours_is_theirs(
    keeper: TestKeeper, tmp_path: Path, name: str, *, asynchronous: bool
) -> None:
    package = tmp_path / name
    package.mkdir()
    (package / "__init__.py").write_text("whose = 'theirs'")
    (package / "context.py").write_text("whose = 'theirs too'")
    (package / "jobs.py").write_text(
        textwrap.dedent(f"""
        import asyncio, time
        import {name}
        from {name} import context
        from asyncworker import JobCancelled, JobContext
        {"async " if asynchronous else ""}def run(payload, job: JobContext):
            assert isinstance(job, JobContext)
            try:
                print({name}.whose, context.whose, flush=True)
                {"await asyncio" if asynchronous else "time"}.sleep(600)
            except JobCancelled:
                print("cleaned up")
                raise
        """)
    )
    job = keeper.run(handler=f"{name}.jobs:run", import_paths=[str(tmp_path)])
    job.says("theirs theirs too")
    job.terminate(grace=20)
    ended = job.ended()
    assert "cleaned up" in ended.log
    assert ended.outcome.status is JobStatus.CANCELLED


def test_a_failure_in_such_a_package_has_its_own_lines_in_the_traceback(
    keeper: TestKeeper, tmp_path: Path
) -> None:
    (tmp_path / "workers").mkdir()
    (tmp_path / "workers" / "__init__.py").write_text(
        "def run(payload):\n    return deeper()\ndef deeper():\n    1 / 0\n"
    )
    outcome = keeper.run(handler="workers:run", import_paths=[str(tmp_path)]).ended().outcome
    assert (outcome.failure_kind, outcome.error_message) == (
        FailureKind.RAISED,
        "ZeroDivisionError: division by zero",
    )
    assert "return deeper()" in (outcome.traceback or "")
    assert "child.py" not in (outcome.traceback or "")


def test_nothing_is_preloaded_beside_such_a_package(own_keeper: TestKeeper, tmp_path: Path) -> None:
    (tmp_path / "code").mkdir(exist_ok=True)
    (tmp_path / "code" / "cli.py").touch()
    module = own_keeper.module("def handler(payload): return 1")
    assert list(_preload(own_keeper, module)["refused"].values()) == [
        "a package beside it has the name of one of ours"
    ]
    assert own_keeper.run(handler=f"{module}:handler").ended().value == 1


def test_a_hanging_trial_ends_with_its_keeper(tmp_path: Path) -> None:
    with keeper_in(tmp_path) as keeper:
        source = f"""
        import os, time
        open({str(tmp_path / "pids")!r}, "w").write(f"{{os.getpid()}}\\n")
        time.sleep(600)
        """
        module = keeper.module(source)
        keeper.order(
            "preload", targets=[f"{module}:handler"], import_paths=[str(keeper.folder / "code")], limit=600
        )
        (trial,) = noted(tmp_path / "pids")
        keeper.process.kill()
        keeper.process.wait()
        eventually(lambda: gone(trial))


def test_options_come_as_they_were_given(keeper: TestKeeper) -> None:
    options = {"a": [1, {"b": None}], "é": 1.5}
    source = "def handler(payload, job): return job.options"
    assert keeper.run(source, options=options, payload=json.dumps(None)).ended().value == options
