"""The jobs of these tests. Each execution writes down what it does, for a checker to read afterwards."""

import contextlib
import ctypes
import json
import os
import random
import signal
import sqlite3
import sys
import threading
import time
from pathlib import Path
from typing import Any

from asyncworker import JobCancelled, JobContext


def nap(payload: Any, job: JobContext) -> int:
    """Sleep for `payload` seconds."""
    note(job, "start")
    _sleep(payload)
    note(job, "end")
    return os.getpid()


def until(payload: str, job: JobContext) -> int:
    """Run until there is a file of this name."""
    note(job, "start")
    while not Path(payload).exists():
        time.sleep(0.01)
    note(job, "end")
    return os.getpid()


def echo(payload: Any, job: JobContext) -> Any:
    """Give back what was given."""
    note(job, "start")
    note(job, "end")
    return payload


def litter(payload: Any, job: JobContext) -> int:
    """Leave files in the working directory."""
    note(job, "start")
    for number in range(20):
        folder = job.directory / f"folder-{number}"
        folder.mkdir()
        (folder / "file").write_text("litter")
    _sleep(payload)
    note(job, "end")
    return os.getpid()


def daemonise(payload: Any, job: JobContext) -> int:
    """Leave two processes that have cut every tie: one has our environment still, one has none."""
    note(job, "start")
    _daemon(job)
    if job.options.get("without_environment", True):
        _daemon(job, environment={})
    _sleep(payload)
    note(job, "end")
    return os.getpid()


def stubborn(payload: Any, job: JobContext) -> int:
    """Ignore everything that can be ignored."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    note(job, "start")
    _sleep(payload)
    note(job, "end")
    return os.getpid()


def deaf(payload: Any, job: JobContext) -> int:
    """Let no signal in."""
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    return stubborn(payload, job)


def tidy(payload: Any, job: JobContext) -> int:
    """When it is cancelled, clean up for `payload` seconds."""
    note(job, "start")
    try:
        _sleep(60)
    except JobCancelled:
        note(job, "cleaning")
        _sleep(payload)
        note(job, "cleaned")
        raise
    note(job, "end")
    return os.getpid()


def brief(payload: Any, job: JobContext) -> int:
    """End by itself at a random moment around `payload` seconds, and hardly notice a cancel."""
    note(job, "start")
    _sleep(payload * random.Random(job.id).uniform(0.5, 1.5))
    note(job, "end")
    return os.getpid()


def witness(payload: Any, job: JobContext) -> dict[str, Any]:
    """The first thing that it does is to look at its own record."""
    with contextlib.closing(sqlite3.connect(f"file:{payload}?mode=ro", uri=True)) as database:
        row = database.execute(
            "SELECT jobs.status, jobs.owner, attempts.owner, jobs.attempt, attempts.number, jobs.pid,"
            " attempts.pid, attempts.start_ticks FROM jobs JOIN attempts ON job_seq = seq WHERE id = ?",
            (job.id,),
        ).fetchall()
    note(job, "start")
    note(job, "end")
    return {"record": row, "pid": os.getpid(), "ticks": start_ticks(os.getpid())}


def hostile(payload: str, job: JobContext) -> Any:
    """Be what `payload` names."""
    note(job, "start")
    answer = DEEDS[payload](job)
    note(job, "end")
    return answer


def note(job: JobContext, event: str, pid: int | None = None, **more: Any) -> None:
    """One line, in one write, at the end of the file: nobody's can be torn or overwritten."""
    who = pid or os.getpid()
    facts = {
        "job": job.id,
        "attempt": job.attempt,
        "event": event,
        "pid": who,
        "ticks": start_ticks(who),
        "at": time.monotonic(),
        "wall": time.time_ns() // 1_000_000,
        **more,
    }
    runs = os.open(job.options["runs"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(runs, json.dumps(facts).encode() + b"\n")
    finally:
        os.close(runs)


def start_ticks(pid: int) -> int:
    text = Path(f"/proc/{pid}/stat").read_text()
    return int(text[text.rindex(")") + 2 :].split()[19])


def _sleep(seconds: float | None) -> None:
    """In one piece of work, as a handler would be busy."""
    deadline = time.monotonic() + (seconds or 0.0)
    while (left := deadline - time.monotonic()) > 0:
        time.sleep(min(left, 5.0))


def _daemon(job: JobContext, environment: dict[str, str] | None = None) -> None:
    """Fork twice, with a session of its own between: nobody's child, in nobody's group. It is noted."""
    report, tell = os.pipe()
    first = os.fork()
    if first == 0:
        os.setsid()
        second = os.fork()
        if second:
            os.write(tell, str(second).encode())
            os._exit(0)
        os.close(report)
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)
        if environment is not None:
            os.execve("/bin/sleep", ["sleep", "300"], environment)
        time.sleep(300)
        os._exit(0)
    os.waitpid(first, 0)
    note(job, "daemon", int(os.read(report, 32)))
    os.close(report)
    os.close(tell)


def _raise(job: JobContext) -> None:
    raise LookupError("on purpose")


def _exit(job: JobContext) -> None:
    sys.exit(3)


def _quit(job: JobContext) -> None:
    os._exit(0)


def _kill_itself(job: JobContext) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _crash(job: JobContext) -> None:
    ctypes.string_at(0)


def _no_json(job: JobContext) -> object:
    return object()


def _nan(job: JobContext) -> float:
    return float("nan")


def _too_large(job: JobContext) -> str:
    return "x" * (1024 * 1024)


def _pipes() -> list[int]:
    """Descriptors that are pipes: the one to the keeper is among them."""
    return [int(fd) for fd in os.listdir("/proc/self/fd") if _is_pipe(fd)]


def _is_pipe(fd: str) -> bool:
    try:
        return os.readlink(f"/proc/self/fd/{fd}").startswith("pipe:")
    except OSError:
        return False


def _say(*bodies: bytes) -> None:
    for fd in _pipes():
        with contextlib.suppress(OSError):
            for body in bodies:
                rest = memoryview(len(body).to_bytes(4, "big") + body)
                while rest:
                    rest = rest[os.write(fd, rest) :]


def _garbage(job: JobContext) -> None:
    for fd in _pipes():
        with contextlib.suppress(OSError):
            os.write(fd, b"\xff\xff\xff\xff garbage" * 100)


def _forge(job: JobContext) -> None:
    """Frames that are well formed and full of the wrong things."""
    _say(
        b'{"kind": "progress", "fraction": "x", "message": 5}',
        b'{"kind": "progress", "fraction": 1e999, "message": null}',
        b'{"kind": ["returned"], "op": "ended", "child": 1}',
        b'{"kind": "returned", "result": {"a": 1}, "interrupted": "x"}',
    )
    os._exit(0)


def _say_nan(job: JobContext) -> None:
    _say(b'{"kind": "progress", "fraction": NaN, "message": null}')
    time.sleep(0.05)
    _say(b'{"kind": "raised", "message": NaN, "traceback": Infinity}')
    os._exit(0)


def _say_much(job: JobContext) -> None:
    """As much as one frame may hold, in characters that grow when they are written again."""
    text = "\u00e9" * (4 * 1024 * 1024 - 100)
    _say(b'{"kind": "raised", "message": "' + text.encode() + b'"}')
    os._exit(0)


def _say_deep(job: JobContext) -> None:
    """As deep as can be read, which is deeper than can be written again inside something else."""
    for depth in range(900, 1000, 5):
        _say(b'{"kind": "progress", "fraction": 0.5, "message": ' + b"[" * depth + b"]" * depth + b"}")
        time.sleep(0.001)
    _say(b'{"kind": "returned", "result": ' + b"[" * 985 + b"]" * 985 + b"}")
    os._exit(0)


def _close_all(job: JobContext) -> None:
    note(job, "end")
    os.closerange(0, 4096)


def _thread(job: JobContext) -> None:
    threading.Thread(target=time.sleep, args=(300,), daemon=False).start()


def _leave_daemon(job: JobContext) -> None:
    _daemon(job)
    _daemon(job, environment={})


def _kill_keeper(job: JobContext) -> None:
    os.kill(os.getppid(), signal.SIGKILL)
    time.sleep(60)


DEEDS = {
    "raise": _raise,
    "sys.exit(3)": _exit,
    "os._exit(0)": _quit,
    "SIGKILL": _kill_itself,
    "SIGSEGV": _crash,
    "no JSON": _no_json,
    "NaN": _nan,
    "too large": _too_large,
    "garbage": _garbage,
    "forged frames": _forge,
    "NaN frames": _say_nan,
    "largest frame": _say_much,
    "deep frames": _say_deep,
    "closes all": _close_all,
    "leaves a thread": _thread,
    "leaves daemons": _leave_daemon,
    "kills its keeper": _kill_keeper,
}
