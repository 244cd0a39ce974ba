"""Import a handler in a process of its own: whatever user code does there, it cannot hurt us."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from cli.harmless import one_line

_TIME_LIMIT = 30.0
"""Seconds; an import that takes longer would hold up every child."""

_PROGRAM = """
import os, sys
from workers.target import TargetError, resolve
verdict = int(sys.argv[1])
try:
    resolve(sys.argv[2], sys.argv[3:])
except TargetError as error:
    os.write(verdict, b"-" + str(error).encode(errors="backslashreplace")[:4000])
else:
    os.write(verdict, b"+")
os._exit(0)  # threads that the import started would hold it up
"""


def import_failure(target: str, import_paths: Sequence[Path]) -> str | None:
    """Why `module:function` cannot be imported, in a sentence; None where it can be."""
    reader, writer = os.pipe()
    try:
        child = subprocess.Popen(
            [sys.executable, "-P", "-c", _PROGRAM, str(writer), target, *map(str, import_paths)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=(writer,),
            start_new_session=True,
        )
    finally:
        os.close(writer)
    with open(reader, "rb", buffering=0) as verdict:
        try:
            code = child.wait(_TIME_LIMIT)
        except subprocess.TimeoutExpired:
            return f"importing it takes longer than {_TIME_LIMIT:g} seconds"
        finally:
            _end(child)
        os.set_blocking(verdict.fileno(), False)  # what the import left running may hold the other end
        said = (verdict.read(8000) or b"").decode(errors="replace")
    if said.startswith("+"):
        return None
    return one_line(said[1:]) or f"importing it ended the process ({_how(code)})"


def _end(child: "subprocess.Popen[bytes]") -> None:
    with contextlib.suppress(ProcessLookupError):  # its session is empty: nothing was left running
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()


def _how(code: int) -> str:
    return f"exit code {code}" if code >= 0 else f"signal {-code}"
