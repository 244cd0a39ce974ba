"""One child: fork it, know it, hand it a job through its gate, reap it exactly."""

import atexit
import contextlib
import multiprocessing.context
import multiprocessing.popen_fork
import multiprocessing.process
import os
import resource
import signal
import sys
from dataclasses import dataclass
from typing import Any, NoReturn, cast

from workers import child, output
from workers.cgroups import Group
from workers.identity import Identity
from workers.pipes import pipe


@dataclass(frozen=True, slots=True)
class Reaped:
    """What the kernel says of an ended child, once."""

    status: int
    """Wait status as wait4(2) gives it: os.waitstatus_to_exitcode reads it."""
    usage: resource.struct_rusage


class ReapingPopen(multiprocessing.popen_fork.Popen):
    """The fork context's Popen, but reaping with wait4(2), and with our gate as its sentinel.

    The standard one keeps only the exit code and makes two pipes a child, one of which any
    grandchild holds open.
    """

    def __init__(self, process_obj: Any) -> None:
        self.reaped: Reaped | None = None
        super().__init__(process_obj)

    def _launch(self, process_obj: Any) -> None:
        self.finalizer = None
        self.sentinel = process_obj.gate
        # Where there is none, multiprocessing makes none either; the child opens its own, over 0.
        stdin, sys.stdin = sys.stdin, cast(Any, None)
        try:
            self.pid = os.fork()
            if self.pid == 0:
                _be(process_obj)
        finally:
            sys.stdin = stdin

    def poll(self, flag: int = os.WNOHANG) -> int | None:
        if self.reaped is None:
            try:
                pid, status, usage = os.wait4(self.pid, flag)
            except ChildProcessError:  # a preloaded module has waited for what is not its own
                pid, status, usage = self.pid, _UNKNOWN, resource.getrusage(resource.RUSAGE_CHILDREN)
            if pid == self.pid:
                self.reaped = Reaped(status, usage)
                self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode


_UNKNOWN = 255 << 8
"""Wait status of a child whose own nobody will ever know: 0 would be a success."""


def _be(process: Any) -> NoReturn:
    """The child from here on. Nothing may get out: the keeper's loop is up the stack."""
    code = 1
    try:
        code = process._bootstrap(parent_sentinel=process.gate)  # noqa: SLF001
        atexit._run_exitfuncs()  # noqa: SLF001  (as multiprocessing's own children do from 3.13 on)
        output.flush()
    finally:
        os._exit(code & 0xFF)


class ChildProcess(multiprocessing.context.ForkProcess):
    """The process of one job: at first a spare that waits at its gate."""

    def __init__(self, gate: int, report: int, keeper: int) -> None:
        super().__init__(name="job", daemon=False)
        self.gate = gate
        self._report = report
        self._keeper = keeper

    @staticmethod
    def _Popen(process_obj: Any) -> ReapingPopen:  # noqa: N802  (multiprocessing's name)
        return ReapingPopen(process_obj)

    @property
    def popen(self) -> ReapingPopen:
        return cast(ReapingPopen, vars(self)["_popen"])

    def run(self) -> None:
        child.live(self.gate, self._report, self._keeper)


class Launched:
    """The keeper's side of a child: its identity, its pidfd, the two pipes."""

    def __init__(self, group: Group | None = None) -> None:
        """Fork, into this group. Raises OSError, and leaves nothing, where anything that it takes is lacking.

        It takes seven descriptors for a moment and keeps three, so four are left to look at /proc
        with: without any, nothing could be called gone, and no descriptor would ever come back.
        """
        with contextlib.ExitStack() as undo:
            gate_inside, self.gate = pipe(undo)
            self.report, report_inside = pipe(undo)
            self._process = ChildProcess(gate_inside, report_inside, os.getpid())
            self._process.start()
            undo.callback(self._abandon)
            if group is not None:
                group.add(self.pid)  # it waits at its gate, so nothing of it is anywhere else
            self.pidfd = os.pidfd_open(self.pid)
            undo.callback(os.close, self.pidfd)
            identity = Identity.of(self.pid)
            if identity is None:  # EMFILE: it cannot have been reaped by anybody else
                raise OSError("the new child cannot be identified")
            self.identity = identity
            undo.pop_all()
        os.close(gate_inside)
        os.close(report_inside)
        os.set_blocking(self.gate, False)
        os.set_blocking(self.report, False)

    @property
    def pid(self) -> int:
        return cast(int, self._process.pid)

    def reap(self) -> Reaped | None:
        """Collect the ended child; None while it runs."""
        popen = self._process.popen
        popen.poll()
        return popen.reaped

    def close(self) -> None:
        for fd in (self.gate, self.report, self.pidfd):
            os.close(fd)
        self._process.close()

    def _abandon(self) -> None:
        """It was forked and cannot be watched. Not reaped yet, so its pid is certainly still its own."""
        os.kill(self.pid, signal.SIGKILL)
        self._process.popen.poll(0)
