"""Every way in which a job's process can end, and what is recorded of it."""

import contextlib
import itertools
import json
import os
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from supervisor.lifecycle import FailureKind, JobStatus
from tests.support.cgroups import group_of
from tests.support.keeper import Ended, TestKeeper, keeper_in

COMPLETED = JobStatus.COMPLETED
RAISED = FailureKind.RAISED
EXITED = FailureKind.EXITED
SIGNALLED = FailureKind.SIGNALLED
BAD = FailureKind.BAD_RESULT
NOT_STARTED = FailureKind.NOT_STARTED


@dataclass(frozen=True)
class Way:
    """The body of a handler, or with `module` a whole module; and what is to be recorded."""

    code: str
    kind: FailureKind | None
    exit_code: int | None = 0
    signal: int | None = None
    message: str | None = None
    """Begins with this."""
    result: str | None = None
    module: bool = False

    def source(self) -> str:
        if self.module:
            return self.code
        return "import os, sys, signal, ctypes, threading, time\ndef handler(payload, job):\n " + "\n ".join(
            self.code.split("\n")
        )


RETURNS = {
    "None": Way("return None", None, result="null"),
    "a value": Way("return {'a': [1, 2.5, 'é', None, True]}", None, result='{"a":[1,2.5,"é",null,true]}'),
    "a number as key": Way("return {1: 2}", None, result='{"1":2}'),
    "a tuple": Way("return (1, 2)", None, result="[1,2]"),
    "1 MiB of what grows sixfold on its way": Way(
        "return chr(127) * (2**20 - 2)", None, result=f'"{chr(127) * (2**20 - 2)}"'
    ),
    "1 MiB of what grows threefold": Way("return 'é' * (2**19 - 1)", None, result=f'"{"é" * (2**19 - 1)}"'),
    "half a surrogate pair": Way("return 'a\\ud800'", None, result='"a\\ud800"'),
    "bytes": Way("return b'x'", BAD, 1, message="what it returned is not JSON: Object of type bytes"),
    "a set": Way("return {1}", BAD, 1, message="what it returned is not JSON: Object of type set"),
    "NaN": Way("return float('nan')", BAD, 1, message="what it returned is not JSON: Out of range"),
    "infinity": Way("return [float('inf')]", BAD, 1, message="what it returned is not JSON: Out of range"),
    "itself": Way("a = []; a.append(a); return a", BAD, 1, message="what it returned is not JSON: Circular"),
    "too deep": Way(
        "a = []\nfor _ in range(100000): a = [a]\nreturn a",
        BAD,
        1,
        message="what it returned is not JSON: maximum recursion",
    ),
    "two mebibytes": Way("return 'x' * 2**21", BAD, 1, message="what it returned is 2097154 bytes of JSON"),
    "a mebibyte and three": Way(
        "return 'x' * (2**20 + 1)", BAD, 1, message="what it returned is 1048579 bytes"
    ),
    "something that fails to be JSON": Way(
        "class D(dict):\n  def items(self): raise KeyError('no')\nreturn D(a=1)",
        BAD,
        1,
        message="what it returned is not JSON: 'no'",
    ),
}

RAISES = {
    "ValueError": Way("raise ValueError('bad')", RAISED, 1, message="ValueError: bad"),
    "no text": Way("raise ValueError", RAISED, 1, message="ValueError"),
    "__str__ raises": Way(
        "class E(Exception):\n  def __str__(self): raise RuntimeError\nraise E",
        RAISED,
        1,
        message="handler.<locals>.E: (its text could not be had: RuntimeError)",
    ),
    "a huge text": Way("raise ValueError('x' * 10**8)", RAISED, 1, message="ValueError: xxx"),
    "__reduce__": Way(
        "class E(Exception):\n  def __reduce__(self): return os.system, ('touch /tmp/owned',)\nraise E('hm')",
        RAISED,
        1,
        message="handler.<locals>.E: hm",
    ),
    "a BaseException": Way(
        "class E(BaseException): pass\nraise E('b')", RAISED, 1, message="handler.<locals>.E: b"
    ),
    "KeyboardInterrupt": Way("raise KeyboardInterrupt", RAISED, 1, message="KeyboardInterrupt"),
    "SIGINT": Way("signal.raise_signal(2)\ntime.sleep(60)", RAISED, 1, message="KeyboardInterrupt"),
    "GeneratorExit": Way("raise GeneratorExit", RAISED, 1, message="GeneratorExit"),
    "a group": Way(
        "raise ExceptionGroup('g', [ValueError(1)])", RAISED, 1, message="ExceptionGroup: g (1 sub"
    ),
    "surrogates": Way("raise ValueError('\\udc80')", RAISED, 1, message="ValueError: ?"),
    "recursion": Way("handler(payload, job)", RAISED, 1, message="RecursionError: maximum recursion"),
    "memory": Way("return 'x' * 10**15", RAISED, 1, message="MemoryError"),
    "after closing the streams": Way(
        "os.close(1); os.close(2); raise ValueError('bad')", RAISED, 1, message="ValueE"
    ),
    "with no stderr": Way("sys.stderr = None; raise ValueError('bad')", RAISED, 1, message="ValueError: bad"),
    "with a strange stderr": Way(
        "sys.stderr = object(); raise ValueError('bad')", RAISED, 1, message="ValueError"
    ),
}

LEAVES = {
    "sys.exit(3)": Way("sys.exit(3)", EXITED, 3, message="it left with exit code 3 instead of returning"),
    "sys.exit(text)": Way("sys.exit('my reason')", EXITED, 1, message="my reason"),
    "sys.exit(256)": Way("sys.exit(256)", EXITED, 256),
    "sys.exit(0)": Way("sys.exit(0)", EXITED, 0, message="it left with exit code 0 instead of returning"),
    "sys.exit()": Way("sys.exit()", EXITED, 0),
    "sys.exit(-9)": Way("sys.exit(-9)", EXITED, -9),
    "sys.exit(True)": Way("sys.exit(True)", EXITED, 1),
    "sys.exit(2**40)": Way("sys.exit(2**40)", EXITED, 2**40),
    "sys.exit(10**100)": Way("sys.exit(10**100)", EXITED, 0),
    "sys.exit(object)": Way("sys.exit([1, 2])", EXITED, 1, message="[1, 2]"),
    "os._exit(0)": Way(
        "os._exit(0)", EXITED, 0, message="its process left with exit code 0 without having ret"
    ),
    "os._exit(7)": Way("os._exit(7)", EXITED, 7),
    "os._exit(97)": Way("os._exit(97)", EXITED, 97),
    "execs another program": Way("os.execvp('true', ['true'])", EXITED, 0),
    "result, then os._exit(7)": Way(
        "threading.Timer(0.1, os._exit, [7]).start(); return 1",
        EXITED,
        7,
        message="it returned, and then its process left with exit code 7",
    ),
    "result, then sys.exit in atexit": Way(
        "import atexit; atexit.register(sys.exit, 5); return 1", None, result="1"
    ),
    "atexit": Way("import atexit; atexit.register(print, 'at exit'); return 1", None, result="1"),
    "result, then SIGKILL": Way(
        "threading.Timer(0.1, os.kill, [os.getpid(), 9]).start(); return 1", SIGNALLED, None, 9
    ),
    "main thread alone": Way(
        "threading.Timer(0.3, os._exit, [4]).start()\nctypes.CDLL(None).syscall(60, 0)", EXITED, 4
    ),
}

SIGNALS = {
    number.name: Way(
        f"os.kill(os.getpid(), {number:d})\ntime.sleep(60)", SIGNALLED, None, number, f"{number.name} ("
    )
    for number in (
        signal.SIGKILL,
        signal.SIGSEGV,
        signal.SIGABRT,
        signal.SIGBUS,
        signal.SIGUSR1,
        signal.SIGHUP,
        signal.SIGALRM,
    )
} | {
    "real-time": Way("os.kill(os.getpid(), 40)\ntime.sleep(60)", SIGNALLED, None, 40, "signal 40 killed it"),
    "a null pointer": Way("ctypes.string_at(0)", SIGNALLED, None, signal.SIGSEGV),
    "abort()": Way("os.abort()", SIGNALLED, None, signal.SIGABRT),
}

PIPES = {
    "closes all, returns": Way("os.closerange(0, 100); return 1", EXITED, 1),
    "closes all, exits": Way("os.closerange(0, 100); os._exit(0)", EXITED, 0),
    "garbage": Way(
        "report(b'\\x00\\x00\\x00\\x05hello'); return 1", EXITED, 0, message="what it sent through"
    ),
    "half a frame": Way(
        "report(b'\\x00\\x00\\x00\\xff{\"kind\"'); os._exit(0)", EXITED, 0, message="what it sent"
    ),
    "half a length": Way("report(b'\\x00'); os._exit(0)", EXITED, 0, message="what it sent through"),
    "4 GiB claimed": Way(
        "report(b'\\xff\\xff\\xff\\xff'); return 1", EXITED, 0, message="what it sent through"
    ),
    "8 MiB claimed": Way(
        "report((8 << 20).to_bytes(4)); return 1", EXITED, 0, message="what it sent through"
    ),
    "a list": Way("report(frame('[]')); return 1", EXITED, 0, message="what it sent through"),
    "too deep": Way("report(frame('[' * 10**5)); return 1", EXITED, 0, message="what it sent through"),
    "NaN": Way("report(frame('{\"code\": NaN}')); return 1", EXITED, 0, message="what it sent through"),
    "1e999": Way(
        'report(frame(\'{"kind":"progress","fraction":1e999}\')); return 1', EXITED, 0, message="what"
    ),
    "a long number": Way(
        "report(frame('{\"code\":%s}' % ('9' * 10**5))); return 1", EXITED, 0, message="what it"
    ),
    "not ASCII": Way('report(frame(\'{"kind":"é"}\')); return 1', EXITED, 0, message="what it sent through"),
    "garbage after the last word": Way(
        'report(frame(\'{"kind":"returned","result":"1"}\') + b\'\\xff\' * 9); os._exit(0)', EXITED, 0
    ),
    "a forged result": Way(
        'report(frame(\'{"kind":"returned","result":"1"}\')); os._exit(0)', None, result="1"
    ),
    "a forged result that is not JSON": Way(
        'report(frame(\'{"kind":"returned","result":"NaN"}\')); os._exit(0)', BAD, 0
    ),
    "a forged result that is no text": Way(
        'report(frame(\'{"kind":"returned","result":[1]}\')); os._exit(0)', BAD, 0
    ),
    "a forged result of surrogates": Way(
        'report(frame(\'{"kind":"returned","result":"\\\\"\\\\ud800\\\\""}\')); os._exit(0)', BAD, 0
    ),
    "a forged result of 3 MiB": Way(
        'report(frame(\'{"kind":"returned","result":"\\\\"\' + 3 * 2**20 * \'x\' + \'\\\\""}\'));os._exit(0)',
        BAD,
        0,
    ),
    "what would grow when it is sent on": Way(
        'report(frame(\'{"kind":"returned","result":"\' + 3 * 2**20 * chr(127) + \'"}\')); os._exit(0)',
        EXITED,
        0,
    ),
    "a forged report of nonsense": Way(
        'report(frame(\'{"kind":{},"code":"x","message":[],"interrupted":7,"more":[[]]}\')); os._exit(0)',
        EXITED,
        0,
    ),
    "two last words": Way(
        """report(frame('{"kind":"returned","result":"1"}') + frame('{"kind":"raised"}')); os._exit(0)""",
        None,
        result="1",
    ),
    "deep nonsense": Way(
        """report(frame('{"kind":"returned","result":"1","x":%s%s}' % (900*'[', 900*']'))); os._exit(0)""",
        None,
        result="1",
    ),
    "a forged code": Way(
        'report(frame(\'{"kind":"left","code":%s}\' % (\'9\' * 4000))); os._exit(0)', EXITED, 0
    ),
    "a forged interruption": Way(
        'report(frame(\'{"kind":"raised","interrupted":true}\')); os._exit(1)', RAISED, 1
    ),
    "4 MiB of empty lists": Way(
        'report(frame(\'{"kind":"returned","result":"1","x":[\' + \'[],\' * 10**6 + \'0]}\')); os._exit(0)',
        None,
        result="1",
    ),
}

PIPE_TOOLS = """
import fcntl, os
def flags(fd):
    try:
        return fcntl.fcntl(fd, fcntl.F_GETFL)
    except OSError:
        return os.O_RDONLY
fd = next(fd for fd in range(3, 20) if flags(fd) & os.O_ACCMODE == os.O_WRONLY)
def frame(text):
    return len(text.encode()).to_bytes(4) + text.encode()
def report(data):
    while data:
        data = data[os.write(fd, data):]
"""

EARLY = {
    "garbage": "os.write(fd, b'\\xff' * 100)",
    "a length": "os.write(fd, b'\\xff' * 4)",
    "a frame": "report(frame('{}'))",
    "the end": "os.close(fd)",
}

IMPORTS = {
    "raises": Way("raise ValueError('at import')", NOT_STARTED, 1, message="importing job_", module=True),
    "raises badly": Way(
        "class E(Exception):\n  def __str__(self): raise RuntimeError\nraise E", NOT_STARTED, 1, module=True
    ),
    "exits": Way("import sys; sys.exit(0)", NOT_STARTED, 1, message="SystemExit: 0", module=True),
    "interrupts": Way("raise KeyboardInterrupt", NOT_STARTED, 1, message="KeyboardInterrupt", module=True),
    "os._exit": Way("import os; os._exit(0)", EXITED, 0, module=True),
    "a syntax error": Way("def handler(:", NOT_STARTED, 1, message="importing job_", module=True),
    "no such function": Way("x = 1", NOT_STARTED, 1, message="job_", module=True),
    "not callable": Way("handler = 5", NOT_STARTED, 1, message="job_", module=True),
    "needs a module": Way("import no_such_module", NOT_STARTED, 1, message="importing job_", module=True),
    "takes nothing": Way("def handler(): pass", RAISED, 1, message="TypeError", module=True),
}


def check(ended: Ended, way: Way) -> None:
    outcome = ended.outcome
    assert outcome.failure_kind is way.kind, f"{outcome}\n{ended.log}"
    assert outcome.status is (COMPLETED if way.kind is None else JobStatus.FAILED)
    assert (outcome.exit_code, outcome.signal, outcome.result) == (way.exit_code, way.signal, way.result)
    assert (outcome.error_message or "").startswith(way.message or "")
    assert len(outcome.error_message or "") < 9000
    assert len(outcome.traceback or "") < 66_000
    assert ended.frame["leftovers"] == 0
    assert outcome.termination is None
    assert outcome.usage is not None
    assert outcome.usage.max_rss_bytes > 1 << 20
    for text in (outcome.error_message, outcome.traceback, outcome.result):
        (text or "").encode()


@pytest.mark.parametrize("way", RETURNS.values(), ids=RETURNS)
def test_returns(keeper: TestKeeper, way: Way) -> None:
    check(keeper.run(way.source()).ended(), way)


@pytest.mark.parametrize("way", RAISES.values(), ids=RAISES)
def test_raises(keeper: TestKeeper, way: Way) -> None:
    ended = keeper.run(way.source()).ended()
    check(ended, way)
    assert "in handler" in (ended.outcome.traceback or "")
    assert "workers/child.py" not in (ended.outcome.traceback or "")


@pytest.mark.parametrize("way", LEAVES.values(), ids=LEAVES)
def test_leaves(keeper: TestKeeper, way: Way) -> None:
    ended = keeper.run(way.source(), grace=20).ended()
    check(ended, way)
    assert ended.frame["termination"] is None
    assert "workers/keeper.py" not in ended.log
    if way.exit_code is not None:
        assert os.waitstatus_to_exitcode(ended.frame["status"]) == way.exit_code & 0xFF


@pytest.mark.parametrize("way", SIGNALS.values(), ids=SIGNALS)
def test_is_killed(keeper: TestKeeper, way: Way) -> None:
    check(keeper.run(way.source()).ended(), way)


@pytest.mark.parametrize("way", PIPES.values(), ids=PIPES)
def test_abuses_its_pipes(keeper: TestKeeper, way: Way) -> None:
    ended = keeper.run(PIPE_TOOLS + way.source()).ended()
    check(ended, way)
    assert ended.frame["assigned"]
    assert set(ended.frame["report"] or {}) <= {
        "kind",
        "result",
        "code",
        "message",
        "traceback",
        "interrupted",
    }


@pytest.mark.parametrize("way", IMPORTS.values(), ids=IMPORTS)
def test_cannot_be_imported(keeper: TestKeeper, way: Way) -> None:
    check(keeper.run(way.source()).ended(), way)


def test_a_module_that_is_not_there_is_named_with_the_places(keeper: TestKeeper) -> None:
    outcome = keeper.run(handler="nowhere.at_all:handler").ended().outcome
    assert (outcome.failure_kind, outcome.exit_code) == (NOT_STARTED, 1)
    assert "there is no module nowhere (looked in " in (outcome.error_message or "")


def test_atexit_functions_run(keeper: TestKeeper) -> None:
    ended = keeper.run(LEAVES["atexit"].source()).ended()
    assert ended.log == "at exit\n"


def test_the_traceback_of_a_crash_is_in_the_log(keeper: TestKeeper) -> None:
    assert "in handler" in keeper.run("import ctypes\ndef handler(payload): ctypes.string_at(0)").ended().log


EATS = """
import os, time
def eat():
    eaten = []
    while True:
        eaten.append(b"x" * (4 << 20))
def handler(go):
    while not os.path.exists(go):
        time.sleep(0.01)
    {body}
"""
LIMIT = 64 << 20


def run_in_little_memory(keeper: TestKeeper, folder: Path, body: str) -> Ended:
    """In a control group with a limit, so that the host is in no danger."""
    with group_of("memory") as group:
        (group / "memory.limit_in_bytes").write_text(str(LIMIT))
        with contextlib.suppress(OSError):  # no swap accounting
            (group / "memory.memsw.limit_in_bytes").write_text(str(LIMIT))
        job = keeper.run(EATS.format(body=body), payload=json.dumps(str(folder / "go")))
        (group / "cgroup.procs").write_text(str(job.who.pid))
        (folder / "go").touch()
        return job.ended()


def test_the_kernels_out_of_memory_killer_is_recognised_without_a_group(tmp_path: Path) -> None:
    with keeper_in(tmp_path, "tree") as keeper:
        ended = run_in_little_memory(keeper, tmp_path, "eat()")
    outcome = ended.outcome
    assert (outcome.status, outcome.failure_kind) == (JobStatus.FAILED, FailureKind.OUT_OF_MEMORY)
    assert (outcome.exit_code, outcome.signal, outcome.termination) == (None, 9, None)
    assert "most likely this one" in (outcome.error_message or "")
    assert ended.frame["oom_kills"] >= 1
    assert outcome.usage is not None
    assert LIMIT // 2 < outcome.usage.max_rss_bytes < 2 * LIMIT


def test_a_job_that_outlives_such_a_kill_says_itself_how_it_ended(tmp_path: Path) -> None:
    body = "pid = os.fork()\n    if pid == 0: eat()\n    return os.waitstatus_to_exitcode(os.wait()[1])"
    with keeper_in(tmp_path, "tree") as keeper:
        ended = run_in_little_memory(keeper, tmp_path, body)
    assert (ended.value, ended.frame["oom_kills"] >= 1) == (-9, True)


ELSEWHERE = {
    FailureKind.OUT_OF_MEMORY: "above",
    FailureKind.TIMED_OUT: "test_handlers.py, test_stubborn.py, test_stacks.py",
    FailureKind.OWNER_DIED: "tests/system/test_crashes.py",
    FailureKind.HOST_REBOOTED: "tests/system/test_promises.py",
    FailureKind.KEEPER_DIED: "tests/system/test_crashes.py",
}


def test_every_failure_kind_has_a_real_death() -> None:
    ways = itertools.chain(*(table.values() for table in (RETURNS, RAISES, LEAVES, SIGNALS, PIPES, IMPORTS)))
    assert {way.kind for way in ways if way.kind} | ELSEWHERE.keys() == set(FailureKind)


def test_a_copy_that_the_handler_forked_does_not_speak_for_the_job(keeper: TestKeeper) -> None:
    source = """
    import os, time
    def handler(payload):
        pid = os.fork()
        if pid == 0:
            return "the copy"
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    """
    assert keeper.run(source).ended().value == 0


LINGERS = {
    "thread": "threading.Thread(target=time.sleep, args=(600,)).start()",
    "atexit": "import atexit; atexit.register(time.sleep, 600)",
    "child process": "import multiprocessing as m\nm.Process(target=time.sleep, args=(600,)).start()",
    "main thread alone": "import atexit; atexit.register(ctypes.CDLL(None).syscall, 60, 0); "
    "threading.Thread(target=time.sleep, args=(600,), daemon=True).start()",
}


@pytest.mark.parametrize("what", LINGERS.values(), ids=LINGERS)
def test_what_keeps_a_process_from_ending_is_killed_after_the_grace(keeper: TestKeeper, what: str) -> None:
    ended = keeper.run(Way(f"{what}\nreturn 1", None).source()).ended()
    assert (ended.outcome.status, ended.outcome.result, ended.outcome.signal) == (COMPLETED, "1", 9)
    record: dict[str, Any] = ended.outcome.termination or {}
    assert (record["reason"], [s["signal"] for s in record["signals"]]) == ("lingered", ["SIGKILL"])
    assert record["killed"] >= 1


def test_a_failure_stays_one_when_its_process_lingers(keeper: TestKeeper) -> None:
    body = "threading.Thread(target=time.sleep, args=(600,)).start()\nraise ValueError('bad')"
    outcome = keeper.run(Way(body, None).source()).ended().outcome
    assert (outcome.failure_kind, outcome.error_message) == (RAISED, "ValueError: bad")


@pytest.mark.parametrize("what", EARLY.values(), ids=EARLY)
def test_whatever_a_job_does_to_its_pipe_it_has_begun(keeper: TestKeeper, what: str) -> None:
    """Otherwise it would be given back, and run twice. Often, for it may come in one piece or in two."""
    ends = [keeper.run(f"{PIPE_TOOLS}\n{what}\nos._exit(0)") for _ in range(30)]
    assert [job.ended().frame["assigned"] for job in ends] == [True] * 30


def test_half_a_frame_then_silence_delays_nobody(keeper: TestKeeper) -> None:
    code = "report(b'\\x00\\x00\\x00\\xff{')\nprint('there', flush=True)\ntime.sleep(600)"
    silent = keeper.run(PIPE_TOOLS + Way(code, None).source())
    silent.says("there")
    assert keeper.run("def handler(payload): return 2").ended().value == 2
    silent.terminate()
    outcome = silent.ended().outcome
    assert outcome.status is JobStatus.CANCELLED


FILES = """os.closerange(3, 200)
files = [os.open(f"{payload}/{number}", os.O_RDWR | os.O_CREAT) for number in range(60)]
for fd in files: os.write(fd, b"mine")
job.progress(0.25, "some")
job.progress(0.5, "more")
"""


@pytest.mark.parametrize("last", ["return 'x' * 100_000", "raise ValueError('bad')", "sys.exit(3)"])
def test_files_in_place_of_its_closed_pipe_stay_as_it_wrote_them(
    keeper: TestKeeper, tmp_path: Path, last: str
) -> None:
    ended = keeper.run(Way(FILES + last, None).source(), payload=json.dumps(str(tmp_path))).ended()
    check(ended, Way("", EXITED, 1))
    assert ended.progress == []
    assert {file.read_bytes() for file in tmp_path.iterdir()} == {b"mine"}


def test_so_do_those_of_one_that_is_cancelled(keeper: TestKeeper, tmp_path: Path) -> None:
    code = FILES + "print('there', flush=True)\ntime.sleep(600)"
    job = keeper.run(Way(code, None).source(), payload=json.dumps(str(tmp_path)))
    job.says("there")
    job.terminate()
    assert job.ended().outcome.status is JobStatus.CANCELLED
    assert {file.read_bytes() for file in tmp_path.iterdir()} == {b"mine"}


def test_closing_everything_and_hanging_ends_with_the_termination(keeper: TestKeeper) -> None:
    code = """while True:
  try: print('there', flush=True); os.closerange(0, 100); time.sleep(600)
  except BaseException: pass"""
    deaf = keeper.run(Way(code, None).source())
    deaf.says("there")
    deaf.terminate("timeout")
    outcome = deaf.ended().outcome
    assert (outcome.failure_kind, outcome.signal) == (FailureKind.TIMED_OUT, 9)


def test_a_flood_through_the_report_pipe_delays_nobody(keeper: TestKeeper) -> None:
    code = """print('there', flush=True)
while True: report(frame('{"kind":"progress","fraction":0.5}') * 1000)"""
    flood = keeper.run(PIPE_TOOLS + Way(code, None).source())
    flood.says("there")
    for _ in range(5):
        assert keeper.run("def handler(payload): return 2").ended().value == 2
    flood.terminate()
    ended = flood.ended()
    assert ended.outcome.status is JobStatus.CANCELLED
    assert 0 < len(ended.progress) < 1000


def test_a_leftover_that_floods_the_report_pipe_delays_nobody(keeper: TestKeeper) -> None:
    code = """if os.fork() == 0:
 os.setsid()
 while True: report(frame('{"kind":"progress","fraction":0.5}') * 1000)
time.sleep(0.1)
os._exit(0)"""
    ended = keeper.run(PIPE_TOOLS + Way(code, None).source()).ended()
    assert ended.frame["leftovers"] == 1


def test_fifty_megabytes_of_output_pass_the_keeper_by(keeper: TestKeeper) -> None:
    before = _resident(keeper.pid)
    job = keeper.run("def handler(payload):\n for _ in range(50): print('x' * 10**6)")
    ended = job.ended()
    assert ended.outcome.status is COMPLETED
    assert len(ended.log) == 50 * (10**6 + 1)
    assert _resident(keeper.pid) - before < 4 << 20


def _resident(pid: int) -> int:
    with open(f"/proc/{pid}/statm") as file:
        return int(file.read().split()[1]) * 4096


def test_usage_is_what_the_kernel_counted(keeper: TestKeeper) -> None:
    usage = keeper.run("def handler(payload): x = b'x' * (64 << 20); sum(range(10**6))").ended().outcome.usage
    assert usage is not None
    assert usage.max_rss_bytes > 64 << 20
    assert 0 < usage.user_seconds + usage.system_seconds < 30  # which of both is decided by few ticks
