"""Import handlers once, in the keeper, so that a child starts with them.

That runs the user's code at import where it could hurt every job. So each import is tried first, in
a throw-away child with a time limit, and done here only where the trial left nothing behind.
"""

import contextlib
import os
import select
import signal
import threading
import time
from collections.abc import Sequence

from workers import containment, handlers, names, settings
from workers.pipes import HeldBeside
from workers.target import TargetError
from workers.trees import children_of

TRIAL_SECONDS = 10.0
_PROBLEM_BYTES = 4096
"""PIPE_BUF: a message that is no longer arrives in one piece."""


def preload(
    targets: Sequence[str], import_paths: Sequence[str], limit: float = TRIAL_SECONDS
) -> tuple[list[str], dict[str, str]]:
    """Try and import each target: what is loaded now, and why the others are not."""
    loaded: list[str] = []
    refused: dict[str, str] = {}
    if any(names.is_foreign(name, import_paths) for name in names.OURS):
        return [], dict.fromkeys(targets, "a package beside it has the name of one of ours")
    for target in targets:
        problem = _try(target, import_paths, limit)
        if problem is None:
            problem = _import_here(target, import_paths)
        if problem is None:
            loaded.append(target)
        else:
            refused[target] = problem
    return loaded, refused


def _import_here(target: str, import_paths: Sequence[str]) -> str | None:
    here, me = os.getcwd(), os.getpid()
    try:
        handlers.keep(target, import_paths)
    except TargetError as error:
        return str(error)
    except BaseException as error:  # noqa: BLE001  (it passed its trial, and is still the user's code)
        return f"importing it raised {type(error).__qualname__}"
    finally:
        if os.getpid() != me:  # it has forked, and this is the copy: a second keeper on one link
            os._exit(0)
        os.chdir(here)
    return None


def _try(target: str, import_paths: Sequence[str], limit: float) -> str | None:
    """The problem with importing `target`, found out where it cannot hurt; None when there is none."""
    keeper = os.getpid()
    read, write = os.pipe()
    try:
        verdict = HeldBeside(write)
        try:
            pid = os.fork()
        except OSError as error:
            return f"it could not be tried: {error.strerror}"
        else:
            if pid == 0:
                _trial(target, import_paths, verdict, keeper)
        finally:
            os.close(write)
        return _verdict(pid, read, limit)
    finally:
        os.close(read)


def _trial(target: str, import_paths: Sequence[str], verdict: HeldBeside, keeper: int) -> None:
    problem, me = "it ends the process that imports it", os.getpid()
    try:
        containment.detach(keeper, keep=(verdict.fd,))
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 1)
        os.dup2(null, 2)
        before = _open_files()
        facts = settings.of_this_process()
        handlers.find(target, import_paths)
        problem = _changed(facts) or _left_behind(before)
    except TargetError as error:
        problem = str(error)
    finally:
        with contextlib.suppress(OSError):  # the module closed our descriptors: silence says enough
            if os.getpid() == me:  # or it has forked, and this is the copy
                verdict.write(f"={problem}".encode("utf-8", "replace")[:_PROBLEM_BYTES])
        os._exit(0)


def _changed(before: dict[str, object]) -> str:
    """What every child would be born with. Looked at first: it may keep us from opening files."""
    now = settings.of_this_process()
    changed = [what for what, fact in before.items() if now[what] != fact]
    if not changed:
        return ""
    return f"it changes {' and '.join(changed)} when it is imported, and every job would start so"


def _left_behind(before: set[str]) -> str:
    if threading.active_count() > 1 or len(os.listdir("/proc/self/task")) > 1:
        return "it starts a thread when it is imported"
    if children_of(os.getpid()):
        return "it starts a process when it is imported"
    if _open_files() - before:
        return "it leaves a file or socket open when it is imported, and a child starts without those"
    return ""


def _open_files() -> set[str]:
    """Descriptors, and the one of this very look: it is the lowest free one each time."""
    return set(os.listdir("/proc/self/fd"))


def _verdict(pid: int, read: int, limit: float) -> str | None:
    deadline = time.monotonic() + limit
    ready, _, _ = select.select([read], [], [], limit)
    answer = os.read(read, _PROBLEM_BYTES) if ready else b""
    _end(pid)
    if answer == b"=":
        return None
    if answer:
        return answer[1:].decode(errors="replace")
    if time.monotonic() >= deadline:
        return f"importing it takes longer than {limit:g} seconds"
    return "importing it ends the process"


def _end(pid: int) -> None:
    """Kill the trial: our child, not reaped yet, so the pid is its own. What it left comes to us."""
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
