"""A child as its keeper knows it: idle or assigned, heard, terminated, swept."""

import contextlib
import math
import os
import signal
import time
from dataclasses import asdict
from typing import Any

from workers import oom
from workers.cgroups import Group
from workers.confinement import Confinement
from workers.frames import LARGEST_REPORT, BrokenStream, Decoder, Frame
from workers.gate import Gate
from workers.holding import Holding
from workers.identity import Identity
from workers.launch import Launched, Reaped
from workers.namespaces import job_below
from workers.pipes import waiting_in
from workers.processor import ProcessorTime
from workers.report import heard
from workers.stacks import Stacks, due
from workers.sweep import UNKILLABLE_AFTER, sent
from workers.termination import Termination
from workers.trees import tree_of
from workers.usage import Usage

_CHUNK = 64 * 1024
"""Bytes of a report taken in one turn: a child that floods its pipe must not starve the others."""
_PROGRESS_PAUSE = 0.1
"""Seconds between two progress frames to the supervisor: what came in between is nobody's loss."""
_REMIND_AFTER = 0.25
"""Seconds after which a handler that has not said that it was interrupted is sent one more SIGTERM."""
_KILL_AGAIN = 0.1
"""Seconds between the first two attempts on a tree that a SIGKILL has not ended yet."""
_KILL_AGAIN_AT_MOST = 1.0
_MOST_LEFT = 1_000_000


class Kept:
    """One child, from its launch until nothing of it is left."""

    _left_in_sandbox = 0
    """Processes that the kernel killed with its PID namespace. It could lie about them."""

    def __init__(self, number: int, launched: Launched, group: Group | None = None) -> None:
        self.number = number
        self.launched = launched
        self.gate = Gate(launched.gate)
        self.holding = Holding(launched.identity, group)
        self.assigned = False
        self.grace = 0.0
        self.directory: str | None = None
        """A private working directory, to be removed in the end."""
        self.termination: Termination | None = None
        self.reaped: Reaped | None = None
        self.reaped_at = 0.0
        self.usage = Usage()
        """Of everything of it that was reaped so far."""
        self.strays: set[Identity] = set()
        """What it may have left behind, while that is being ended."""
        self.leftovers: set[Identity] = set()
        """What it left behind and was killed."""
        self._begun = False
        self._interrupted = False
        self._remind_at = float("inf")
        self._sweep = self.holding.sweep
        self._next_kill: float | None = None
        self._kill_pause = _KILL_AGAIN
        self._first_kill: float | None = None
        self._unkillable_reported = False
        self._decoder = Decoder(LARGEST_REPORT)
        self._broken = False
        self._progress: Frame | None = None
        self._progress_from = float("-inf")
        self._oom = oom.Meanwhile()
        self._timeout: float | None = None
        self._processor: ProcessorTime | None = None
        self._memory_by_process = False
        self._has_namespace: bool | None = False
        """None until the child has said it, which it does before any code of the job runs."""
        self._stacks: Stacks | None = None
        """What is asked before it is killed; None where it runs no handler, or is to be killed at once."""
        self._last_word: Frame | None = None

    @property
    def identity(self) -> Identity:
        return self.launched.identity

    def assign(self, job: Frame, grace: float, directory: str | None) -> None:
        self.assigned = True
        self.grace = grace
        self.directory = directory
        if not self.holding.counts_oom_kills:
            self._oom.begin()
        if job["handler"] is not None:
            self._timeout = job["timeout"]
            self._stacks = Stacks(self.identity, job["log"])
        if Confinement(**job["confinement"]).asks_for_sandbox:
            self._has_namespace = None
        limits = self.holding.limit(job["limits"])
        self._memory_by_process = limits["memory_by_process"]
        if limits["cpu_time"] is not None:
            self._processor = ProcessorTime(limits["cpu_time"], self.holding.seconds, time.monotonic())
        self.gate.send(job | {"limits": limits})

    def hear(self, now: float) -> bool:
        """Take in what it reports, one chunk at most; False at the end of the pipe.

        The newest progress and the first last word count.
        """
        try:
            data = os.read(self.launched.report, _CHUNK)
        except OSError:  # nothing is there; or it cannot be read now, and the next turn tries again
            return True
        self._take(data, now)
        return bool(data)

    def end_where_it_waits_in_vain(self) -> None:
        """Its job did not come through its gate: it has begun nothing, so the job is given back."""
        if self.gate.broken and not self.reaped:
            self.identity.send(signal.SIGKILL)

    def reap(self, now: float) -> bool:
        """Collect it, and what the kernel knows of it, if it has ended."""
        self.reaped = self.launched.reap()
        if self.reaped is None:
            return False
        self.reaped_at = now
        self.usage.add(self.reaped.usage)
        if self.assigned and not self.holding.counts_oom_kills:
            self._oom.look()
        # What it had said when it ended, and no more: what it left behind may hold the pipe and write on.
        try:
            for data in waiting_in(self.launched.report, _CHUNK):
                self._take(data, now)
        except OSError:
            self._broken = True
        return True

    def terminate(self, reason: str, grace: float, now: float) -> None:
        """SIGTERM (and SIGCONT, for what is stopped) to the tree; the kill follows at its deadline."""
        if grace <= 0 and (self.termination or reason not in ("cancel", "timeout")):
            self._stacks = None  # somebody is in a hurry
        if self.termination:
            self.termination.hurry(now, grace)
            return
        self.termination = Termination(reason, now, now + grace)
        if grace <= 0:
            return
        for process in list(tree_of(self.identity)):
            if sent(process, signal.SIGTERM) and sent(process, signal.SIGCONT):
                self.termination.sent(signal.SIGTERM, now)
                self._remind_at = now + _REMIND_AFTER

    def abandon(self, now: float) -> None:
        """Its supervisor is gone: its group is killed at once; what else there is of it, in the next turn."""
        with contextlib.suppress(OSError):  # it is looked for, and killed once more
            self.holding.kill()
        self.terminate("supervisor_gone", 0, now)
        self._note_kills(now)

    def end_when_used_up(self, now: float) -> None:
        """A job that has used the processor time that it may."""
        if self._processor and self.termination is None and not self.reaped and self._processor.is_over(now):
            self.terminate("cpu_time", self.grace, now)

    def kill_when_due(self, now: float) -> None:
        if self.termination is None or now < self._kill_due():
            return
        if self._stacks:
            self._stacks.who = job_below(self.identity)
            self._next_kill = self._stacks.wait(self.termination, now)
            if self._next_kill is not None:
                return
            self._stacks = None
        self._next_kill = now + self._kill_pause
        self._kill_pause = min(_KILL_AGAIN_AT_MOST, self._kill_pause * 2)
        self._sweep.step()
        self._note_kills(now)

    def _note_kills(self, now: float) -> None:
        if self.termination is not None and self._sweep.killed:
            self.killing(now)
            self.termination.sent(signal.SIGKILL, now)
            self.termination.killed = len(self._sweep.killed)

    @property
    def killed(self) -> set[Identity]:
        """Everything of it that was killed. It may be seen once more, dying, without its parents."""
        return self.leftovers | self.holding.leftovers | self._sweep.killed

    def remind_when_due(self, now: float) -> None:
        """Once, and the child alone: other programs may take a second SIGTERM for impatience."""
        if now < self._remind_at:
            return
        self._remind_at = float("inf")
        if not self.reaped and not self._interrupted and self._last_word is None:
            sent(job_below(self.identity), signal.SIGTERM)

    def killing(self, now: float) -> None:
        """Note that something of it was sent a SIGKILL."""
        if self._first_kill is None:
            self._first_kill = now

    def unkillable(self, now: float) -> Frame | None:
        """What is there long after its SIGKILL, and what was done to end it; said once."""
        if self._unkillable_reported or self._first_kill is None or now < self._first_kill + UNKILLABLE_AFTER:
            return None
        left = self.strays | self.holding.left if self.reaped else self._sweep.left
        if not left:
            return None
        self._unkillable_reported = True
        pids = sorted(process.pid for process in left)
        return {"op": "unkillable", "child": self.number, "pids": pids, "termination": self._done(now)}

    def termination_due(self) -> float:
        """When it is to be reminded, killed, killed again, or looked at."""
        watch = self._processor if self.termination is None and not self.reaped else None
        return min(self._remind_at, self._kill_due(), watch.look_at if watch else float("inf"))

    def progress_due(self) -> float:
        """When there will be progress to take."""
        return float("inf") if self._progress is None else self._progress_from

    def take_progress(self, now: float) -> Frame | None:
        """A frame: the newest progress that nobody took, unless the one before was taken just now."""
        if self._progress is None or now < self._progress_from:
            return None
        progress, self._progress = self._progress, None
        self._progress_from = now + _PROGRESS_PAUSE
        return {**progress, "op": "progress", "child": self.number}

    def last_frames(self, now: float) -> list[Frame]:
        """The last progress, however soon it came after the one before, and the end record."""
        progress = self.take_progress(math.inf)
        end = {"op": "ended", "child": self.number, **self.end_record(now)}
        return [progress, end] if progress else [end]

    def end_record(self, now: float) -> dict[str, Any]:
        """Everything about its end, once nothing of it is alive.

        A job that was written to the gate and not taken counts as never assigned: none of its code ran.
        """
        assert self.reaped is not None
        leftovers = len(self.leftovers | self.holding.leftovers) + self._left_in_sandbox
        if self.termination:
            self.termination.killed += leftovers
        return {
            "assigned": self._begun,
            "status": self.reaped.status,
            "report": self._last_word,
            "broken": self._broken or self._decoder.holds_a_part,
            "leftovers": leftovers,
            "termination": self._done(now),
            "oom_kills": self._oom.number,
            "isolation": "namespace" if self._has_namespace else self.holding.isolation,
            "memory_by_process": self._memory_by_process,
            **asdict(self.usage),
            **self.holding.consumption().known(),
        }

    def _done(self, now: float) -> Frame | None:
        """What was done to end it; None where it ends by itself."""
        return self.termination.to_record(now) if self.termination and self.termination.signals else None

    def _kill_due(self) -> float:
        if self.termination is None or self.reaped:
            return float("inf")
        return self.termination.kill_at if self._next_kill is None else self._next_kill

    def _take(self, data: bytes, now: float) -> None:
        # Its first word is said before any code of the job runs, and nothing but a word ever comes.
        self._begun = self._begun or bool(data)
        if self._broken:
            return
        try:
            for frame in self._decoder.feed(data):
                self._note(heard(frame), now)
        except BrokenStream:
            self._broken = True

    def _note(self, frame: Frame, now: float) -> None:
        kind = frame["kind"]
        if kind == "begun":
            return
        if kind in ("alone", "together"):
            if self._has_namespace is None:
                self._has_namespace = kind == "alone"
            return
        if kind == "watched":
            if self._stacks and self._timeout is not None:
                self._stacks.watched(due(self._timeout, self.grace), now)
            return
        if kind == "progress":
            self._progress = frame
        elif kind in ("interrupted", "uninterrupted"):
            self._interrupted = kind == "interrupted"
        elif kind == "leftovers":
            self._left_in_sandbox = min(_MOST_LEFT, max(0, frame.get("code", 0)))
        elif self._last_word is None or self._last_word["kind"] == "executing":
            self._note_last_word(frame, now)

    def _note_last_word(self, frame: Frame, now: float) -> None:
        self._last_word = frame
        if frame["kind"] != "executing" and self.termination is None:
            # Its work is done; threads, atexit functions and children of its own have the grace to end.
            self.termination = Termination("lingered", now, now + self.grace)
